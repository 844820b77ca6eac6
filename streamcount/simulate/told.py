"""What the counts must be, from the acknowledgements alone, beside what the service says they are.

An acknowledgement names the tick in which a heartbeat was received. So the acks of a crowd are a full
record of its presences and breaks, and the definition (core/presence.py, read literally) gives the
counts. Nothing here asks the service how it counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamcount.core.presence import live_ticks, proven_ticks, tally

BREAKING = ("paused", "ended", "bye")


@dataclass(slots=True)
class Told:
    """The acks of one viewer, of all their connections: in which ticks they were heard, and how."""

    presence: set[int] = field(default_factory=set)
    breaks: set[int] = field(default_factory=set)

    def take(self, state: str, tick: int) -> None:
        """Take the ack of a heartbeat in this state."""
        (self.breaks if state in BREAKING else self.presence).add(tick)


@dataclass(frozen=True, slots=True)
class Row:
    """One tick: what the acks come to, and what the service counted."""

    tick: int
    told_live: int
    counted_live: int
    told_proven: int
    counted_proven: int

    @property
    def equal(self) -> bool:
        """True when they agree."""
        return (self.told_live, self.told_proven) == (self.counted_live, self.counted_proven)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Told and counted, tick for tick."""

    rows: Sequence[Row]

    @property
    def different(self) -> list[Row]:
        """The ticks in which they do not agree."""
        return [row for row in self.rows if not row.equal]

    @property
    def told_peak(self) -> int:
        """The highest proven count the acks come to."""
        return max((row.told_proven for row in self.rows), default=0)

    @property
    def counted_peak(self) -> int:
        """The highest proven count of the service."""
        return max((row.counted_proven for row in self.rows), default=0)

    @property
    def told_peak_tick(self) -> int | None:
        """The first tick of the told peak."""
        return next((r.tick for r in self.rows if r.told_proven == self.told_peak), None)


def compare(told: Mapping[str, Told], timeline: Mapping[str, Any], window: int) -> Comparison:
    """Set the acks of a crowd beside the service's timeline (core/timeline.py's rows).

    Viewers the crowd does not know make the counts differ: it must be the event's only audience.
    """
    first = timeline["first"]
    if first is None:
        return Comparison([])
    ticks = range(first, first + len(timeline["live"]))
    live = tally((live_ticks(one.presence, window) for one in told.values()), ticks)
    proven = tally((proven_ticks(one.presence, one.breaks, window) for one in told.values()), ticks)
    return Comparison(
        [
            Row(tick, *numbers)
            for tick, *numbers in zip(
                ticks, live, timeline["live"], proven, timeline["proven"], strict=True
            )
            if numbers[3] is not None
        ]
    )
