"""The longer stories of the examples in docs/players: live, seeking, a stall, the next video, the end, a player that goes away.

Some minutes: `make browser` runs them, `make test` does not.
"""

from __future__ import annotations

import itertools

import pytest

from tests.browser import media
from tests.browser.examples import Shown
from tests.browser.installed import players
from tests.service import serving

WINDOW = 7
NUMBERS = itertools.count(1)
VIDEO = "document.querySelector('video')"
LIVE = {"hlsjs": "live.m3u8", "dashjs": "live.mpd", "shaka": "live.mpd", "videojs": "live.m3u8"}
WHOLE = {
    "video": "lesson.mp4", "hlsjs": "lesson.m3u8", "dashjs": "lesson.mpd", "shaka": "lesson.mpd",
    "videojs": "lesson.m3u8",
}  # fmt: skip
# What the pages say about going on to the next video, and what ends a player.
NEXT = {
    "video": ("next.mp4", f"{VIDEO}.src = 'next.mp4'; {VIDEO}.play()"),
    "hlsjs": ("next.m3u8", "hls.loadSource('next.m3u8')"),
    "dashjs": ("next.mpd", "player.attachSource('next.mpd')"),
    "shaka": ("next.mpd", "player.load('next.mpd')"),
    "videojs": ("next.m3u8", "player.src({src: 'next.m3u8', type: 'application/x-mpegURL'})"),
}
# Ways in which an element is taken away and another one put in its place.
REPLACED = {
    "video": f"{VIDEO}.replaceWith({VIDEO}.cloneNode())",
    "videojs": "player.reset(); player.src({src: 'next.m3u8', type: 'application/x-mpegURL'}); player.play()",
}
GONE = {
    "video": f"{VIDEO}.remove()",
    "hlsjs": "hls.destroy()",
    "dashjs": "player.destroy()",
    "shaka": "player.destroy()",
    "videojs": "player.dispose()",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("players")) as running:
        yield running


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return media.make(tmp_path_factory.mktemp("media"))


@pytest.fixture
def origin(film):
    with media.Origin(film) as serving_it:
        serving_it.beside |= players()
        yield serving_it


@pytest.fixture
def show(browser, origin, service):
    """Opens an example in an event of its own, and waits until it is counted."""
    opened = []

    def shown(name, played, edit=None):
        event = f"{name}-{next(NUMBERS)}"
        service.create(event, window=WINDOW)
        service.open(event)
        page = Shown(browser, origin, service, name, event, media=played, edit=edit)
        opened.append(page)
        page.live = lambda: service.counts(event)["live"]
        page.until_acked(state="playing", more=2)
        return page

    yield shown
    for page in opened:
        page.close()
        assert len(page.viewers) == 1


def still(page):
    """Nobody is counted here any more: live is nothing once the window is over."""
    page.until(lambda: page.live() == 0)


@pytest.mark.parametrize("name", LIVE)
def test_behind_live_follows_the_position(show, name):
    page = show(name, LIVE[name])
    near = page.until(lambda: page.beats[-1]["behind_live_s"])
    assert 0 < near < media.NEAR_S
    page.do(f"{VIDEO}.currentTime -= 3")
    page.until_acked(state="playing", more=2)
    assert near + 1 < page.beats[-1]["behind_live_s"] < near + 5
    assert page.source.endswith(LIVE[name])


@pytest.mark.parametrize("name", LIVE)
def test_who_has_nothing_to_play_is_not_counted_until_there_is_something(show, origin, name):
    page = show(name, LIVE[name])
    origin.hold()
    page.do("0")
    page.until(lambda: page.beats[-1]["state"] == "buffering")
    still(page)
    assert page.beats[-1]["state"] == "buffering"
    origin.release()
    page.do("0")
    page.until_acked(state="playing", more=2)
    page.until(lambda: page.live() == 1)


@pytest.mark.parametrize("name", WHOLE)
def test_the_next_video_is_watched_by_the_same_viewer(show, name):
    page = show(name, WHOLE[name])
    assert page.source.endswith(WHOLE[name])
    source, script = NEXT[name]
    page.do(script)
    page.until(lambda: page.source.endswith(source))
    page.until_acked(state="playing", more=3)
    assert page.beats[-1]["behind_live_s"] is None
    assert page.connections == 1


@pytest.mark.parametrize("name", WHOLE)
def test_seeking_goes_on_counting_and_the_end_ends_it(show, name):
    page = show(name, WHOLE[name])
    page.do(f"{VIDEO}.currentTime = 20")
    page.until_acked(state="playing", more=2)
    assert 20 <= page.beats[-1]["position"] < media.LESSON_S
    page.do(f"{VIDEO}.currentTime = {media.LESSON_S - 2}")
    page.until_acked(state="ended")
    assert page.beats[-1]["position"] > media.LESSON_S - 1
    still(page)


@pytest.mark.parametrize("name", WHOLE)
def test_a_player_that_is_destroyed_is_a_break(show, name):
    page = show(name, WHOLE[name])
    page.do(GONE[name])
    still(page)
    assert page.beats[-1]["state"] in {"paused", "ended"}
    assert any(b["state"] == page.beats[-1]["state"] for b, _ in page.acked_since)
    assert page.complaints == []


@pytest.mark.parametrize("name", REPLACED)
def test_an_element_that_takes_the_place_of_another_is_watched_by_the_same_viewer(show, name):
    page = show(name, WHOLE[name])
    page.do(f"window.before = {VIDEO}; {REPLACED[name]}")
    assert page.ask(f"{VIDEO} !== window.before")
    page.until(lambda: page.connections == 2)
    page.do("0")
    page.until_acked(state="playing", more=3, on=2)
    assert page.live() == 1


def with_shakas_own_interface(html):
    html = html.replace("shaka-player.compiled.js", "shaka-player.ui.js")
    html = html.replace('<video id="lesson" controls', '<div id="lesson"><video')
    html = html.replace("</video>", "</video></div>")
    return html.replace(
        'player.attach(document.getElementById("lesson"))',
        "new shaka.ui.Overlay(player, lesson, lesson.firstChild); player.attach(lesson.firstChild)",
    )


def test_shakas_own_interface_leaves_the_element_where_it_is(show):
    page = show("shaka", "live.mpd", with_shakas_own_interface)
    assert page.ask("document.querySelector('#lesson > .shaka-controls-container') !== null")
    page.do(f"{VIDEO}.pause()")
    page.until_acked(state="paused")
    assert page.source.endswith("live.mpd")
    assert page.connections == 1
    assert page.complaints == []
