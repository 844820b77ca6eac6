"""report/making: the same files, byte by byte, whenever they are made; each language whole."""

from __future__ import annotations

import re

from streamcount.report.content import content
from streamcount.report.making import make
from tests.report.logs_told import entries, findings
from tests.report.test_documents import read

NAMES = ("cover", "witness-1", "witness-2", "specialist", "logbook", "incidents")


def flat(text):
    """Text without what isolates directions, in which readers of PDF differ."""
    return re.sub("[\u2066-\u2069]", "", text)


def made(languages, *, arabic=False):
    given = content(findings(), entries(ticks=120))
    return dict(make(given, languages, arabic_digits=arabic, attached=()))


def test_all_files_are_there_and_the_same_each_time():
    both = made(["ar", "en"])
    assert set(both) == {"claim.pdf"} | {
        f"{lang}/{n}.{e}" for lang in ("ar", "en") for n in NAMES for e in ("pdf", "md")
    }
    assert both == made(["ar", "en"])
    assert both["ar/cover.pdf"] == made(["ar"])["ar/cover.pdf"]


def test_the_claim_is_in_the_languages_in_their_order_and_digits_as_chosen():
    arabic, both = (
        read(made(languages, arabic=True)["claim.pdf"]) for languages in (["ar"], ["ar", "en"])
    )
    assert len(both.pages) > len(arabic.pages)
    assert "Claim" in both.pages[len(arabic.pages)].extract_text()
    first = both.pages[0].extract_text()
    assert "٢٬١٣٨" in first
    assert "2,138" not in first
    assert "page 1 of" in flat(both.pages[len(arabic.pages)].extract_text())
