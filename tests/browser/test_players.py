"""Players of every kind, as streamcount.js sees them. YouTube is a stand-in: see youtube_stand_in.py."""

from __future__ import annotations

import pytest

from tests.browser import youtube_stand_in
from tests.browser.evidence import ACKED, Evidence, tick_now, viewer_of
from tests.browser.frames import Frames
from tests.browser.site import FILM
from tests.service import serving

BEAT = "streamcount.watching.lastBeat"
ICON = "<link rel=icon href=data:,>"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("players")) as running:
        running.create("players")
        running.open("players")
        yield running


@pytest.fixture
def show(service, page, site):
    """Opens a page with the script tag; YouTube is there if it is asked for."""

    def opened(event="players", *, youtube=True, **parts):
        youtube_stand_in.install(page, api=youtube)
        page.goto(site.embedding(service.public, event, **parts))

    return opened


def frame(address, **attributes):
    extra = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<iframe src="https://{address}" allow="autoplay" {extra}></iframe>'


def press_play(page, which=0):
    page.frame_locator("iframe").nth(which).locator("#play").click()


def waits(page, condition):
    page.wait_for_function(condition)


# --- A player that the page describes ---------------------------------------------------------------

DESCRIBED = """
  const mine = {playing: true, began: performance.now(), on(name, action) { this[name] = action; }};
  streamcount.watching = streamcount.watch({
    name: "mine",
    read: () => ({state: mine.playing ? "playing" : "paused", position: (performance.now() - mine.began) / 1000, source: "lesson 1"}),
    onchange: (changed) => mine.on("change", changed),
  }, {event: "EVENT"});
"""


