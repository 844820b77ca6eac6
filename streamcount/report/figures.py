"""Numbers, instants, and what came from elsewhere, as a page in one language writes them.

Digits are 0-9 or, in Arabic where they are asked for, ٠-٩; fingerprints, names and commands keep the
digits they are made of. What came out of a pack is made harmless: controls and characters that turn the
direction of writing become U+FFFD, so that a title cannot reorder the words around it.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
import zoneinfo
from typing import Final

from streamcount.words import Catalogue

_ARABIC: Final = str.maketrans("0123456789,.", "٠١٢٣٤٥٦٧٨٩٬٫")
_ARABIC_DIGITS: Final = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_JOINERS: Final = "\u200c\u200d"
_NONE: Final = "–"
# What isolates Arabic in an English line (Unicode's bidirectional algorithm, RLI and PDI).
_RIGHT_TO_LEFT: Final = "\u2067"
_END: Final = "\u2069"


class Figures:
    """Writes numbers and instants in a language, with chosen digits, at a place."""

    def __init__(self, words: Catalogue, zone: str, *, arabic_digits: bool = False) -> None:
        """`zone` is a zone's name; UTC takes its place where it is unknown."""
        self.words = words
        self._arabic = arabic_digits and words.language == "ar"
        self.zone = zone
        self._where: dt.tzinfo = dt.UTC
        try:
            self._where = zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            self.zone = "UTC"

    def number(self, value: int | None) -> str:
        """Return a whole number with its thousands apart; a dash for none."""
        return _NONE if value is None else self._digits(f"{value:,}")

    def thousandths(self, value: int | None) -> str:
        """Return a number of thousandths with one decimal place, cut off.

        Three would look like thousands: in Arabic the two separators are hard to tell apart.
        """
        return _NONE if value is None else self._digits(f"{value // 1000:,}.{value % 1000 // 100}")

    def span(self, seconds: int) -> str:
        """Return a length of time as hours:minutes:seconds."""
        hours, rest = divmod(seconds, 3600)
        return self._plain(f"{hours}:{rest // 60:02}:{rest % 60:02}")

    def seconds(self, count: int) -> str:
        """Return a number of seconds with its unit, which no line's end parts from it."""
        return self.words.say("report_seconds", n=self.number(count)).replace(" ", "\u00a0")

    def moment(self, second: int) -> str:
        """Return a Unix second as date and time at the place."""
        at = self._at(second)
        if at is None:
            return self.words.say("verify_beyond_calendar", tick=self._plain(str(second)))
        return self._moment(at)

    def clock(self, second: int, step_s: int = 1) -> str:
        """Return a Unix second's time at the place; its seconds only where the step shows them."""
        at = self._at(second)
        if at is None:
            return self._plain(str(second))
        if step_s >= 86_400:
            return f"{self._plain(str(at.day))} {self._month(at.month)}"
        return self._plain(f"{at:%H:%M}" if step_s % 60 == 0 else f"{at:%H:%M:%S}")

    def stamp(self, text: str) -> str:
        """Return an instant of a claim (ISO 8601) as date, time and its offset from UTC."""
        at = dt.datetime.fromisoformat(text)
        offset = "UTC" if text.endswith("Z") else f"UTC{text[19:]}"
        return f"{self._moment(at)} ({self.words.ltr(self._plain(offset))})"

    def offset_s(self, second: int) -> int:
        """Return the place's offset from UTC at a Unix second."""
        at = self._at(second)
        offset = None if at is None else at.utcoffset()
        return 0 if offset is None else int(offset.total_seconds())

    def own(self, value: object) -> str:
        """Return what came from elsewhere: harmless, and in one piece among our words."""
        text = harmless(value)
        if self.words.language == "en" and _runs_from_the_right(text):
            return f"{_RIGHT_TO_LEFT}{text}{_END}"
        return self.words.ltr(text)

    def plain(self, value: object) -> str:
        """Return what came from elsewhere for a place where all runs from left to right anyway."""
        return harmless(value)

    def _at(self, second: int) -> dt.datetime | None:
        try:
            return dt.datetime.fromtimestamp(second, self._where)
        except (ValueError, OverflowError, OSError):
            return None

    def _moment(self, at: dt.datetime) -> str:
        return self.words.say(
            "report_moment",
            day=self._plain(str(at.day)),
            month=self._month(at.month),
            year=self._plain(f"{at.year:04}"),
            time=self._plain(f"{at:%H:%M:%S}"),
        )

    def _month(self, month: int) -> str:
        return self.words.say(f"report_month_{month}")

    def _digits(self, text: str) -> str:
        return text.translate(_ARABIC) if self._arabic else text

    def _plain(self, text: str) -> str:
        return text.translate(_ARABIC_DIGITS) if self._arabic else text


def _runs_from_the_right(text: str) -> bool:
    """Tell which way a text runs: what its first letter says (P2)."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind for kind in kinds if kind in {"L", "R", "AL"}), "L") != "L"


def harmless(value: object) -> str:
    """Return text in which nothing is a control or turns the direction of writing."""
    return "".join(
        character if character.isprintable() or character in _JOINERS else "\ufffd"
        for character in str(value)
    )
