"""Pages that do odd things: the embed neither floods nor falls silent, and stops when it is told to."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.browser.evidence import ACKED
from tests.browser.frames import Frames, until
from tests.browser.site import FILM
from tests.service import serving

PLAYS = "document.body.append(film());"
BEAT = "streamcount.watching.lastBeat"
# Seconds pass faster, for what asks this clock.
QUICK = "const real = performance.now.bind(performance); performance.now = () => real() * 20;"
# How long it waits before it says what has changed.
DELAYS = """
  const later = window.setTimeout;
  window.delays = [];
  window.setTimeout = (action, ms, ...rest) => (delays.push(ms), later(action, ms, ...rest));
"""
# Another tab of this viewer that is paused, and says so much more often than one that follows the protocol.
LOUD_TAB = """
  const other = new BroadcastChannel("streamcount");
  setInterval(() => other.postMessage("odd"), 100);
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("odd")) as running:
        running.create("odd", window=30, interval=10)
        running.open("odd")
        yield running


def waits(page, condition):
    page.wait_for_function(condition)


@pytest.fixture
def frames(page):
    """What the page's websockets say."""
    return Frames(page)


def test_a_player_that_changes_all_the_time_is_told_ever_more_seldom(service, site, page, frames):
    address = site.embedding(service.public, "odd", before=FILM, after=PLAYS)
    page.goto(address)
    waits(page, ACKED)
    page.evaluate(
        """setInterval(() => {
          const video = document.querySelector("video");
          video.paused ? video.play().catch(() => {}) : video.pause();
        }, 50)"""
    )
    page.evaluate("setInterval(() => document.body.append(new Text()), 10)")
    page.wait_for_timeout(6000)
    frames.until(lambda: len(frames.of("heartbeat")) >= 2)
    assert len(frames.of("heartbeat")) <= 8
    assert page.evaluate("streamcount.watching.error") is None
    assert len(frames.of("hello")) == 1


def test_a_pause_is_told_at_once_though_other_tabs_of_the_viewer_pause_all_the_time(service, site, page, frames):  # fmt: skip
    page.goto(site.embedding(service.public, "odd", before=DELAYS + FILM, after=PLAYS + LOUD_TAB))
    frames.until_ticks(1, state="playing")
    since, began = len(frames.of("heartbeat")), page.evaluate("performance.now()")
    page.wait_for_timeout(6000)
    intervals = 1 + int(page.evaluate("performance.now()") - began) // 10_000
    assert len(frames.of("heartbeat")) - since <= 3 * intervals  # its own, and two answers
    page.evaluate("delays.length = 0; document.querySelector('video').pause()")
    waits(page, f"{BEAT}.state === 'paused'")
    # However long the machine takes: the pause waited as a first change does, and not twice or four times that.
    assert page.evaluate("delays.filter((ms) => ms >= 300 && ms % 300 === 0)") == [300]


def test_who_stops_says_bye_once_and_then_nothing(service, site, page, frames):
    said, posted = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: posted.append(request.url))
    after = """
      const mine = {state: "playing"};
      const read = () => ({...mine, position: performance.now() / 1000});
      window.own = streamcount.watch({name: "mine", read, onchange: (changed) => (mine.changed = changed)}, {event: "odd"});
    """
    page.goto(site.embedding(service.public, "odd", after=after, data="data-player='#none'"))
    waits(page, "own.lastAck")
    page.evaluate("own.stop(); own.stop(); mine.state = 'paused'; mine.changed();")
    before = page.evaluate("own.lastBeat")
    page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('online'))")
    frames.until(lambda: frames.of("bye"))
    page.wait_for_timeout(1500)
    page.evaluate("mine.changed()")
    assert page.evaluate("own.lastBeat") == before
    assert (len(frames.of("hello")), len(frames.of("bye"))) == (1, 1)
    assert not any("heartbeats" in url for url in posted)
    assert [line for line in said if "no player" not in line] == []


def test_a_last_beacon_goes_to_the_server_whatever_its_name(service, site, page_cut_off):
    page = page_cut_off
    posted = []
    page.on("request", lambda request: posted.append(request.url) if "/v1/" in request.url else None)  # fmt: skip
    server = service.public.replace("127.0.0.1", "viewers.localhost")
    page.route(f"{server}/v1/heartbeats", lambda route: route.abort())
    data = f"data-server='{server}'"
    page.goto(site.embedding(service.public, "odd", before=FILM, after=PLAYS, data=data))
    waits(page, f"{BEAT}")
    page.evaluate("dispatchEvent(new Event('offline')); dispatchEvent(new Event('pagehide'))")
    until(page, lambda: f"{server}/v1/heartbeats" in posted)
    assert all(url.startswith(server) for url in posted)


def test_a_handshake_that_nobody_answers_is_given_up(site, service, page_cut_off):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken = []

        def take():
            try:
                while True:
                    taken.append(silent.accept()[0])
            except OSError:
                pass  # closed

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        data = f"data-server='http://127.0.0.1:{silent.getsockname()[1]}'"
        address = site.embedding(service.public, "odd", before=QUICK + FILM, after=PLAYS, data=data)
        page_cut_off.goto(address)
        until(page_cut_off, lambda: len(taken) >= 3, lambda: "it waits for ever")
        page_cut_off.goto("about:blank")
        silent.shutdown(socket.SHUT_RDWR)
        thread.join(60)
        for one in taken:
            one.close()


def test_a_page_that_may_only_load_what_agrees_to_it_is_counted(service, site, page):
    headers = {"Cross_Origin_Embedder_Policy": "require-corp", "Cross_Origin_Opener_Policy": "same-origin"}  # fmt: skip
    page.goto(site.embedding(service.public, "odd", before=FILM, after=PLAYS, headers=headers))
    waits(page, ACKED)


@pytest.mark.parametrize("data", ["", "data-check"])
def test_a_page_that_demands_trusted_types_is_counted_with_and_without_the_overlay(service, site, browser, data):  # fmt: skip
    page = browser.new_page()
    thrown = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    headers = {"Content_Security_Policy": "require-trusted-types-for 'script'"}
    page.goto(site.embedding(service.public, "odd", before=FILM, after=PLAYS, data=data, headers=headers))  # fmt: skip
    until(page, lambda: page.evaluate(ACKED))  # without eval()
    assert thrown == []
    page.close()
