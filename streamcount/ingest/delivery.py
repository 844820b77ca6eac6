"""Carries what an event's holding has heard to the store, once a second, and brings back the answers.

One task an event and worker. Each round flushes what is held, oldest first, to all of the event's
buckets at the same time, then lets go of what is archived; half a second later it asks once more, so that
acknowledgements do not wait for the next second. While the store does not answer, the round is tried
again and the holding holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from streamcount.config import Settings
from streamcount.core.bucket import BucketError, WorkersBucket
from streamcount.ingest.hearing import HeldTick
from streamcount.ingest.holding import Holding, Outcome

_GOODBYES: Final = 3
_log = logging.getLogger(__name__)


def monotonic_us() -> int:
    """Return the monotonic clock in whole microseconds."""
    return time.monotonic_ns() // 1000


class Delivery:
    """The rounds of one event."""

    def __init__(
        self,
        holding: Holding,
        buckets: Sequence[WorkersBucket],
        settings: Settings,
        settle: Callable[[Holding, HeldTick], None],
    ) -> None:
        """`buckets` are the event's, in order.

        `settle` is called with each tick that is archived, to acknowledge its heartbeats.
        """
        self.holding = holding
        self._buckets = buckets
        self._settings = settings
        self._settle = settle
        # Set when the round under way is to be the last: none of its calls may be under way still when
        # this worker says goodbye, as it would become a member again.
        self.ending = False
        # Seconds the latest round took; for the metrics.
        self.flush_s = 0.0

    async def run(self) -> None:
        """Make rounds until cancelled, or until the last one was asked for."""
        while not self.ending:
            await self.round()
            if not self.ending:
                await asyncio.sleep(self._pause_s())

    async def round(self) -> None:
        """Deliver what is undelivered, then settle what is archived."""
        holding = self.holding
        start = monotonic_us()
        holding.roll(start)
        if len(self._buckets) == 1:
            await self._deliver(0)
        else:
            await asyncio.gather(*map(self._deliver, range(len(self._buckets))))
        for held in holding.settled():
            self._settle(holding, held)
        self.flush_s = (monotonic_us() - start) / 1e6

    async def _deliver(self, bucket: int) -> None:
        """Deliver what a bucket has not got."""
        holding = self.holding
        try:
            outcome = Outcome.GO_ON
            while outcome is Outcome.GO_ON:
                part = holding.next_part(bucket)
                sent = monotonic_us()
                flushed = await self._buckets[bucket].flush(part.flush)
                outcome = holding.take(part, flushed, sent, monotonic_us())
        except BucketError as error:
            if not holding.cut_off:
                _log.warning("event %s: %s; holding what is heard", holding.event.id, error)
            holding.lost_contact(bucket)

    async def leave(self) -> None:
        """Give up membership, so that no tick waits for this worker any more."""
        goodbye = self.holding.leaving()
        for bucket in self._buckets:
            for attempt in range(_GOODBYES):
                try:
                    await bucket.flush(goodbye)
                    break
                except BucketError as error:
                    if attempt == _GOODBYES - 1:
                        event = self.holding.event.id
                        _log.warning("event %s: could not say goodbye: %s", event, error)

    def _pause_s(self) -> float:
        """Until the tick under way is over, or half way there."""
        if self.holding.cut_off:
            return self._settings.store_retry_s
        left = (self.holding.boundary_us - monotonic_us()) / 1e6
        return left - 0.5 if left > 0.6 else max(left, 0.0) + 0.002
