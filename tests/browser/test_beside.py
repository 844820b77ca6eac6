"""The platform's own count in the console: an event made with a video's address, its line beside ours, gaps where there is none."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.service import serving
from tests.youtube import KEY, YouTubeServer, refusal

pytestmark = pytest.mark.slow
VIDEO = "dQw4w9WgXcQ"


def test_the_platforms_count_is_drawn_beside_ours_with_gaps_where_there_is_none(page, tmp_path):
    settings = {
        "STREAMCOUNT_YOUTUBE_KEY": KEY,
        "STREAMCOUNT_YOUTUBE_UNITS_PER_DAY_MAX": "1000000",
        "STREAMCOUNT_PLATFORM_POLL_S": "1",
        # A gap in the line is one that this test makes.
        "STREAMCOUNT_PLATFORM_DEADLINE_S": "12",
    }
    with (
        YouTubeServer({VIDEO: 650}) as youtube,
        serving(tmp_path, STREAMCOUNT_YOUTUBE_URL=youtube.url, **settings) as service,
    ):
        token = (service.data / "operator.token").read_text().strip()
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{service.told['operator']}/#token={token}")
        page.click("summary")
        address = f"https://www.youtube.com/watch?v={VIDEO}&feature=share"
        given = {"id": "beside", "window": "7", "interval": "1", "youtube": address, "target": "9"}
        for name, value in given.items():
            page.fill(f"[name={name}]", value)
        page.select_option("[name=claim]", "platform")
        page.click("form button")
        page.wait_for_url("**/?event=beside")
        page.wait_for_selector("#open:enabled")
        page.click("#open")
        asked = re.compile(r"650 .*\d\d:\d\d:\d\d UTC")
        expect(page.locator("#platform")).to_contain_text(asked)
        line = page.locator("#curve_platform")
        expect(line).to_have_attribute("d", re.compile(r"^M[^M]+L[^M]+L[^M]+$"))
        # Claimed, and so what the number to beat is held against; ours is 0.
        expect(page.locator("#target")).to_contain_text("beaten")
        expect(page.locator("#peak")).to_have_text("0")
        youtube.says[VIDEO] = None
        expect(page.locator("#platform")).to_contain_text("no number")
        youtube.says[VIDEO] = 640
        expect(page.locator("#platform")).to_contain_text("640")
        # Not drawn down to zero: the line ends, and another one begins.
        expect(line).to_have_attribute("d", re.compile(r"^M[^M]+M[^M]+$"))
        expect(line).not_to_have_attribute("d", re.compile(r"258\.0"))
        told = page.locator("#beside_told")
        expect(told).to_contain_text("This number is the one that is claimed. Highest: 650, ")
        expect(told).to_contain_text(re.compile(r"absent: [1-9]"))
        page.screenshot(path=tmp_path / "beside-en.png")
        page.click("#language")
        expect(page.locator("#beside_line")).to_contain_text("عدد المنصة نفسها، غير مؤكد")
        expect(told).to_contain_text("هذا هو الرقم المعلن.")
        youtube.next = [refusal(403, "quotaExceeded")]
        expect(told).to_contain_text("تعذّر سؤال المنصة: YouTube answered 403 quotaExceeded")
        page.screenshot(path=tmp_path / "beside-ar.png")
        service.create("without")
        page.goto(f"{service.told['operator']}/?event=without")
        page.wait_for_selector("#open:enabled")
        expect(page.locator("#beside_line")).to_be_hidden()
        expect(page.locator("#beside_told")).to_be_hidden()
        page.goto("about:blank")  # the service ends before the page
