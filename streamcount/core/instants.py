"""Instants as claims spell them: in UTC, and as a clock on some wall showed them.

`YYYY-MM-DDThh:mm:ss` with `Z`, or with the offset of the wall's clock from UTC. The zone stands in the
event; that its offset was this one then is somebody's word, and only that both spellings are one instant is
checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

OFFSET_MINUTES_MAX: Final = 18 * 60
_DAY_S: Final = 86_400
_YEARS_MAX: Final = 9_999
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Instant:
    """When the peak was reached, and until when it was held."""

    utc: str
    local: str
    until_utc: str
    until_local: str


def make_instant(reached: int, until: int, offsets: tuple[int, int]) -> Instant | None:
    """Return how two Unix seconds are spelt; None when one is not in the years 1970 to 9999.

    `offsets`: the local clock's distance from UTC at each of them, in minutes.
    """
    spelt = []
    for second, offset in zip((reached, until), offsets, strict=True):
        utc, local = _clock(second), _clock(second + 60 * offset)
        if utc is None or local is None:
            return None
        spelt += [f"{utc}Z", f"{local}{_suffix(offset)}"]
    return Instant(*spelt)


def is_instant(said: Instant | None, reached: int, until: int) -> bool:
    """Tell whether these are the instants, whatever offsets the local clock had."""
    if said is None:
        far = (-OFFSET_MINUTES_MAX, OFFSET_MINUTES_MAX)
        return any(make_instant(reached, until, (one, one)) is None for one in far)
    offsets = _offset_in(said.local), _offset_in(said.until_local)
    if offsets[0] is None or offsets[1] is None:
        return False
    return said == make_instant(reached, until, (offsets[0], offsets[1]))


def _clock(second: int) -> str | None:
    """Return what a clock shows that many seconds after 1970 began."""
    days, rest = divmod(second, _DAY_S)
    if days < 0:
        return None
    # Eras of 400 years that begin with March, so that a leap day ends its year.
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    since_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * since_march + 2) // 5 + 1
    month = since_march + 3 if since_march < 10 else since_march - 9
    year = 400 * era + year_of_era + (month <= 2)
    if year > _YEARS_MAX:
        return None
    return f"{year:04}-{month:02}-{day:02}T{rest // 3_600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _suffix(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _offset_in(spelt: str) -> int | None:
    found = _OFFSET.fullmatch(spelt[19:])
    if found is None or int(found[3]) > 59:
        return None
    minutes = (60 * int(found[2]) + int(found[3])) * (-1 if found[1] == "-" else 1)
    within = abs(minutes) <= OFFSET_MINUTES_MAX
    return minutes if within and _suffix(minutes) == found[0] else None
