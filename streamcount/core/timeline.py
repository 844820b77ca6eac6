"""The counts of an event, tick by tick, as its tick entries tell them: what a curve is drawn from."""

from __future__ import annotations

from array import array
from typing import Any

from streamcount.core.entries import TickEntry


class Timeline:
    """Columns over consecutive ticks. A proven count is known one window after its tick."""

    def __init__(self, window: int) -> None:
        self.first: int | None = None
        self._window = window
        self._columns = {name: array("q") for name in ("live", "present", "breaks", "late")}
        self._proven = array("q")

    def __len__(self) -> int:
        """Return how many ticks have been taken."""
        return len(self._columns["live"])

    def take(self, entry: TickEntry) -> None:
        """Take the next tick."""
        if self.first is None:
            self.first = entry.tick
        for name, column in self._columns.items():
            column.append(getattr(entry, name))
        if entry.tick - self._window >= self.first:
            self._proven.append(entry.proven)

    def rows(self, since: int, most: int) -> dict[str, Any]:
        """Return at most `most` ticks from tick `since` on, as lists; proven is None while not final."""
        if self.first is None:
            return {
                "first": None,
                "live": [],
                "proven": [],
                "present": [],
                "breaks": [],
                "late": [],
            }
        start = min(max(since - self.first, 0), len(self))
        end = min(start + most, len(self))
        known = [*self._proven[start:end]]
        return {
            "first": self.first + start,
            "proven": known + [None] * (end - start - len(known)),
            **{name: [*column[start:end]] for name, column in self._columns.items()},
        }
