"""core/ticks: intervals are the set of ticks they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.ticks import Ticks

intervals = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)))


@given(intervals, st.integers(0, 60), st.integers(0, 60))
def test_intervals_are_a_set_of_ticks(given_intervals, first, last):
    ticks, plain = Ticks(), set()
    for start, length in given_intervals:
        ticks.add(start, start + length)
        plain |= set(range(start, start + length + 1))
    assert [t for t in range(60) if t in ticks] == sorted(plain)
    assert ticks.count(first, last) == len(plain & set(range(first, last + 1)))
    assert all(a <= b for a, b in zip(ticks._firsts, ticks._lasts, strict=True))
    assert all(b + 1 < a for b, a in zip(ticks._lasts, ticks._firsts[1:], strict=False))


def test_a_copy_grows_on_its_own():
    ticks = Ticks()
    ticks.add(1, 2)
    other = ticks.copy()
    other.add(5, 2**53)
    assert 7 in other
    assert 7 not in ticks
