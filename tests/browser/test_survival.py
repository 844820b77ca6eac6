"""What happens to pages while they are watched: nobody is lost, nobody counts twice, nobody counts through a pause."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from streamcount import embed
from tests.browser import youtube_stand_in
from tests.browser.conftest import ARGUMENTS, CHROMIUM, patiently
from tests.browser.evidence import ACKED, Evidence, tick_now, until_broken, viewer_of
from tests.browser.frames import until
from tests.browser.site import FILM
from tests.service import serving

PLAYS = "document.body.append(film());"
DESCRIBED = """
  const read = () => ({state: "playing", position: performance.now() / 1000});
  streamcount.watching = streamcount.watch({name: "mine", read}, {event: "cached"});
"""
# What a browser does to timers of pages that have been hidden for five minutes.
SLOW_TIMERS = """
  for (const name of ["setInterval", "setTimeout"]) {
    const real = window[name];
    window[name] = (action, ms, ...rest) => real(action, ms >= 1000 ? 60000 : ms, ...rest);
  }
"""
SCRIPT = (Path(embed.__file__).parent / "streamcount.js").read_text("utf-8")
ANSWERED = "streamcount.watching.lastAck?.seq"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("survival")) as running:
        yield running


@pytest.fixture
def watched(service, site, page_cut_off):
    """Opens an event, and a page that is counted in it; returns the event's key."""

    def opened(event, *, window=7, **parts):
        key = service.create(event, window=window)
        service.open(event)
        page_cut_off.goto(site.embedding(service.public, event, before=FILM, after=PLAYS, **parts))
        waits(page_cut_off, ACKED)
        return key

    return opened


def waits(page, condition):
    page.wait_for_function(condition)


def more_acks(page, how_many=4):
    """Until so many more heartbeats were answered, each of them seen.

    Heartbeats are numbered while there is no connection, too, so a higher number is not yet a second answer.
    """
    page.evaluate(f"window.answered = new Set([{ANSWERED}])")
    waits(page, f"answered.add({ANSWERED}).size > {how_many}")


def holes(ticks):
    """Ticks that are missing between the first and the last."""
    return set(range(min(ticks), max(ticks) + 1)) - ticks


# --- Timers and clocks ------------------------------------------------------------------------------


def test_heartbeats_go_on_while_timers_run_once_a_minute(service, page, site):
    service.create("hidden")
    service.open("hidden")
    page.goto(site.embedding(service.public, "hidden", before=FILM + SLOW_TIMERS, after=PLAYS))
    waits(page, ACKED)
    more_acks(page, 6)


def test_heartbeats_of_a_youtube_player_go_on_while_timers_run_once_a_minute(service, page, site):
    youtube_stand_in.install(page)
    service.create("hidden-tube")
    service.open("hidden-tube")
    body = '<iframe src="https://www.youtube.com/embed/any?autoplay=1"></iframe>'
    page.goto(site.embedding(service.public, "hidden-tube", before=SLOW_TIMERS, body=body))
    waits(page, ACKED)
    more_acks(page, 6)


