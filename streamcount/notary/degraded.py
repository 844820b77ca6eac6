"""What has to be said in the log when measurement was degraded, and how event time goes on: pure.

    clock   the store's clock was set, so nobody knows how far apart two heartbeats around that were;
            ticks from one window before it cannot be the peak
    loss    heartbeats may be missing, so numbers are lower bounds
    lag     numbers were shown as uncertain for a while; nothing is missing

Times in microseconds, ticks in event seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streamcount.core.clock import STEP_US
from streamcount.core.course import Course
from streamcount.core.entries import GapEntry

SECOND_US: Final = 1_000_000


def next_offset_us(
    course: Course, offset_us: int, server_us: int, expected_us: tuple[int, int] | None
) -> int:
    """Return the offset of a server's clock under which event time goes on.

    As before, unless event time would not be between what is expected then (None when nothing is). No tick
    that is archived may come again; before the first is, event time is only ahead of it.
    """
    if expected_us is not None:
        least, most = expected_us
        if not least - STEP_US <= server_us + offset_us <= most + STEP_US:
            offset_us = (least + most) // 2 - server_us
    if course.last is None or course.next_tick is None:
        return offset_us
    return max(offset_us, course.next_tick * SECOND_US - server_us)


def step_gap(course: Course, now_us: int, stepped_us: int) -> GapEntry | None:
    """Return what to log when the store's clock was set by so much at event time `now_us`."""
    now = now_us // SECOND_US
    if course.first is None or course.next_tick is None or now < course.first:
        return None
    begins = max(course.first, course.next_tick - course.window)
    reason = f"the store's clock stepped by {stepped_us / SECOND_US:+.3f} s"
    # One that is ahead went on while this machine may have stood still, for longer than a window: then a
    # pair of heartbeats around that proves nothing in the ticks behind it either.
    ends = now + 1 + (course.window if stepped_us > 0 else 0)
    return GapEntry("clock", reason, begins, max(begins, ends))


def arming_gaps(
    course: Course, now_us: int, *, workers_unknown: bool, set_back: bool
) -> list[GapEntry]:
    """Return what to log of the time since the latest tick, when the store is armed at `now_us`.

    `workers_unknown`: nobody knows who was counting. `set_back`: the clock shows a time before the latest
    tick, and nobody watched it meanwhile.
    """
    if course.last is None or course.next_tick is None or course.first is None:
        return []
    first, last = course.next_tick, max(course.next_tick, now_us // SECOND_US)
    gaps = []
    if workers_unknown:
        # Of a worker that died meanwhile, nobody would miss what it did not deliver.
        gaps.append(GapEntry("loss", "restarted without knowing who counts", first, last))
    if set_back:
        begins = max(course.first, first - course.window)
        reason = "the store's clock was set back"
        gaps.append(GapEntry("clock", reason, begins, last + course.window))
    return gaps


@dataclass(slots=True)
class Health:
    """How the notary of an event is doing, for operators."""

    trouble: str = ""
    archive_s: float = 0.0
    epochs: int = 0


class Doubt:
    """How long the numbers have been uncertain, and why."""

    def __init__(self) -> None:
        # The first tick not archived when doubt began; None while there is none.
        self._since: int | None = None
        self._why = ""

    def begin(self, course: Course, why: str) -> None:
        """Take note that the numbers are uncertain from here on."""
        if self._since is None and course.next_tick is not None:
            self._since, self._why = course.next_tick, why

    def end(self, course: Course) -> list[GapEntry]:
        """Take note that they are certain again; return what to log, once there is a tick to log it of."""
        since, last = self._since, course.last
        if since is None or last is None or last < since or course.claim is not None:
            return []
        self._since = None
        return [GapEntry("lag", self._why, since, last)]
