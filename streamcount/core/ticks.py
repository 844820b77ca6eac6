"""A set of ticks given as intervals, which may be many, far apart and very long."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Ticks:
    """Disjoint intervals in order; the cost of a question is that of a bisection."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> None:
        """Add the ticks from `first` to `last`, joining what they touch."""
        start = bisect_left(self._lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if start < end:
            first = min(first, self._firsts[start])
            last = max(last, self._lasts[end - 1])
        self._firsts[start:end] = [first]
        self._lasts[start:end] = [last]

    def __contains__(self, tick: int) -> bool:
        """Tell whether a tick is among them."""
        at = bisect_right(self._firsts, tick) - 1
        return at >= 0 and tick <= self._lasts[at]

    def count(self, first: int, last: int) -> int:
        """Return how many ticks from `first` to `last` are among them."""
        inside = zip(self._firsts, self._lasts, strict=True)
        return sum(max(0, min(b, last) - max(a, first) + 1) for a, b in inside)

    def copy(self) -> Ticks:
        """Return a set that grows on its own from here."""
        other = Ticks()
        other._firsts, other._lasts = [*self._firsts], [*self._lasts]
        return other
