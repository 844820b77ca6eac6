"""Test my page: an operator in the console, a page of somebody else, and what the server tells of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import TimeoutError as Late
from playwright.sync_api import expect

from streamcount.words import catalogue
from tests.browser.elsewhere import elsewhere
from tests.service import serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("mypage"), STREAMCOUNT_TEST_LIFE_S="900") as running:
        running.create("lesson", policy={"muted_counts": False})
        running.create("short")
        yield running


@pytest.fixture(scope="module")
def pages():
    with elsewhere() as running:
        yield running


def console(service, page, event):
    token = (service.data / "operator.token").read_text().strip()
    page.goto(f"{service.told['operator']}/?event={event}#token={token}")
    page.wait_for_selector("#event:not([hidden])")


def verdict(page, name, lang="en"):
    said = catalogue(lang).say(f"test_verdict_{name}", code="{code}").partition("{")[0]
    expect(page.locator("#test_verdict")).to_contain_text(said)


def seen(page, mine):
    """Load a page until the console shows it: on a machine that is slow, workers learn of codes late."""
    for _ in range(12):
        try:
            page.wait_for_selector("#test_connections .hello", timeout=15_000)
        except Late:
            mine.reload()
        else:
            return
    raise AssertionError("the console never showed the page")


def tag(service, event):
    return f'<script src="{service.public}/streamcount.js" data-event="{event}"></script>'


def test_a_page_from_its_address_to_being_counted(service, pages, page, browser):
    console(service, page, "lesson")
    page.click("#test")
    expect(page.locator("#test_title")).to_be_focused()
    verdict(page, "nobody")
    address = pages.page(tag(service, "lesson"))
    page.fill("#test_address", f"{address}?lesson=1")
    wanted = re.compile(re.escape(address) + r"\?lesson=1#streamcount-test=[a-z2-7]{12}")
    expect(page.locator("#test_link")).to_have_attribute("href", wanted)
    link = page.get_attribute("#test_link", "href")
    with page.expect_popup() as popup:
        page.click("#test_link")
    mine = popup.value
    seen(page, mine)
    # Muted, which this event does not count; and not open yet.
    verdict(page, "muted")
    rows = page.locator("#test_connections tbody tr")
    expect(rows.first).to_contain_text("does nothing (muted)")
    hello = page.locator("#test_connections .hello").first
    expect(hello).to_contain_text(pages.origin)
    expect(hello).to_contain_text("html5")
    expect(hello).to_contain_text("lesson/main")
    mine.evaluate("film.muted = false")
    verdict(page, "would_count")
    # Which of the two it is depends on whether the event has got a time to open at.
    early = "|".join(
        re.escape(catalogue("en").say(f"test_why_{why}")) for why in ("not_open", "not_ready")
    )
    expect(rows.first).to_contain_text(re.compile(early))
    # The page itself shows the overlay, with the code.
    expect(mine.locator("#streamcount-check #test")).to_contain_text(link[-12:])
    service.open("lesson")
    verdict(page, "counted")
    expect(page.locator("#test_verdict")).to_have_class(re.compile("good"))
    expect(page.locator("#test_connections tbody")).to_contain_text("acknowledged")
    page.click("#language")
    verdict(page, "counted", "ar")
    mine.evaluate("film.pause()")
    verdict(page, "paused", "ar")
    mine.close()
    hello = page.locator("#test_connections .hello").first
    expect(hello).to_contain_text(catalogue("ar").say("test_gone"))
    page.click("#test_end")
    expect(page.locator("#testing")).to_be_hidden()
    expect(page.locator("#test")).to_be_focused()


def test_a_page_whose_tag_names_another_event_is_told_so(service, pages, page, browser):
    console(service, page, "short")
    page.click("#test")
    page.fill("#test_address", pages.page(tag(service, "shorter")))
    expect(page.locator("#test_link")).to_have_attribute("href", re.compile("#streamcount-test="))
    context = browser.new_context()
    mine = context.new_page()
    mine.goto(page.get_attribute("#test_link", "href"))
    seen(page, mine)
    expect(page.locator("#test_verdict")).to_contain_text("shorter")
    expect(page.locator("#test_verdict")).to_have_class(re.compile("bad"))
    context.close()


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "my page", "//x"]
)
def test_what_is_no_address_of_a_page_becomes_no_link(service, page, address):
    console(service, page, "short")
    page.click("#test")
    page.fill("#test_address", address)
    expect(page.locator("#test_link")).to_be_hidden()
    assert page.get_attribute("#test_link", "href") is None
    expect(page.locator("#test_note")).to_have_text(catalogue("en").say("test_no_address"))


def test_what_a_hostile_page_says_of_itself_is_shown_as_text(service, pages, page, browser):
    console(service, page, "short")
    page.click("#test")
    expect(page.locator("#test_hash")).to_contain_text("streamcount-test")
    code = page.text_content("#test_hash")[-12:]
    address = service.public.replace("http", "ws") + "/v1/viewers"
    context = browser.new_context()
    stranger = context.new_page()
    stranger.goto(pages.page(""))
    evil = "<img src=x onerror=document.title=1>"
    stranger.evaluate(
        """([address, test, evil]) => setInterval(() => {
          const socket = new WebSocket(address, "streamcount.v1");
          socket.onopen = () => socket.send(JSON.stringify({type: "hello", event: "short", stream: "main",
            viewer: "viewer-0001", player: evil, source: evil, test}));
        }, 2000)""",
        [address, code, evil],
    )
    expect(page.locator("#test_connections .hello").first).to_contain_text(evil)
    assert page.locator("#test_connections img").count() == 0
    context.close()
