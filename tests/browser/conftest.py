"""A real browser, Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.site import Site
from tests.service import PATIENT_S

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
# How long something takes is the machine's affair, not a test's.
PATIENT_MS = 1000 * PATIENT_S
expect.set_options(timeout=PATIENT_MS)
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
        patiently(running)
        yield running
        running.close()


def patiently(running):
    """Have a browser's pages wait as long as `expect` does; Playwright's own patience is 30 s."""
    new_context, new_page = running.new_context, running.new_page

    def patient_context(**options):
        context = new_context(**options)
        context.set_default_timeout(PATIENT_MS)
        return context

    def patient_page(**options):
        page = new_page(**options)
        page.context.set_default_timeout(PATIENT_MS)
        return page

    running.new_context, running.new_page = patient_context, patient_page


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
