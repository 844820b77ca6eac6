"""The overlay for the page's owner in a real browser, with each failure made for real."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from playwright.sync_api import expect

from streamcount.words import catalogue
from tests.browser import youtube_stand_in
from tests.browser.elsewhere import elsewhere
from tests.service import serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LANGUAGES = pytest.mark.parametrize("lang", ["en", "ar"])


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("check")) as running:
        running.create("waits")
        for name in ("opens", "counted-en", "counted-ar"):
            running.create(name)
            running.open(name)
        running.create("strict", policy={"muted_counts": False})
        running.open("strict")
        running.create("ours", policy={"origins": ["https://school.example"]})
        running.create("later", planned_start=2_000_000_000)
        running.create("over")
        running.open("over")
        running.close("over")
        yield running


@pytest.fixture(scope="module")
def pages():
    with elsewhere() as running:
        yield running


@pytest.fixture
def tab(browser):
    """A tab that may complain: these pages are broken on purpose. What its own script throws is a failure."""
    context = browser.new_context(viewport={"width": 900, "height": 700})
    page = context.new_page()
    thrown = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    context.close()
    assert thrown == []


def tag(service, event, data="data-check"):
    return f'<script src="{service.public}/streamcount.js" data-event="{event}" {data}></script>'


def says(tab, part, key, lang="en", **values):
    """Wait until a line of the overlay says a word of the catalogue; return the line."""
    found = tab.locator(f"#streamcount-check li#{part}")
    expect(found).to_have_attribute("data-says", key)
    text = catalogue(lang).say(
        key, **{name: f"\u2066{value}\u2069" for name, value in values.items()}
    )
    expect(found).to_contain_text(text)
    return found


def sums(tab, sum_, lang="en"):
    expect(tab.locator("#streamcount-check")).to_have_attribute("data-sum", sum_)
    expect(tab.get_by_role("status")).to_have_text(catalogue(lang).say(f"check_sum_{sum_}"))


def todo(tab, part, key, lang="en", **values):
    text = catalogue(lang).say(
        key, **{name: f"\u2066{value}\u2069" for name, value in values.items()}
    )
    expect(tab.locator(f"#streamcount-check li#{part} .todo")).to_have_text(text)


@LANGUAGES
def test_a_page_that_is_counted(service, pages, tab, lang):
    event = f"counted-{lang}"  # in which nobody else is
    tab.goto(pages.page(tag(service, event), lang=lang))
    says(tab, "player", "check_player_found", lang, player="html5")
    server = service.public.removeprefix("http://")
    says(tab, "connection", "check_connection_yes", lang, server=server)
    says(tab, "event", "check_event_open", lang, event=event)
    says(tab, "heartbeat", "check_beat_yes", lang)
    counted = tab.locator("#streamcount-check li#counted")
    expect(counted).to_contain_text(re.compile(r"\u2066\d\d:\d\d:\d\d\u2069"))
    sums(tab, "counted", lang)
    panel = tab.get_by_role("region", name=catalogue(lang).say("check_title"))
    expect(panel).to_have_attribute("dir", "rtl" if lang == "ar" else "ltr")
    acked = tab.evaluate("streamcount.watching.lastAck.tick")
    seconds = service.api(f"/api/events/{event}/timeline")
    assert seconds["present"][acked - seconds["first"]] == 1


def test_there_is_no_player(service, pages, tab):
    tab.goto(pages.page(tag(service, "opens"), film=False))
    says(tab, "player", "check_player_no_player")
    todo(tab, "player", "check_do_no_player")
    says(tab, "connection", "check_waits")
    sums(tab, "not")


def test_the_event_is_another_one(service, pages, tab):
    tab.goto(pages.page(tag(service, "opened"), lang="ar"))
    server = service.public.removeprefix("http://")
    says(tab, "connection", "check_code_4404", "ar", event="opened", stream="main", server=server)
    todo(tab, "connection", "check_do_4404", "ar")
    says(tab, "event", "check_event_missing", "ar", event="opened")
    sums(tab, "not", "ar")


@pytest.mark.parametrize(("event", "says_"), [("waits", "waiting"), ("later", "opens")])
def test_the_event_is_not_open_and_then_it_is(service, pages, tab, event, says_):
    tab.goto(pages.page(tag(service, event)))
    found = tab.locator("#streamcount-check li#event")
    expect(found).to_have_attribute("data-says", f"check_event_{says_}")
    todo(tab, "event", "check_do_waiting")
    if event == "later":  # and is opened earlier than it was to
        expect(found).to_contain_text("2033-05-18")
    says(tab, "heartbeat", "check_beat_early")
    says(tab, "counted", "check_counted_not_yet")
    sums(tab, "ready")
    service.open(event)
    says(tab, "event", "check_event_open", event=event)
    sums(tab, "counted")


def test_the_event_is_over(service, pages, tab):
    tab.goto(pages.page(tag(service, "over")))
    says(tab, "connection", "check_code_4409")
    todo(tab, "connection", "check_do_4409")
    closed = says(tab, "event", "check_event_closed", event="over")
    expect(closed.locator(".todo")).to_be_hidden()


@LANGUAGES
def test_the_player_is_paused(service, pages, tab, lang):
    tab.goto(pages.page(tag(service, "opens"), lang=lang))
    sums(tab, "counted", lang)
    tab.evaluate("film.pause()")
    says(tab, "heartbeat", "check_beat_paused", lang)
    todo(tab, "heartbeat", "check_do_paused", lang)
    before = tab.locator("#streamcount-check li#counted")
    expect(before).to_have_attribute("data-says", "check_counted_before")
    sums(tab, "not", lang)
    # The break is acknowledged, and that is no sign of being counted.
    paused = tab.evaluate("streamcount.watching.lastBeat.seq")
    tab.wait_for_function(f"(streamcount.watching.lastAck || {{}}).seq >= {paused}")
    tab.wait_for_timeout(1200)
    sums(tab, "not", lang)
    tab.evaluate("film.play()")
    sums(tab, "counted", lang)


def test_the_player_is_muted_where_that_does_not_count(service, pages, tab):
    tab.goto(pages.page(tag(service, "strict")))
    says(tab, "heartbeat", "check_noted_muted")
    todo(tab, "heartbeat", "check_do_muted")
    sums(tab, "not")
    tab.evaluate("film.muted = false")
    sums(tab, "counted")


def test_the_page_is_of_an_origin_that_does_not_count(service, pages, tab):
    tab.goto(pages.page(tag(service, "ours")))
    says(tab, "connection", "check_code_4403")
    todo(tab, "connection", "check_do_4403")
    sums(tab, "not")


@LANGUAGES
def test_the_server_cannot_be_reached(service, pages, tab, lang):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and never listens
        nowhere = f"127.0.0.1:{held.getsockname()[1]}"
        data = f'data-check="{lang}" data-server="http://{nowhere}"'
        tab.goto(pages.page(tag(service, "opens", data)))
        says(tab, "connection", "check_connection_no", lang, server=nowhere)
        todo(tab, "connection", "check_do_unreachable", lang)
        sums(tab, "not", lang)


def test_the_page_has_a_strict_policy_that_forgot_the_server(service, pages, tab):
    policy = f"default-src 'none'; script-src {service.public} 'unsafe-inline'; connect-src 'self'"
    headers = {"Content-Security-Policy": policy}
    tab.goto(pages.page(tag(service, "opens"), headers=headers))
    server = service.public.removeprefix("http://")
    says(tab, "connection", "check_connection_blocked", server=server)
    todo(tab, "connection", "check_do_blocked", sources=f"http://{server} ws://{server}")
    # Styled all the same: no style of this page may be inline.
    width = tab.evaluate(
        "document.getElementById('streamcount-check').getBoundingClientRect().width"
    )
    assert 200 < width < 420
    assert (
        tab.evaluate("getComputedStyle(document.getElementById('streamcount-check')).position")
        == "fixed"
    )


def test_the_language_is_the_tags_then_the_pages_then_the_browsers(service, pages, browser):
    for tag_lang, page_lang, browser_lang, expected in [
        ("ar", "en", "en-GB", "ar"),
        ("", "ar", "en-GB", "ar"),
        ("", "", "ar-SA", "ar"),
        ("", "fr", "de-DE", "en"),
    ]:
        context = browser.new_context(locale=browser_lang)
        tab = context.new_page()
        data = f'data-check="{tag_lang}"' if tag_lang else "data-check"
        tab.goto(pages.page(tag(service, "opens", data), lang=page_lang))
        expect(tab.locator("#streamcount-check section")).to_have_attribute("lang", expected)
        context.close()


def test_it_folds_and_closes_by_keyboard_and_is_never_there_twice(service, pages, tab):
    address = pages.page(tag(service, "opens", "") * 2)
    tab.goto(f"{address}#streamcount-check")
    sums(tab, "counted")
    assert tab.locator("#streamcount-check").count() == 1
    fold = tab.locator("#streamcount-check #fold")
    lines = tab.locator("#streamcount-check #lines")
    fold.focus()
    tab.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(lines).to_be_hidden()
    tab.keyboard.press("Space")
    expect(lines).to_be_visible()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Close")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator("#streamcount-check")).to_have_count(0)
    # The page is counted on.
    tab.wait_for_function("streamcount.watching.connected")


@LANGUAGES
def test_on_a_phone_it_fits_and_stays_off_the_players_controls(service, pages, browser, lang):
    context = browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True
    )
    tab = context.new_page()
    tab.goto(
        pages.page(
            tag(service, "opens"),
            lang=lang,
            body="<style>video{width:100%;display:block}body{margin:0}</style>",
        )
    )
    sums(tab, "counted", lang)
    expect(tab.locator("#streamcount-check #fold")).to_have_attribute("aria-expanded", "false")
    # It stands anew once its words are there.
    tab.wait_for_function(
        """() => {
          const [panel, film] = ["#streamcount-check", "video"].map((name) => document.querySelector(name).getBoundingClientRect());
          return panel.left >= 0 && panel.right <= 360 && (panel.top >= film.bottom || panel.bottom <= film.top);
        }"""
    )
    tab.locator("#streamcount-check #fold").tap()
    expect(tab.locator("#streamcount-check #lines")).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_every_reason_of_the_protocol_has_its_words_and_what_to_do(service):
    protocol = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    reasons = protocol.partition("| `why` |")[2].partition("\n\n")[0]
    noted = re.findall(r"`([a-z-]+)`", reasons)
    script = (ROOT / "streamcount" / "embed" / "check.js").read_text("utf-8")
    codes = json.loads(re.search(r"CODES = (\[.*?\])", script)[1])
    told = re.findall(r"^\| (\d{4})", protocol.partition("## Close codes")[2], re.MULTILINE)
    assert set(map(int, told)) - set(codes) <= {1000, 1001, 1002}
    for lang in ("en", "ar"):
        for why in noted:
            for family in ("noted", "do"):
                assert catalogue(lang).say(f"check_{family}_{why.replace('-', '_')}", event="x")
        for code in codes:
            values = {"event": "x", "stream": "y", "server": "z"}
            assert catalogue(lang).say(f"check_code_{code}", **values)
            assert catalogue(lang).say(f"check_do_{code}")


# --- YouTube, of which the tests have a stand-in ---


def tube(video, more=""):
    """An iframe as it is pasted."""
    return (
        f"<iframe src='https://www.youtube.com/embed/{video}' width=560 height=315 {more}></iframe>"
    )


@pytest.mark.parametrize(
    ("video", "api", "key", "do"),
    [
        ("error-150?autoplay=1", True, "youtube_error", "youtube_error_150"),
        ("error-5?autoplay=1", True, "youtube_error", "youtube_error"),
        ("silent", False, "youtube_blocked", "youtube_blocked"),
        ("silent", True, "youtube_waiting", "youtube_waiting"),
    ],
)
@LANGUAGES
def test_what_is_wrong_with_a_youtube_player_is_told(
    service, pages, tab, lang, video, api, key, do
):
    youtube_stand_in.install(tab, api=api)
    tab.goto(pages.page(tag(service, "opens"), lang=lang, film=False, body=tube(video)))
    code = re.match(r"error-(\d+)", video)
    says(tab, "player", f"check_player_{key}", lang, code=code[1] if code else "")
    todo(tab, "player", f"check_do_{do}", lang)


def test_a_youtube_player_that_plays_is_counted(service, pages, tab):
    youtube_stand_in.install(tab)
    tab.goto(pages.page(tag(service, "opens"), film=False, body=tube("lesson?autoplay=1")))
    says(tab, "player", "check_player_found", player="youtube")
    sums(tab, "counted")
