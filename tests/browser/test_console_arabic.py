"""The console in Arabic: what the service says in English stays English, in one piece, long enough to read."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.service import serving

pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path):
    with serving(tmp_path) as running:
        yield running


def test_a_refusal_of_the_service_is_isolated_in_an_arabic_sentence(service, browser):
    service.create("taken")
    token = (service.data / "operator.token").read_text().strip()
    context = browser.new_context(locale="ar-SA")
    page = context.new_page()
    page.goto(f"{service.told['operator']}/#token={token}")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("#events")).to_have_attribute("aria-label", "الفعاليات")
    page.wait_for_selector("#open:enabled")
    page.click("summary")
    page.fill("[name=id]", "taken")
    page.click("form button")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("ردّت الخدمة بالإنجليزية:")
    said = notice.locator("bdi")
    expect(said).to_have_attribute("lang", "en")
    expect(said).to_have_attribute("dir", "ltr")
    assert "taken" in said.text_content()
    page.wait_for_timeout(2_500)
    expect(notice).to_be_visible()
    context.close()
