"""report/figures: digits as chosen, instants at the place, and nothing that turns the writing's direction."""

from __future__ import annotations

import re

import pytest

from streamcount.report.figures import Figures, harmless
from streamcount.words import catalogue


def figures(language="en", zone="Asia/Riyadh", **options):
    return Figures(catalogue(language), zone, **options)


def test_digits_are_arabic_where_they_are_asked_for():
    arabic, western = figures("ar", arabic_digits=True), figures("ar")
    assert arabic.number(2_138) == "٢٬١٣٨"
    assert western.number(2_138) == "2,138"
    assert arabic.thousandths(1_603_567) == "١٬٦٠٣٫٥"
    assert western.thousandths(1_603_067) == "1,603.0"
    assert arabic.span(90_061) == "٢٥:٠١:٠١"
    assert arabic.clock(1_795_176_000) == "١٥:٠٠:٠٠"
    for text in (arabic.moment(1_795_176_000), arabic.stamp("2026-11-20T15:00:00+03:00")):
        assert not re.search(r"[0-9]", text)
    assert figures("en", arabic_digits=True).number(5_000) == "5,000"
    assert western.number(None) == arabic.number(None) == "–"


def test_an_instant_is_told_at_the_place_and_in_utc():
    assert figures().moment(1_795_176_000) == "20 November 2026, 15:00:00"
    assert figures("ar").moment(1_795_176_000) == "20 نوفمبر 2026، 15:00:00"
    assert figures().stamp("2026-11-20T15:07:31+03:00") == "20 November 2026, 15:07:31 (UTC+03:00)"
    assert figures().stamp("2026-11-20T12:07:31Z") == "20 November 2026, 12:07:31 (UTC)"


def test_an_unknown_zone_is_utc_and_says_so():
    nowhere = figures(zone="Nowhere/Land")
    assert (nowhere.zone, nowhere.moment(0)) == ("UTC", "1 January 1970, 00:00:00")
    assert "1,099" not in nowhere.moment(2**40)
    assert str(2**40) in nowhere.moment(2**40)
    assert nowhere.offset_s(2**40) == 0


@pytest.mark.parametrize("odd", ["\u202e", "\u2066", "\u061c", "\x07", "\n", "\u200b", "\ue000"])
def test_what_turns_the_direction_or_cannot_be_seen_is_replaced(odd):
    assert harmless(f"a{odd}b") == "a\ufffdb"
    assert harmless("ن\u200cم") == "ن\u200cم"


def test_what_runs_the_other_way_stays_in_one_piece():
    assert figures("en").own("درس 5") == "\u2067درس 5\u2069"
    assert figures("en").own("a درس") == "a درس"
    assert figures("ar").own("lesson 5") == "\u2066lesson 5\u2069"
    assert figures("ar").own("درس 5") == "درس 5"
