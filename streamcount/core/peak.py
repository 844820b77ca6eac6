"""A highest count, and the ticks that reached it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Peak:
    """The highest count so far, the first tick that reached it, and the last of that first run."""

    count: int = 0
    first: int | None = None
    last: int | None = None

    def take(self, tick: int, count: int) -> None:
        """Take the count of the next tick."""
        if count > self.count:
            self.count, self.first, self.last = count, tick, tick
        elif count == self.count and self.last == tick - 1:
            self.last = tick