def test_a_described_player_is_counted_and_its_pause_breaks(service, page, show, tmp_path):
    frames = Frames(page)
    key = service.create("described")
    service.open("described")
    show("described", after=DESCRIBED.replace("EVENT", "described"), data="data-player='#none'")
    waits(page, ACKED)
    since = len(frames.sent)
    page.evaluate("mine.playing = false; mine.change()")
    paused = frames.until_ticks(2, since, state="paused")
    viewer = viewer_of(page)
    evidence = Evidence(service, "described", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    # In the second of the pause itself presence wins; the breaks are those of the seconds after it.
    assert paused - evidence.presence(viewer) <= evidence.breaks(viewer) != set()
    assert frames.ticks(state="playing") <= evidence.presence(viewer)
    assert min(evidence.breaks(viewer)) >= max(evidence.presence(viewer)) <= min(paused)


def test_what_a_described_player_says_wrongly_is_made_harmless(page, show):
    show(
        after="""
          const said = {state: "stopped", position: "far", behind_live_s: NaN, muted: 1, source: "é".repeat(999)};
          streamcount.watching = streamcount.watch({name: "mine", read: () => said}, {event: "players"});
        """,
        data="data-player='#none'",
    )
    waits(page, f"{BEAT} && streamcount.watching.connected")
    said = page.evaluate(BEAT)
    assert (said["state"], said["position"], said["behind_live_s"]) == ("paused", None, None)
    assert said["muted"] is True
    waits(page, "streamcount.watching.lastNote || streamcount.watching.lastAck")
    assert page.evaluate("streamcount.watching.error") is None


# --- Media elements -----------------------------------------------------------------------------------


def test_a_media_elements_state_is_observed(page, show):
    show(before=FILM, after="document.body.append(film())")
    waits(page, f"{BEAT}?.state === 'playing' && {BEAT}.position > 0 && {BEAT}.muted")
    page.evaluate("document.querySelector('video').pause()")
    waits(page, f"{BEAT}.state === 'paused'")
    page.evaluate(
        "Object.assign(document.querySelector('video'), {muted: false, volume: 1}).play()"
    )
    waits(page, f"{BEAT}.state === 'playing' && !{BEAT}.muted")


# --- YouTube ------------------------------------------------------------------------------------------


def test_a_pasted_youtube_iframe_is_loaded_once_more_and_counted(service, page, show, tmp_path):
    frames = Frames(page)
    key = service.create("pasted")
    service.open("pasted")
    steps = page.evaluate("history.length") + 1
    show("pasted", body=frame("www.youtube.com/embed/aqz-KE-bpKQ?si=abc"))
    waits(page, "streamcount.watching")
    source = page.get_attribute("iframe", "src")
    assert source.startswith("https://www.youtube.com/embed/aqz-KE-bpKQ?si=abc&enablejsapi=1")
    assert page.evaluate("history.length") == steps
    waits(page, "streamcount.watching.connected && streamcount.problem === null")
    assert not page.evaluate(ACKED)
    press_play(page)
    waits(page, ACKED)
    played = tick_now()
    beat = page.evaluate(BEAT)
    assert page.evaluate("streamcount.watching.player.read().source").endswith("v=aqz-KE-bpKQ")
    waits(page, f"{BEAT}.position > {beat['position']}")
    since = len(frames.sent)
    press_play(page)
    paused = frames.until_ticks(2, since, state="paused")
    viewer = viewer_of(page)
    evidence = Evidence(service, "pasted", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert min(evidence.presence(viewer)) <= played
    assert max(evidence.presence(viewer)) <= min(paused)
    assert max(evidence.breaks(viewer)) >= max(paused)


@pytest.mark.parametrize(
    "address",
    [
        "www.youtube-nocookie.com/embed/aqz-KE-bpKQ",
        "www.youtube.com/embed/aqz-KE-bpKQ?enablejsapi=1&autoplay=1",
        "www.youtube.com/embed/aqz-KE-bpKQ?autoplay=1&mute=1",
    ],
)
def test_youtube_addresses_of_every_kind_are_counted(page, show, address):
    show(body=frame(address))
    waits(page, "streamcount.watching")
    if "autoplay" not in address:
        press_play(page)
    waits(page, ACKED)
    assert page.evaluate(BEAT)["muted"] == ("mute=1" in address)
    assert page.evaluate(BEAT)["behind_live_s"] is None


def test_a_channels_live_stream_tells_how_far_behind_it_is(page, show):
    show(body=frame("www.youtube.com/embed/live_stream?channel=UC123"))
    waits(page, "streamcount.watching")
    press_play(page)
    waits(page, f"{BEAT}.state === 'playing' && {BEAT}.behind_live_s > 0")
    assert 9 < page.evaluate(BEAT)["behind_live_s"] < 15


def test_the_iframe_that_the_page_names_is_counted_of_several(page, show):
    show(
        body=frame("www.youtube.com/embed/first") + frame("www.youtube.com/embed/second", id="two"),
        data="data-player='#two'",
    )
    waits(page, "streamcount.watching")
    press_play(page, 1)
    waits(page, ACKED)
    assert page.evaluate("streamcount.watching.player.read().source").endswith("v=second")
    assert "enablejsapi" not in page.get_attribute("iframe", "src")


def test_a_lazy_iframe_is_counted_once_it_is_reached(page, show):
    body = "<div style='height: 9000px'></div>" + frame(
        "www.youtube.com/embed/lazy", loading="lazy"
    )
    show(body=body)
    waits(page, "streamcount.problem === 'youtube-waiting'")
    assert page.evaluate("streamcount.watching") is None
    page.locator("iframe").scroll_into_view_if_needed()
    waits(page, "streamcount.watching")
    press_play(page)
    waits(page, ACKED)


@pytest.mark.parametrize(
    ("attributes", "data"),
    [("", ""), ("id=lesson", "data-player='#lesson'"), ("id=lesson src=about:blank", "data-player='#lesson'")],
)  # fmt: skip
def test_an_iframe_that_gets_its_address_after_consent_is_counted(page, show, attributes, data):
    show(body=f"<iframe allow=autoplay {attributes}></iframe>", data=data)
    waits(page, "streamcount.problem === 'no-player'")
    page.evaluate(
        "document.querySelector('iframe').src = 'https://www.youtube.com/embed/later?autoplay=0'"
    )
    waits(page, "streamcount.watching")
    press_play(page)
    waits(page, ACKED)


def test_the_pages_own_youtube_player_is_used_not_replaced(page, show):
    show(
        body="<div id=place></div><script src='https://www.youtube.com/iframe_api'></script>",
        before="const own = new YT.Player('place', {videoId: 'own', events: {onReady: (e) => (window.ready = e.target)}});",
    )
    waits(page, "streamcount.watching && window.ready")
    page.evaluate("own.playVideo()")
    waits(page, ACKED)
    assert page.evaluate("YT.get('place') === own && own.getPlayerState()") == 1


def test_a_youtube_player_that_is_destroyed_has_ended(page, show):
    show(body=frame("www.youtube.com/embed/gone?enablejsapi=1&autoplay=1", id="gone"))
    waits(page, ACKED)
    page.evaluate("YT.get('gone').destroy()")
    waits(page, f"{BEAT}.state === 'ended'")


def test_an_iframe_that_plays_already_is_left_alone_and_the_page_told(page, site, service):
    """The tag comes late: the viewer has clicked into the player before."""
    youtube_stand_in.install(page)
    page.goto(site.put("late.html", ICON + frame("www.youtube.com/embed/started")))
    press_play(page)
    page.evaluate(
        """(src) => {
          const tag = Object.assign(document.createElement("script"), {src});
          tag.dataset.event = "players";
          document.head.append(tag);
        }""",
        f"{service.public}/streamcount.js",
    )
    waits(page, "window.streamcount?.problem === 'youtube-playing'")
    assert page.get_attribute("iframe", "src") == "https://www.youtube.com/embed/started"


@pytest.mark.parametrize(
    ("video", "api", "problem"),
    [
        ("any", False, "youtube-blocked"),
        ("error-150?autoplay=1", True, "youtube-error-150"),
        ("silent", True, "youtube-waiting"),
    ],
)
def test_what_keeps_youtube_from_being_counted_is_told(show, browser, service, site, video, api, problem):  # fmt: skip
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    youtube_stand_in.install(page, api=api)
    page.goto(
        site.embedding(service.public, "players", body=frame(f"www.youtube.com/embed/{video}"))
    )
    waits(page, f"streamcount.problem === '{problem}'")
    assert page.evaluate("streamcount.watching") is None
    if problem != "youtube-waiting":
        assert any("streamcount:" in line for line in said)
    page.close()
