"""A real browser on a real page with a playing video: exactly that viewer is in the evidence."""

from __future__ import annotations

import os
import signal
import time

import pytest

from streamcount.core.wire import VIEWER_ID
from tests.browser.frames import Frames, until
from tests.browser.site import FILM
from tests.service import serving


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("browser")) as running:
        yield running


def rows(service, event):
    """Timeline of an event by tick: (live, proven or None)."""
    found = service.api(f"/api/events/{event}/timeline")
    ticks = range(found["first"], found["first"] + len(found["live"]))
    return dict(zip(ticks, zip(found["live"], found["proven"], strict=True), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ar"])
def test_a_playing_page_is_one_viewer_and_stops_being_proven_when_paused(
    service, page, tmp_path, lang
):
    event, window = f"watch-{lang}", 7
    key = service.create(event, window=window)
    service.open(event)
    frames = Frames(page)
    page.goto(f"{service.public}/examples/watch.html?event={event}&lang={lang}")
    page.wait_for_function("document.getElementById('counted').classList.contains('yes')")
    assert page.evaluate("document.documentElement.dir") == ("rtl" if lang == "ar" else "ltr")
    position = page.evaluate("document.getElementById('lesson').currentTime")
    moved = "(was) => document.getElementById('lesson').currentTime > was"
    page.wait_for_function(moved, arg=position)
    page.screenshot(path=tmp_path / f"watch-{lang}.png")

    since = len(frames.sent)
    page.click("#toggle")
    paused = min(frames.until_ticks(2, since, state="paused"))
    frames.until(lambda: max(rows(service, event)) > paused + window + 4)
    after = rows(service, event)
    assert [proven for tick, (_, proven) in after.items() if tick >= paused][:4] == [0] * 4
    assert not any(proven for tick, (_, proven) in after.items() if tick >= paused)
    assert all(live == 0 for tick, (live, _) in after.items() if tick >= paused + window)

    since = len(frames.sent)
    page.click("#toggle")
    played = frames.until_ticks(3, since, state="playing")
    page.close()
    service.wait_for(lambda: service.watching() == 0)
    closed = int(time.time())
    service.close(event)
    end = rows(service, event)
    assert any(
        proven == 1 for tick, (_, proven) in end.items() if min(played) <= tick < max(played)
    )
    assert all(not proven for tick, (_, proven) in end.items() if tick > closed)
    assert all(live == 0 for tick, (live, _) in end.items() if tick > closed + window)

    report = service.verified(event, tmp_path, key)
    assert (report["uniques"], report["peak"], report["live_peak"]) == (1, 1, 1)


def test_two_tabs_are_one_viewer_and_a_reload_is_the_same(service, browser, tmp_path):
    key = service.create("tabs")
    service.open("tabs")
    context = browser.new_context()
    address = f"{service.public}/examples/watch.html?event=tabs"
    pages = [context.new_page(), context.new_page()]
    for page in pages:
        page.goto(address)
    for page in pages:
        page.wait_for_function("window.streamcount.watching.lastAck !== null")
    pages[0].reload()
    pages[0].wait_for_function("window.streamcount?.watching?.lastAck")
    context.close()
    service.close("tabs")
    report = service.verified("tabs", tmp_path, key)
    assert (report["uniques"], report["peak"]) == (1, 1)


def test_the_page_goes_on_as_the_same_viewer_when_its_worker_is_killed(service, browser, tmp_path):
    key = service.create("killed")
    service.open("killed")
    page = browser.new_page()
    page.goto(f"{service.public}/examples/watch.html?event=killed")
    page.wait_for_function("window.streamcount?.watching?.lastAck")
    for name, pid in service.told["children"].items():
        if name.startswith("worker"):
            os.kill(pid, signal.SIGKILL)
    page.evaluate("window.streamcount.watching.lastAck = null")
    page.wait_for_function("window.streamcount.watching.lastAck !== null")
    page.close()
    service.close("killed")
    assert service.verified("killed", tmp_path, key)["uniques"] == 1


def test_a_page_with_the_script_and_no_player_says_so_and_goes_on(service, browser):
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{service.public}/healthz")
    page.set_content(
        f"<script src='{service.public}/streamcount.js' data-event='none'></script><p id='rest'>rest</p>"
    )
    until(page, lambda: any("no player" in line for line in said))
    assert page.text_content("#rest") == "rest"
    page.close()


# --- On pages of others -----------------------------------------------------------------------------

# What the YouTube IFrame API is for the page: an object that says it plays, also once it is gone.
TUBE = """
  const frame = document.getElementById("tube");
  window.tube = {
    getIframe: () => frame, getPlayerState: () => 1, isMuted: () => true,
    getCurrentTime: () => performance.now() / 1000, getVideoUrl: () => "x",
    addEventListener() {}, removeEventListener() {},
  };
"""


@pytest.fixture
def own_page(service, page, site):
    """Opens a page of somebody else's server."""
    return lambda event, **parts: page.goto(site.embedding(service.public, event, **parts))


def acked(page):
    return page.evaluate("Boolean(streamcount.watching && streamcount.watching.lastAck)")


def test_a_player_inside_what_the_page_names_is_found(service, page, own_page):
    service.create("inside")
    service.open("inside")
    own_page("inside", body="<div id=wrap></div>", data="data-player='#wrap'",
        before=FILM + "document.getElementById('wrap').append(film());",
    )  # fmt: skip
    service.wait_for(lambda: acked(page))
    assert service.counts("inside")["uniques"] == 1


def test_a_player_that_is_added_later_is_counted_from_then_on(service, page, own_page):
    service.create("added")
    service.open("added")
    own_page("added", before=FILM)
    page.wait_for_timeout(500)
    assert page.evaluate("streamcount.watching") is None
    page.evaluate("document.body.append(film())")
    service.wait_for(lambda: acked(page))


def test_a_youtube_player_that_is_taken_out_of_the_page_watches_no_more(service, page, own_page):
    service.create("tube")
    service.open("tube")
    frames = Frames(page)
    own_page("tube", body="<iframe id=tube src='about:blank'></iframe>",
        before=TUBE, after="streamcount.watching = streamcount.watch(tube, {event: 'tube'});",
    )  # fmt: skip
    frames.until_ticks(2, state="playing")
    page.evaluate("document.getElementById('tube').remove()")
    service.wait_for(lambda: page.evaluate("streamcount.watching.player.read().state") == "ended")
    frames.until_ticks(3, state="ended")
    service.close("tube")
    counts = service.counts("tube")
    proven = service.api("/api/events/tube/timeline")["proven"]
    assert counts["peak"] == 1
    assert [n for n in proven if n is not None][-2:] == [0, 0]


def test_nothing_is_thrown_into_the_page_whatever_happens(service, page, own_page):
    """The page fixture fails on any error of the page."""
    service.create("thrown")
    service.open("thrown")
    own_page(
        "thrown",
        body="<div id=x></div>",
        before=FILM,
        after="document.body.append(film())",
    )
    service.wait_for(lambda: acked(page))
    page.evaluate(
        """() => {
          streamcount.watching.stop();
          streamcount.watch(document.getElementById("x"), {event: "thrown"});
          streamcount.watch(null, {event: "thrown"});
          streamcount.watch(film(), null);
          streamcount.watch({read() { throw new Error("destroyed"); }}, {event: "thrown"});
          streamcount.watch({getIframe() {}, getPlayerState() { throw new Error("destroyed"); }, addEventListener() {}}, {event: "thrown"});
          streamcount.watch(film(), {event: "thrown", server: "http://127.0.0.1:1/"}).stop();
          localStorage.setItem("streamcount.viewer", "{}");
        }"""
    )
    page.wait_for_timeout(1500)
    own_page("thrown", before=FILM, after="document.body.append(film())")
    service.wait_for(lambda: acked(page))
    assert VIEWER_ID.fullmatch(page.evaluate("localStorage.getItem('streamcount.viewer')"))
