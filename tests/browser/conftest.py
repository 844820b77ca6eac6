"""A real browser, Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.site import Site

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
# How long something takes is the machine's affair, not a test's.
expect.set_options(timeout=45_000)
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium found: the browser tests need Debian's package chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def page(browser):
    """A page; what it complains about is a failure."""
    yield from complaining(browser, lambda _: False)


@pytest.fixture
def page_cut_off(browser):
    """A page whose connections fail, as the browser may tell."""
    yield from complaining(browser, lambda text: "net::ERR_" in text)


def complaining(browser, expected):
    opened = browser.new_page()
    complaints = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console", lambda told: complaints.append(told.text) if told.type == "error" else None
    )
    yield opened
    opened.close()
    assert [text for text in complaints if not expected(text)] == []


@pytest.fixture
def site():
    serving = Site()
    yield serving
    serving.close()
