"""docs/api.md is what page.py makes of the OpenAPI documents. `STREAMCOUNT_WRITE_DOCS=1` writes it anew."""

from __future__ import annotations

import os

from tests.schemas import page


def test_the_page_of_both_ports_is_up_to_date():
    if os.environ.get("STREAMCOUNT_WRITE_DOCS"):
        page.OUT.write_text(page.build(), "utf-8")
    assert page.OUT.read_text("utf-8") == page.build(), (
        "run this test with STREAMCOUNT_WRITE_DOCS=1"
    )
