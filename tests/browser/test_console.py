"""The operators' console in a real browser, on a running service."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.service import run, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("console")) as running:
        yield running


def link(service):
    token = (service.data / "operator.token").read_text().strip()
    return f"{service.told['operator']}/#token={token}"


def test_an_event_from_creation_to_evidence_in_the_console(service, page, tmp_path):
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(link(service))
    page.click("summary")
    for name, value in {
        "id": "shown",
        "en": "Shown",
        "ar": "معروض",
        "window": "7",
        "interval": "1",
        "target": "3",
    }.items():
        page.fill(f"[name={name}]", value)
    page.click("form button")
    page.wait_for_url("**/?event=shown")
    page.wait_for_selector("#open:enabled")
    key = page.text_content("#key")
    assert key
    page.click("#open")
    page.wait_for_selector("#close:enabled")
    service.wait_for(
        lambda: (
            (service.counts("shown")["now"] or 0)
            > service.ask("event", "show", "shown")["first_tick"]
        )
    )
    told = service.ask(
        "simulate",
        "shown",
        "--viewers",
        "5",
        "--ramp",
        "2",
        "--mix",
        "1",
        "--together",
        "10",
        "--leave",
        "2",
        "--churn",
        "0",
    )
    assert told["different"] == 0
    expect(page.locator("#peak")).to_have_text("5")
    expect(page.locator("#target")).to_contain_text("beaten")
    expect(page.locator("#curve_proven")).to_have_attribute("d", re.compile(r"(L.*){6}"))
    expect(page.locator("#rehearsal")).to_be_visible()
    expect(page.locator("#reached")).to_contain_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
    page.screenshot(path=tmp_path / "console-en.png")
    page.click("#language")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator(".peak")).to_contain_text("الذروة المؤكدة")
    page.screenshot(path=tmp_path / "console-ar.png")
    page.click("#close")
    expect(page.locator("#stage")).to_have_text("نهائية")
    with page.expect_download() as download:
        page.click("#evidence")
    pack = tmp_path / "pack.zip"
    download.value.save_as(pack)
    assert download.value.suggested_filename == "shown-final.zip"
    assert "5 proven viewers" in run("verify", str(pack), "--key", key).stdout


def test_without_the_token_the_console_shows_nothing_and_says_why(service, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(service.told["operator"])
    expect(page.locator("#notice")).to_contain_text("token")
    expect(page.locator("#event")).to_be_hidden()
    context.close()
