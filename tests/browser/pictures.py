"""Takes the pictures of the README and the docs from a running service: `make pictures`.

2,135 simulated viewers, the console in both languages while all of them watch; the badge and the overlay
beside a player, and a page under test.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.service import Service

OUT = Path(__file__).parents[2] / "docs" / "pictures"
VIEWERS = 2135


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Service(folder / "data", folder / "log") as service:
            take(service)


def take(service):
    service.run(
        *["event", "create", "lesson", "--window", "11", "--interval", "3"],
        *["--title", "The biggest volunteering lesson", "--title-ar", "أكبر درس في التطوع"],
        *["--target", "2000", "--timezone", "Asia/Riyadh"],
    )
    service.open()
    crowd = subprocess.Popen(
        [
            *[sys.executable, "-m", "streamcount", "simulate", "lesson", "--data", service.data],
            *f"--viewers {VIEWERS} --ramp 25 --mix 20 --together 40 --leave 5".split(),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        service.wait_for(lambda: service.counts("lesson")["peak"] == VIEWERS, 120)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(
                viewport={"width": 1200, "height": 760}, device_scale_factor=1.2
            )
            token = (service.data / "operator.token").read_text().strip()
            page.goto(f"{service.told['operator']}/?event=lesson#token={token}")
            page.wait_for_selector("#curve_proven[d]", state="attached")
            page.wait_for_timeout(3_000)
            for language in ("en", "ar"):
                page.screenshot(path=OUT / f"console-{language}.png")
                page.click("#language")
                page.wait_for_timeout(1_500)
            page.set_viewport_size({"width": 760, "height": 700})
            page.goto(f"{service.public}/examples/watch.html?event=lesson&lang=ar")
            page.wait_for_selector("#counted.yes", timeout=45_000)
            page.screenshot(path=OUT / "watch-ar.png")
            take_badges(service, page)
            for language in ("en", "ar"):
                take_checks(service, browser, language)
            browser.close()
    finally:
        crowd.terminate()
        crowd.wait(20)


def take_badges(service, page):
    """The example page of badges, at the height it has."""
    page.set_viewport_size({"width": 760, "height": 190})
    page.goto(f"{service.public}/examples/badge.html?event=lesson")
    page.wait_for_function(
        "[...document.querySelectorAll('streamcount-badge')].every((one) => one.offsetHeight > 50)"
    )
    page.wait_for_timeout(1_000)
    page.screenshot(path=OUT / "badge.png")


def take_checks(service, browser, language):
    """A page that is counted and one that is paused, with the overlay; the console testing the latter."""
    desk = browser.new_page(viewport={"width": 900, "height": 800})
    token = (service.data / "operator.token").read_text().strip()
    desk.goto(f"{service.told['operator']}/?event=lesson#token={token}")
    desk.wait_for_selector("#test:enabled")
    if desk.get_attribute("html", "lang") != language:
        desk.click("#language")
    desk.click("#test")
    address = f"{service.public}/examples/watch.html?event=lesson&lang={language}"
    desk.fill("#test_address", address)
    page = browser.new_page(viewport={"width": 760, "height": 700})
    page.goto(desk.get_attribute("#test_link", "href"))
    page.wait_for_selector("#streamcount-check[data-sum=counted]", timeout=60_000)
    page.wait_for_timeout(1_000)
    page.screenshot(path=OUT / f"check-{language}.png")
    desk.wait_for_selector("#test_verdict.good", timeout=60_000)
    desk.wait_for_timeout(4_000)
    desk.locator("#testing").screenshot(path=OUT / f"test-{language}.png")
    page.click("#toggle")
    page.wait_for_selector("#streamcount-check[data-sum=not]", timeout=60_000)
    page.wait_for_timeout(1_000)
    page.locator("#streamcount-check section").screenshot(path=OUT / f"check-paused-{language}.png")
    page.close()
    desk.close()


if __name__ == "__main__":
    main()
