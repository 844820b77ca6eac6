"""verify.html in a real browser, opened as a file: what an adjudicator does with it, and that it talks to nobody."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from streamcount.verifier import page as assembled
from tests.browser.conftest import ARGUMENTS, CHROMIUM

NODE = shutil.which("node")
HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)"),
]


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs")
    (folder / "verify.html").write_text(assembled(), "utf-8")
    written = subprocess.run(
        [NODE, str(HERE / "samples.mjs"), str(folder)], capture_output=True, timeout=300, check=True
    )
    return {"page": (folder / "verify.html").as_uri(), **json.loads(written.stdout)}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def opened(browser, packs):
    """Opens the page in a language; whatever it asks for or complains of is a failure."""
    contexts, asked, complaints = [], [], []

    def open_in(locale="en-US", first=None):
        context = browser.new_context(locale=locale, timezone_id="America/Lima")
        contexts.append(context)
        page = context.new_page()
        if first:
            page.add_init_script(first)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(packs["page"])
        return page

    yield open_in
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in asked if url != packs["page"] and not url.startswith("blob:")] == []


def drop(page, *paths):
    """Drops files onto the page, as a mouse would."""
    page.evaluate("window.carried = new DataTransfer()")
    page.evaluate(
        "() => { const input = document.createElement('input'); input.type = 'file'; input.multiple = true;"
        " input.id = 'hand'; document.body.append(input); }"
    )
    page.set_input_files("#hand", list(paths))
    page.evaluate(
        "() => { const hand = document.getElementById('hand');"
        " for (const file of hand.files) carried.items.add(file); hand.remove();"
        " window.dispatchEvent(new DragEvent('drop', {dataTransfer: carried, cancelable: true})); }"
    )


def report(page):
    return json.loads(page.locator(".machine textarea").input_value())


def test_a_true_pack_is_dropped_and_its_number_seen_in_both_languages(opened, packs):
    page = opened()
    page.fill("#key", f"  {packs['attempt']['key']}\n")
    drop(page, packs["attempt"]["path"], packs["kept"])
    expect(page.locator("#verdict h2")).to_have_text("It holds")
    expect(page.locator(".number .big")).to_have_text(str(packs["attempt"]["value"]))
    expect(page.locator(".key")).to_contain_text(
        "Checkpoints that you gave, all of this same history: 1"
    )
    utc = packs["attempt"]["utc"].replace("T", " ").replace("Z", " UTC")
    expect(page.locator(".number")).to_contain_text(utc)
    expect(page.locator(".number")).to_contain_text("(UTC+03:00)")
    expect(page.locator(".number")).to_contain_text("Asia/Riyadh")
    expect(page.locator("svg.curve circle.peak")).to_have_count(1)
    expect(page.locator("svg.curve rect.gap")).to_have_count(2)
    expect(page.locator(".unchecked li").first).to_be_visible()
    # What a pack says is text, and turns nothing around.
    expect(page.locator("section img")).to_have_count(0)
    expect(page.get_by_text("<img src=x onerror=alert(1)>\ufffdevil").first).to_be_visible()
    found = report(page)
    assert (found["outcome"], found["levels"]) == ("holds", ["L1", "L2"])
    assert found["claim"]["value"] == packs["attempt"]["value"]

    page.click("#language")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("#verdict h2")).to_have_text("سليمة")
    arabic = "".join("٠١٢٣٤٥٦٧٨٩"[int(digit)] for digit in str(packs["attempt"]["value"]))
    expect(page.locator(".number .big")).to_have_text(arabic)
    page.click("#digits")
    expect(page.locator(".number .big")).to_have_text(str(packs["attempt"]["value"]))


def test_a_browser_in_arabic_is_spoken_to_in_arabic_and_a_rehearsal_named(opened, packs):
    page = opened("ar-SA")
    expect(page.locator("h1")).to_have_text("التحقق من حزمة أدلة")
    page.set_input_files("#choose", packs["rehearsal"]["path"])
    expect(page.locator(".rehearsal h2")).to_have_text("تجربة")
    expect(page.locator(".key.warning")).to_contain_text("لم يُعطَ مفتاح")
    page.click("#language")
    expect(page.locator(".rehearsal h2")).to_have_text("REHEARSAL")
    expect(page.locator(".number .label")).to_contain_text("nothing is claimed")
    assert report(page)["key_given"] is False


def test_what_does_not_hold_is_told_from_what_cannot_be_read_and_the_place_is_named(opened, packs):
    page = opened()
    page.set_input_files("#choose", packs["spoilt"]["path"])
    expect(page.locator("#verdict h2")).to_have_text("It does not hold")
    expect(page.locator(".place")).to_contain_text("entry 2 (tick 1790000000): live: 7 ≠ 1")
    expect(page.locator(".number")).to_have_count(0)
    page.set_input_files("#choose", packs["damaged"]["path"])
    expect(page.locator("#verdict h2")).to_have_text("It cannot be read")
    expect(page.locator(".place")).to_contain_text(re.compile(r"tile/|body/|directory"))
    page.set_input_files("#choose", packs["kept"])
    expect(page.locator("#verdict p").nth(1)).to_contain_text("no evidence pack")


def test_another_key_is_refused_and_the_right_one_taken_afterwards(opened, packs):
    page = opened()
    page.fill("#key", packs["rehearsal"]["key"])
    page.set_input_files("#choose", packs["attempt"]["path"])
    expect(page.locator("#verdict h2")).to_have_text("It does not hold")
    expect(page.locator("#verdict")).to_contain_text("another key")
    page.fill("#key", packs["attempt"]["key"])
    page.click("#check")
    expect(page.locator("#verdict h2")).to_have_text("It holds")


def test_a_browser_that_has_neither_workers_nor_webcrypto_comes_to_the_same(opened, packs):
    page = opened(
        first="delete window.Worker; delete window.crypto; delete Window.prototype.crypto;"
    )
    assert page.evaluate("typeof Worker + typeof crypto") == "undefinedundefined"
    page.fill("#key", packs["attempt"]["key"])
    page.set_input_files("#choose", packs["attempt"]["path"])
    expect(page.locator("#verdict h2")).to_have_text("It holds")
    assert report(page)["levels"] == ["L1", "L2"]
    page.click("#over")
    expect(page.locator("#verdict")).to_have_count(0)
    assert page.input_value("#key") == ""


def test_it_can_be_used_by_keyboard_alone(opened, packs):
    page = opened()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "check":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#doing")).to_have_text("Choose a pack first.")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.set_input_files("#choose", packs["attempt"]["path"])
    expect(page.locator("#verdict")).to_be_focused()


def test_the_policy_lets_nothing_else_run(packs):
    text = assembled()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(
        r"\b(?:fetch|XMLHttpRequest|WebSocket|importScripts|eval|innerHTML|outerHTML)\b", text
    )
    assert "src=" not in re.sub(r"-src\b", "", text.split("<script")[0])
