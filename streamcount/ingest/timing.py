"""Whose clock a worker goes by: event time as the servers of an event's buckets tell it.

Event time is that of bucket 0. Each bucket's server has a clock of its own, and one that was set (its
answers do not continue what it told before) is believed in nothing: no flush of its bucket is taken, and
none of any when it is bucket 0's. The notary sees that, too, and arms a new epoch in which event time goes
on. If instead the same epoch goes on for long, the clock that was wrong is this worker's: it was stopped
along with it, and takes the server's anew.
"""

from __future__ import annotations

import enum

from streamcount.core.bucket import State
from streamcount.core.clock import EventClock


class Told(enum.Enum):
    """What an answer's time is worth."""

    GOES_ON = "goes on"
    DOUBTFUL = "doubtful"  # its clock was set, so nothing in the answer is sure
    ANEW = "anew"  # taken, and it does not continue what was before: what was heard, was by another time


class Timing:
    """The clocks of an event's buckets at one worker. Times in microseconds."""

    def __init__(self, buckets: int, patience_us: float) -> None:
        """`patience_us`: for how long a clock is doubted before this worker doubts its own."""
        # As each bucket's server has it; they may be set apart from each other.
        self._clocks = [EventClock() for _ in range(buckets)]
        # Event time.
        self.clock = self._clocks[0]
        # True once the time of the current epoch was taken.
        self.known = False
        self._patience_us = patience_us
        # For each bucket whose clock has not gone on as it did: since when, and what was archived then.
        self._off: dict[int, tuple[int, int]] = {}

    def share_out(self, buckets: int) -> None:
        """Take another number of buckets."""
        self._clocks[1:] = [EventClock() for _ in range(1, buckets)]
        self._off.clear()

    def forget(self) -> None:
        """Take note of a new epoch: event time goes on, by offsets that are not known yet."""
        for clock in self._clocks:
            clock.forget()
        self._off.clear()
        self.known = False

    def sure(self, bucket: int) -> bool:
        """Tell whether what is held was heard by a time that this bucket's server agrees with."""
        return self.known and not self._off.keys() & {0, bucket}

    @property
    def agreed(self) -> bool:
        """True when event time is known and not in doubt: a worker can say what it has delivered."""
        return self.known and 0 not in self._off

    def take(self, bucket: int, state: State, sent_us: int, received_us: int) -> Told:
        """Take event time from an answer, sent for and received at these times."""
        clock = self._clocks[bucket]
        anew = False
        if not clock.sample(sent_us, received_us, state.now_us):
            since_us, archived = self._off.setdefault(bucket, (received_us, state.archived))
            patient = received_us - since_us <= self._patience_us
            if patient or state.archived <= archived:
                return Told.DOUBTFUL
            clock.forget()
            clock.sample(sent_us, received_us, state.now_us)
            anew = bucket == 0
        self._off.pop(bucket, None)
        if bucket == 0 and not self.known:
            self.known = True
            anew = anew or not clock.continued
        return Told.ANEW if anew else Told.GOES_ON
