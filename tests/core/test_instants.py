"""core/instants: how an instant is spelt, against Python's own calendar."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamcount.core.instants import Instant, is_instant, make_instant

END_OF_9999 = 253_402_300_799
seconds = st.integers(0, END_OF_9999)
offsets = st.integers(-18 * 60, 18 * 60)


def spelt(second, minutes):
    """As the standard library says it, which knows no offset of a day or more."""
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    return (dt.datetime(1970, 1, 1, tzinfo=zone) + dt.timedelta(seconds=second, minutes=minutes)).isoformat()  # fmt: skip


@given(seconds, offsets, offsets, st.integers(0, 10**6))
@example(951_782_400, 0, 0, 0)
@example(4_107_542_400, 0, 0, 0)
@example(END_OF_9999 - 86_400, 0, 0, 86_400)
def test_an_instant_is_spelt_as_the_calendar_has_it(reached, here, there, later):
    found = make_instant(reached, reached + later, (here, there))
    inside = all(
        0 <= second + 60 * minutes <= END_OF_9999
        for second, minutes in ((reached, here), (reached + later, there), (reached + later, 0))
    )
    assert (found is not None) == inside
    if found is not None:
        assert found.utc == spelt(reached, 0).replace("+00:00", "Z")
        assert (found.local, found.until_local) == (
            spelt(reached, here),
            spelt(reached + later, there),
        )
        assert is_instant(found, reached, reached + later)
        assert not is_instant(found, reached + 1, reached + later)
        assert not is_instant(found, reached, reached + later + 1)


@pytest.mark.parametrize(
    ("second", "may"),
    [(0, True), (64_799, True), (64_800, False), (1_795_000_000, False), (END_OF_9999 - 64_800, False),
     (END_OF_9999 - 64_799, True), (2**40, True)],
)  # fmt: skip
def test_there_is_none_only_where_a_spelling_may_leave_the_years(second, may):
    assert is_instant(None, second, second) == may


@given(st.text(max_size=30), st.text(max_size=30))
def test_nonsense_is_no_instant(local, until):
    said = Instant("2026-11-18T16:36:40Z", local, "2026-11-18T16:36:40Z", until)
    assert not is_instant(said, 1_795_000_001, 1_795_000_001)
