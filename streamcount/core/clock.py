"""Event time on a machine whose own clock is not asked: an offset to a monotonic clock.

Every answer of the store carries event time. If the call was sent at s and its answer came at r on
the monotonic clock, event time was `now_us` somewhere between, so the offset lies between now_us - r
and now_us - s, and taking the middle errs by at most (r - s) / 2. Of the latest `SAMPLES` answers the
one with the shortest round trip is believed. While the store does not answer, the mapping stays what
it was; ticks never go back.

A clock that goes on as clocks do stays within what earlier answers allow, give or take a drift. One
that was set does not; `sample` refuses its answers, whether it was set at once or in many small steps.
"""

from __future__ import annotations

from collections import deque
from typing import Final

SAMPLES: Final = 16
# How far an answer may lie outside of what earlier ones allow, and how much that grows: a clock that is
# kept by NTP drifts by 500 parts in a million at the most.
STEP_US: Final = 250_000
DRIFT_PPM: Final = 1_000


class EventClock:
    """Maps a monotonic clock (microseconds) to event time. Not ready before the first sample."""

    def __init__(self) -> None:
        # (round trip, event time minus monotonic time), latest last.
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES)
        self._offset_us = 0
        # Between what the offset lies, as of when it was last narrowed; None before the first sample.
        self._between: tuple[int, int] | None = None
        self._narrowed_us = 0
        # The same as it was when `forget` was called; None when there is nothing to compare with.
        self._before: tuple[int, int] | None = None
        # False when the first answer after `forget` does not continue what was before.
        self.continued = True
        # The latest tick told; 0 before the first.
        self._tick = 0
        self.ready = False

    @property
    def error_us(self) -> int:
        """How wrong the mapping can be, drift since the sample aside."""
        return min(self._samples)[0] // 2 if self._samples else 0

    def sample(self, sent_us: int, received_us: int, now_us: int) -> bool:
        """Take an answer that carried event time `now_us`; false, and not taken, after a step."""
        if not self._goes_on(now_us - received_us, now_us - sent_us, received_us):
            return False
        middle = (sent_us + received_us) // 2
        self._samples.append((received_us - sent_us, now_us - middle))
        self._offset_us = min(self._samples, key=lambda sample: sample[0])[1]
        self.ready = True
        return True

    def forget(self) -> None:
        """Drop what earlier answers told: the event clock was set anew. The mapping stays."""
        self._samples.clear()
        self._before, self._between = self._between or self._before, None

    def now_us(self, monotonic_us: int) -> int:
        """Return the event time at a time of the monotonic clock."""
        return monotonic_us + self._offset_us

    def tick(self, monotonic_us: int) -> int:
        """Return the tick at a time of the monotonic clock; never less than was returned before."""
        self._tick = max(self._tick, self.now_us(monotonic_us) // 1_000_000)
        return self._tick

    def monotonic_us(self, event_us: int) -> int:
        """Return the monotonic time at which event time will be this."""
        return event_us - self._offset_us

    def _goes_on(self, least: int, most: int, at_us: int) -> bool:
        """Take the bounds of an offset found at this time; tell whether it can be what it was."""
        if self._between is None:
            self._between, self._before = self._before, None
            self.continued = self._between is None or self._goes_on(least, most, at_us)
            self._between, self._narrowed_us = (least, most), at_us
            return True
        drift_us = (at_us - self._narrowed_us) * DRIFT_PPM // 1_000_000
        before, after = self._between[0] - drift_us, self._between[1] + drift_us
        if max(least, before) <= min(most, after):
            self._between, self._narrowed_us = (max(least, before), min(most, after)), at_us
            return True
        # Not narrowed, so that small steps add up.
        return max(least, before) - min(most, after) <= STEP_US