def test_a_jump_of_the_machines_clock_changes_nothing(service, page_cut_off, watched, tmp_path):
    key = watched("clock", window=15)
    for hours in (2, -5):
        page_cut_off.evaluate(
            """(hours) => {
              const real = Date;
              window.Date = class extends real {
                constructor(...given) { given.length ? super(...given) : super(real.now() + hours * 3600e3); }
                static now() { return real.now() + hours * 3600e3; }
              };
            }""",
            hours,
        )
        more_acks(page_cut_off)
    viewer = viewer_of(page_cut_off)
    page_cut_off.context.close()
    evidence = Evidence(service, "clock", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert holes(evidence.proven(viewer)) - evidence.excused == set()


# --- Connections ------------------------------------------------------------------------------------


def test_who_pauses_while_offline_is_not_counted_through_the_pause(service, page_cut_off, watched, tmp_path):  # fmt: skip
    key = watched("offline", window=15)
    page_cut_off.context.set_offline(True)
    waits(page_cut_off, "!streamcount.watching.connected")
    # What was on its way is heard by then, and no presence is in the second of the pause.
    lost = tick_now()
    service.wait_for(lambda: tick_now() > lost + 2)
    page_cut_off.evaluate("document.querySelector('video').pause()")
    waits(page_cut_off, "streamcount.watching.lastBeat.state === 'paused'")
    paused = tick_now()
    page_cut_off.evaluate("document.querySelector('video').play()")
    waits(page_cut_off, "streamcount.watching.lastBeat.state === 'playing'")
    page_cut_off.context.set_offline(False)
    more_acks(page_cut_off)
    viewer = viewer_of(page_cut_off)
    page_cut_off.context.close()
    evidence = Evidence(service, "offline", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert paused not in evidence.proven(viewer)
    assert max(evidence.proven(viewer)) > paused


def test_a_server_that_goes_away_asks_its_viewers_to_reconnect_and_loses_none(service, page_cut_off, watched, tmp_path):  # fmt: skip
    key = watched("drained", window=25)  # of which new workers may need a part to begin
    for name, pid in service.told["children"].items():
        if name.startswith("worker"):
            os.kill(pid, signal.SIGTERM)
    more_acks(page_cut_off, 8)
    viewer = viewer_of(page_cut_off)
    page_cut_off.context.close()
    evidence = Evidence(service, "drained", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert holes(evidence.proven(viewer)) - evidence.excused == set()


def test_what_a_server_says_that_is_no_protocol_harms_nothing(page, site):
    """The page fixture fails on any error of the page."""
    heard = []

    def serve(socket):
        def answer(message):
            heard.append(json.loads(message))
            for said in (
                "",
                "null",
                "[]",
                "{",
                '{"type":"ack"}',
                '{"type":"reconnect","after":0.1}',
            ):
                socket.send(said)
            if heard[-1]["type"] == "hello":
                socket.send('{"type":"welcome","interval":1,"window":7,"server_time":0}')

        socket.on_message(answer)

    page.route_web_socket("**/v1/viewers", serve)
    address = site.embedding(site.origin, "harmless", before=FILM, after=PLAYS)
    page.route("**/streamcount.js", lambda route: route.fulfill(body=SCRIPT, content_type="text/javascript"))  # fmt: skip
    page.goto(address)
    waits(page, "streamcount.watching?.lastBeat?.seq > 3")
    assert len({one["viewer"] for one in heard if one["type"] == "hello"}) == 1


def test_a_pause_that_was_lost_is_told_again_as_a_pause_though_the_page_played_hidden_since(
    page, site
):
    """Where hidden pages count, what was played hidden is no break, and the pause before it is."""
    connections = []

    def serve(socket):
        connections.append([])
        heard = connections[-1]

        def answer(message):
            heard.append(json.loads(message))
            if heard[-1]["type"] == "hello":
                socket.send('{"type":"welcome","interval":1,"window":7,"server_time":0}')
            elif len(connections) == 1 and (heard[-1]["state"], heard[-1]["visible"]) == (
                "playing",
                False,
            ):
                socket.close(code=1011)

        socket.on_message(answer)

    page.route_web_socket("**/v1/viewers", serve)
    page.route("**/streamcount.js", lambda route: route.fulfill(body=SCRIPT, content_type="text/javascript"))  # fmt: skip
    page.goto(site.embedding(site.origin, "hidden", before=FILM, after=PLAYS))
    waits(page, "streamcount.watching?.lastBeat?.state === 'playing'")
    page.evaluate("document.querySelector('video').pause()")
    waits(page, "streamcount.watching.lastBeat.state === 'paused'")
    page.evaluate(
        """() => {
          Object.defineProperty(document, "visibilityState", {get: () => "hidden"});
          document.querySelector("video").play();
        }"""
    )
    waits(page, "streamcount.watching.lastBeat.state === 'playing'")
    until(page, lambda: len(connections) > 1 and len(connections[1]) > 2, lambda: connections)
    first, second = connections[1][1:3]
    assert (first["state"], first["again"]) == ("paused", True)
    assert (second["state"], second["visible"]) == ("playing", False)


# --- Leaving ----------------------------------------------------------------------------------------


def test_a_page_that_comes_back_from_the_back_forward_cache_goes_on(service, site, tmp_path, browser):  # fmt: skip
    key = service.create("cached", window=11)
    service.open("cached")
    # A film that the page draws itself would keep it out of that cache.
    address = site.embedding(service.public, "cached", after=DESCRIBED, data="data-player='#none'")
    other = site.put("other.html", "<link rel=icon href=data:,>another page")
    # Playwright switches that cache off.
    caching = browser.browser_type.launch(
        executable_path=CHROMIUM,
        args=ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    patiently(caching)
    page = caching.new_page()
    page.goto(address)
    waits(page, ACKED)
    page.evaluate("addEventListener('pageshow', (shown) => (window.kept = shown.persisted))")
    page.goto(other)
    left = tick_now()
    service.wait_for(lambda: tick_now() > left + 2)
    page.go_back(wait_until="commit")
    waits(page, "window.kept")
    more_acks(page)
    back = tick_now()
    viewer = viewer_of(page)
    caching.close()
    evidence = Evidence(service, "cached", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert left + 1 not in evidence.proven(viewer)
    assert any(left + 1 < tick <= back for tick in evidence.proven(viewer))


def test_a_bye_without_a_connection_reaches_the_evidence_by_a_beacon(service, watched, page_cut_off, tmp_path):  # fmt: skip
    page = page_cut_off
    sockets = []

    def serve(socket):
        sockets.append(socket)
        if len(sockets) == 1:
            socket.connect_to_server()
        else:
            socket.close(code=1001)

    page.route_web_socket("**/v1/viewers", serve)
    # Whatever the server's name is.
    server = service.public.replace("127.0.0.1", "viewers.localhost")
    key = watched("beacon", data=f"data-server={server}")
    viewer = viewer_of(page)
    page.evaluate("dispatchEvent(new Event('offline'))")
    waits(page, "!streamcount.watching.connected")
    # No websocket gets through from here on; and a second has to pass, as in one second presence wins.
    gone = tick_now()
    service.wait_for(lambda: tick_now() > gone + 1)
    page.goto("about:blank")
    until_broken(service, "beacon")
    evidence = Evidence(service, "beacon", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert max(evidence.breaks(viewer)) > max(evidence.presence(viewer))


# --- Storage ----------------------------------------------------------------------------------------


def test_where_storage_is_blocked_a_page_is_one_viewer_after_every_reconnect(service, page, site):
    service.create("blocked")
    service.open("blocked")
    inner = site.embedding(service.public, "blocked", before=FILM, after=PLAYS)
    page.goto(
        site.put(
            "outer.html",
            f"<link rel=icon href=data:,><iframe sandbox='allow-scripts' src='{inner}'></iframe>",
        )
    )
    frame = page.frames[1]
    frame.wait_for_function(ACKED)
    assert frame.evaluate("(() => { try { return !localStorage; } catch { return true; } })()")
    for _ in range(2):
        frame.evaluate("streamcount.watching.lastAck = null; dispatchEvent(new Event('offline'))")
        frame.wait_for_function(ACKED)
    assert service.counts("blocked")["uniques"] == 1
