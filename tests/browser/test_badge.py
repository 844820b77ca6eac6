"""The badge in a real browser on a real service: what it shows, and when it says nothing."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from streamcount.embed.client import Viewer
from streamcount.words import catalogue
from tests.browser.elsewhere import elsewhere
from tests.browser.frames import until
from tests.service import serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "streamcount" / "embed" / "badge.js"
# Seconds pass faster: no pause between two questions is longer than this. An answer may take what it takes.
PATIENCE_MS = re.search(r"ANSWER_WITHIN_MS = (\d+);", SCRIPT.read_text("utf-8"))[1]
QUICK = f"""
  const later = window.setTimeout;
  window.setTimeout = (action, ms, ...rest) => later(action, ms === {PATIENCE_MS} ? 180000 : Math.min(ms, 600), ...rest);
"""
# No time passes for what asks this clock, but what is set.
STILL = "const began = Date.now(); window.passed = 0; Date.now = () => began + passed;"


async def watched(service, event, viewers):
    """Have that many watch together until all are confirmed."""
    url = service.public.replace("http", "ws") + "/v1/viewers"
    watching = [Viewer(url, event=event, viewer=f"viewer-{n:04}") for n in range(viewers)]
    running = [asyncio.create_task(viewer.run()) for viewer in watching]
    for viewer in watching:
        viewer.play()
    await asyncio.to_thread(service.wait_for, lambda: service.counts(event)["peak"] == viewers)
    for viewer in watching:
        await viewer.leave()
    await asyncio.gather(*running)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("badge")) as running:
        running.create("waits", title={"en": "A lesson", "ar": "درس"})
        running.create("attempt", kind="attempt")
        running.open("attempt")
        asyncio.run(watched(running, "attempt", 5))
        yield running


@pytest.fixture(scope="module")
def pages():
    with elsewhere() as running:
        yield running


def badge_page(service, pages, attributes, *, lang="en", headers=None, body=""):
    scripts = (
        f'<script src="{service.public}/badge.js"></script>'
        f"<streamcount-badge {attributes}></streamcount-badge>{body}"
    )
    return pages.page(scripts, lang=lang, film=False, headers=headers)


def part(page, name):
    return page.locator(f"streamcount-badge #{name}")


def answers(page, service, **change):
    """Let the service's answers come with something else in them, as in an outage, a race or an attack.

    They are certain unless that says otherwise: a service that is busy may be uncertain just when it is asked.
    """
    real = {}

    def changed(route):
        if not real:
            real.update(route.fetch().json() | {"uncertain": False})
        body = json.dumps(real | change)
        route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*"})

    page.route("**/count", changed)
    return change


@pytest.mark.parametrize(
    ("attributes", "lang", "peak", "direction"),
    [
        ('event="attempt"', "en", "5", "ltr"),
        ('event="attempt" lang="ar"', "ar", "5", "rtl"),
        ('event="attempt" lang="ar" digits="arab"', "ar", "٥", "rtl"),
        ('event="attempt" lang="en" digits="arab"', "en", "٥", "ltr"),
    ],
)
def test_the_confirmed_peak_large_and_now_small(
    service, pages, page, attributes, lang, peak, direction
):
    page.goto(badge_page(service, pages, attributes))
    words = catalogue(lang)
    expect(part(page, "peak")).to_have_text(peak)
    expect(part(page, "label")).to_have_text(words.say("badge_peak"))
    expect(part(page, "live")).to_contain_text(words.say("badge_live"))
    expect(part(page, "badge")).to_have_attribute("dir", direction)
    expect(part(page, "kind")).to_be_hidden()
    name = words.say("badge_full_peak", n=peak)
    expect(page.get_by_role("img", name=re.compile(re.escape(name)))).to_be_visible()
    sizes = [
        page.evaluate(
            f"parseFloat(getComputedStyle(document.querySelector('streamcount-badge').shadowRoot.querySelector('#{name}')).fontSize)"
        )
        for name in ("peak", "live")
    ]
    assert sizes[0] > 2.5 * sizes[1]


def test_a_rehearsal_that_is_not_open_says_both(service, pages, page):
    page.goto(badge_page(service, pages, 'event="waits"', lang="ar"))
    expect(part(page, "kind")).to_have_text("تجربة")
    expect(part(page, "label")).to_have_text(catalogue("ar").say("badge_waiting"))
    expect(part(page, "peak")).to_be_hidden()
    expect(part(page, "live")).to_be_hidden()
    sentence = part(page, "badge").get_attribute("aria-label")
    assert catalogue("ar").say("badge_full_rehearsal") in sentence


def test_where_there_is_no_such_event_there_is_no_badge(service, pages, browser):
    page = browser.new_page()  # a 404 is a complaint of the browser's
    thrown = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    with page.expect_response("**/count"):
        page.goto(badge_page(service, pages, 'event="nowhere"'))
    page.wait_for_timeout(500)
    expect(part(page, "badge")).to_be_hidden()
    assert (
        page.evaluate("document.querySelector('streamcount-badge').getBoundingClientRect().height")
        == 0
    )
    page.evaluate("document.querySelector('streamcount-badge').setAttribute('event', 'attempt')")
    expect(part(page, "peak")).to_have_text("5")
    page.evaluate("document.querySelector('streamcount-badge').setAttribute('event', 'nowhere')")
    expect(part(page, "badge")).to_be_hidden()
    assert thrown == []
    page.close()


def test_before_a_certain_answer_it_is_silent(service, pages, page):
    answers(page, service, uncertain=True, peak=0, archived=None)
    with page.expect_response("**/count"):
        page.goto(badge_page(service, pages, 'event="attempt"'))
    page.wait_for_timeout(500)
    expect(part(page, "badge")).to_be_hidden()


def test_uncertain_the_peak_stays_greyed_and_the_number_of_now_goes(service, pages, page):
    page.add_init_script(QUICK)
    change = answers(page, service, live=7)
    page.goto(badge_page(service, pages, 'event="attempt"'))
    expect(part(page, "live")).to_contain_text("7")
    sure = page.evaluate(COLOUR)
    change.update(uncertain=True, peak=99, live=99)
    expect(part(page, "state")).to_have_text(catalogue("en").say("badge_updating"))
    expect(part(page, "live")).to_be_hidden()
    expect(part(page, "peak")).to_have_text("5")
    page.wait_for_function(f"({COLOUR}) !== '{sure}'")
    assert "99" not in part(page, "badge").get_attribute("aria-label")
    change.update(uncertain=False, peak=8, live=8)
    expect(part(page, "peak")).to_have_text("8")
    expect(part(page, "state")).to_be_hidden()


COLOUR = "getComputedStyle(document.querySelector('streamcount-badge').shadowRoot.querySelector('#peak')).color"


def test_an_older_answer_changes_nothing(service, pages, page):
    page.add_init_script(QUICK)
    change = answers(page, service, archived=1000, peak=50)
    page.goto(badge_page(service, pages, 'event="attempt"'))
    expect(part(page, "peak")).to_have_text("50")
    change.update(archived=999, peak=49)
    for _ in range(3):  # the first of them may have been under way
        with page.expect_response("**/count"):
            pass
    page.wait_for_timeout(500)
    expect(part(page, "peak")).to_have_text("50")
    # Newer and lower: viewers were excluded.
    change.update(archived=1001, peak=48)
    expect(part(page, "peak")).to_have_text("48")


@pytest.mark.parametrize(
    "change",
    [
        {"peak": "<b>9</b>"},
        {"peak": -1},
        {"live": None},
        {"peak": 1e300},
        {"state": 1},
        {"peak": [9]},
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_nothing(service, pages, page, change):
    answers(page, service, **change)
    with page.expect_response("**/count"):
        page.goto(badge_page(service, pages, 'event="attempt"'))
    page.wait_for_timeout(500)
    expect(part(page, "badge")).to_be_hidden()


def test_only_a_new_peak_is_told_and_not_the_first(service, pages, page):
    page.add_init_script(QUICK + STILL)
    change = answers(page, service, archived=1000, peak=50, live=1)
    page.goto(badge_page(service, pages, 'event="attempt"'))
    expect(part(page, "peak")).to_have_text("50")
    told = part(page, "told")
    change.update(archived=1001, live=2)
    expect(part(page, "live")).to_contain_text("2")
    expect(told).to_have_text("")
    change.update(archived=1002, peak=51)
    expect(told).to_have_text(catalogue("en").say("badge_full_peak", n=51))
    expect(told).to_have_attribute("role", "status")
    change.update(archived=1003, peak=52)
    expect(part(page, "peak")).to_have_text("52")
    expect(told).to_have_text(catalogue("en").say("badge_full_peak", n=51))
    page.evaluate("passed = 21_000")
    expect(told).to_have_text(catalogue("en").say("badge_full_peak", n=52))


def test_a_hidden_or_removed_badge_asks_nothing(service, pages, page):
    page.add_init_script(QUICK)
    asked = []
    page.on(
        "request", lambda request: asked.append(request.url) if "/count" in request.url else None
    )
    page.goto(badge_page(service, pages, 'event="attempt"'))
    expect(part(page, "peak")).to_have_text("5")
    page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(1000)
    before = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == before
    page.evaluate(
        "delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))"
    )
    until(page, lambda: len(asked) > before)
    page.evaluate("document.querySelector('streamcount-badge').remove()")
    page.wait_for_timeout(1000)
    before = len(asked)
    page.wait_for_timeout(2000)
    assert len(asked) == before


def test_it_works_under_a_strict_policy(service, pages, page):
    policy = f"default-src 'none'; img-src data:; script-src {service.public}; connect-src {service.public}"
    # The page of the tests has an empty inline script; this one has none.
    address = badge_page(
        service, pages, 'event="attempt"', headers={"Content-Security-Policy": policy}
    )
    path = address.removeprefix(pages.origin)
    text, headers = pages.pages[path]
    pages.pages[path] = (text.replace("<script></script>", ""), headers)
    page.goto(address)
    expect(part(page, "peak")).to_have_text("5")
    # Styled by its own sheet; and its colours have contrast, by the numbers.
    expect(part(page, "peak")).to_have_css("color", "rgb(20, 108, 56)")


def test_the_example_page_shows_three(service, page):
    page.goto(f"{service.public}/examples/badge.html?event=attempt")
    peaks = page.locator("streamcount-badge #peak")
    expect(peaks).to_have_text(["5", "5", "٥"])


# --- Without a browser ---


def test_its_words_are_those_of_the_catalogue():
    text = SCRIPT.read_text("utf-8")
    for lang in ("en", "ar"):
        block = re.search(rf"^    {lang}: \{{\n(.*?)^    \}},$", text, re.MULTILINE | re.DOTALL)[1]
        copied = {
            key: json.loads(value)
            for key, value in re.findall(r'^      (\w+): (".*"),$', block, re.MULTILINE)
        }
        whole = json.loads((ROOT / "streamcount" / "words" / f"{lang}.json").read_text("utf-8"))
        assert copied == {key: said for key, said in whole.items() if key.startswith("badge_")}


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def schemes(text, names):
    """The colours of the light scheme and those of the dark one."""
    light, dark = text.split("@media (prefers-color-scheme: dark)")[:2]
    return [
        {name: re.search(rf"--{name}[,:] ?(#\w+)", half)[1] for name in names}
        for half in (light, dark)
    ]


@pytest.mark.parametrize(
    ("name", "inks", "paper"),
    [
        ("badge.js", ["streamcount-ink", "streamcount-faint", "streamcount-accent", "streamcount-loud"], "streamcount-paper"),
        ("check.js", ["ink", "faint", "yes", "no", "mind"], "paper"),
    ],
)  # fmt: skip
def test_every_text_has_contrast_in_light_and_dark(name, inks, paper):
    text = (SCRIPT.parent / name).read_text("utf-8")
    for colours in schemes(text, [*inks, paper]):
        for ink in inks:
            assert contrast(colours[ink], colours[paper]) >= 4.5, (name, ink, colours)
