"""An event's buckets, as the notary sees them: one.

All are armed together, under one epoch, and a tick is taken once every bucket has sealed it. What a
bucket tells earlier, registrations and gaps, may be archived earlier. Whichever fails or is fenced, none
is believed in that moment; calls to several are made at the same time, and all of them are waited for.

Each server has its own clock. Event time is that of bucket 0's server; how far another clock is ahead
of that one is measured when arming, from the shortest of a few round trips, so that it errs by at most
half of that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from streamcount.core.bucket import (
    LOST_MEMBER,
    Arming,
    BucketError,
    NotarysBucket,
    Published,
    SealedTick,
    Server,
    State,
    Status,
)
from streamcount.core.clock import EventClock
from streamcount.core.entries import GapEntry
from streamcount.core.pseudonym import PSEUDONYM_BYTES
from streamcount.notary.drain import Journal
from streamcount.notary.shares import Shares

_T = TypeVar("_T")
_LOOKS: Final = 4


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that have an event's buckets, in order.

    `time_us`: the clock of the first. `behind_us`: how far each clock is behind it, 0 for the first.
    `between_us`: the monotonic times between which that was so.
    """

    run_ids: tuple[str, ...]
    time_us: int
    behind_us: tuple[int, ...]
    between_us: tuple[int, int]

    def offsets_us(self, offset_us: int) -> tuple[int, ...]:
        """Return event time minus each server's clock, when it is `offset_us` for the first."""
        return tuple(offset_us + behind_us for behind_us in self.behind_us)


@dataclass(frozen=True, slots=True)
class Drained:
    """What was read: of each tick that all have sealed, one part a bucket.

    `state`: of the one that is behind most, or of one that is fenced; its time is that of bucket 0.
    `stepped`: the buckets whose clock was set; then nothing else was taken. `told`: all know the same
    of what is archived, and when the event closes.
    `more`: there is more to read at once.
    """

    state: State
    ticks: Sequence[Sequence[SealedTick]] = ()
    stepped: Sequence[int] = ()
    told: bool = False
    more: bool = False


class Buckets:
    """The buckets of one event."""

    def __init__(self, buckets: Sequence[NotarysBucket], pseudonyms: bytes) -> None:
        """`pseudonyms`: of the viewers in the archive, 16 bytes each, in order of their index."""
        self._buckets = list(buckets)
        # Who was a member of each when it was last read; None when this notary has not read it yet.
        self._members: list[dict[str, str]] | None = None
        # None when there is one bucket, whose indices are the log's.
        self._shares: Shares | None = None
        self._journals: list[Journal] = []
        # Of the buckets after the first: the notary itself has the first one's.
        self.clocks: list[EventClock] = []
        self._begin(pseudonyms)

    def _begin(self, pseudonyms: bytes) -> None:
        count = len(self._buckets)
        self._shares = Shares(pseudonyms, count) if count > 1 else None
        sizes = self._shares.sizes() if self._shares else [len(pseudonyms) // PSEUDONYM_BYTES]
        self._journals = [
            Journal(size, f" in bucket {bucket}" if count > 1 else "")
            for bucket, size in enumerate(sizes)
        ]
        self.clocks = [EventClock() for _ in range(1, count)]

    # --- Draining ---------------------------------------------------------------------------------

    async def read(self, epoch: int, first: int, event_clock: EventClock) -> Drained:
        """Seal what can be sealed, and return what all have sealed from tick `first` on.

        `event_clock` takes the time of bucket 0. A clock that was set has sealed too early or lost
        members who were not silent for long, so of such a read nothing is taken.
        """
        timed = await _all(
            _timed(bucket.read(epoch, first, journal.read))
            for bucket, journal in zip(self._buckets, self._journals, strict=True)
        )
        reads = [read for read, _, _ in timed]
        states = [read.state for read in reads]
        fenced = next((state for state in states if state.status is not Status.OK), None)
        if fenced is not None:
            return Drained(fenced)
        clocks = zip([event_clock, *self.clocks], timed, strict=True)
        stepped = [
            number
            for number, (clock, (read, sent_us, received_us)) in enumerate(clocks)
            if not clock.sample(sent_us, received_us, read.state.now_us)
        ]
        if stepped:
            return Drained(_behind_most(states), stepped=stepped)
        self._members = [read.members for read in reads]
        for journal, read in zip(self._journals, reads, strict=True):
            journal.take(read.journal)
        return Drained(
            _behind_most(states),
            list(zip(*(read.ticks for read in reads), strict=False)),
            told=len({(state.archived, state.close) for state in states}) == 1,
            more=all(read.ticks for read in reads) or any(read.journal for read in reads),
        )

    async def advance(self, epoch: int, archived: int, close: int, published: Published) -> State:
        """Say what is archived; safe to repeat."""
        states = await _all(
            bucket.advance(epoch, archived, journal.read, close, published)
            for bucket, journal in zip(self._buckets, self._journals, strict=True)
        )
        return _behind_most(states)

    def gaps(self, first: int) -> list[GapEntry]:
        """Return, and forget, the gaps read so far, as far as they lie in ticks from `first` on."""
        return [gap for journal in self._journals for gap in journal.gaps(first)]

    def registrations(self) -> npt.NDArray[np.void]:
        """Return, and forget, the registrations read so far, in the order of the log.

        Raises:
            DisagreementError: a bucket registered a viewer of another one.
        """
        found = [journal.registrations() for journal in self._journals]
        return self._shares.register(found) if self._shares else found[0]

    def merge(self, parts: Sequence[SealedTick]) -> SealedTick:
        """Return a tick as one; its registrations must have been taken.

        Raises:
            DisagreementError: a bit or a stream is of nobody registered.
        """
        return self._shares.merge(parts) if self._shares else parts[0]

    # --- Arming -----------------------------------------------------------------------------------

    async def servers(self) -> Servers:
        """Tell which servers have the buckets now, and how their clocks differ."""
        if len(self._buckets) == 1:
            server, sent_us, received_us = await _timed(self._buckets[0].server())
            return Servers((server.run_id,), server.time_us, (0,), (sent_us, received_us))
        looks = await _all(_look(bucket) for bucket in self._buckets)
        clocks = [clock for _, clock in looks]
        now_us = time.monotonic_ns() // 1000
        times_us = [clock.now_us(now_us) for clock in clocks]
        behind_us = tuple(times_us[0] - time_us for time_us in times_us)
        error_us = clocks[0].error_us + max(clock.error_us for clock in clocks)
        between_us = (now_us - error_us, now_us + error_us)
        return Servers(tuple(s.run_id for s, _ in looks), times_us[0], behind_us, between_us)

    async def members(self) -> list[dict[str, str]]:
        """Return who is a member of each bucket, as far as that is known."""
        if self._members is not None:
            return self._members
        return await _all(bucket.members() for bucket in self._buckets)

    async def latest(self) -> tuple[int, int]:
        """Return the highest epoch one was armed in, and the latest tick archived then."""
        return max(await _all(bucket.latest() for bucket in self._buckets))

    @property
    def read_before(self) -> bool:
        """True once this notary has read who the members are."""
        return self._members is not None

    async def forget(self, archived: int) -> None:
        """Delete what is here of the event; another number of buckets takes their place."""
        await _all(bucket.forget(archived) for bucket in self._buckets)

    async def arm(
        self,
        arming: Arming,
        run_ids: Sequence[str],
        offsets_us: Sequence[int],
        members: Sequence[dict[str, str]],
    ) -> bool:
        """Wipe, restore, and let all count; false when it has to be begun again.

        `arming`: of the whole event, by the log's indices; what differs from bucket to bucket beside it.
        """
        self._begin(arming.pseudonyms)
        # Who is known in any bucket is a worker that delivers to all.
        everybody = {node: seen for found in reversed(members) for node, seen in found.items()}
        armed = await _all(
            bucket.arm(
                replace(
                    self._share_of(arming, number),
                    run_id=run_ids[number],
                    offset_us=offsets_us[number],
                    members=_restored(everybody | members[number], arming.archived),
                )
            )
            for number, bucket in enumerate(self._buckets)
        )
        return all(armed)

    def _share_of(self, arming: Arming, bucket: int) -> Arming:
        """Return what a bucket is armed with of all that the event is."""
        shares = self._shares
        if shares is None:
            return arming
        return replace(
            arming,
            pseudonyms=shares.pseudonyms(bucket, arming.pseudonyms),
            bitmaps=[
                (tick, shares.bitmap(bucket, presence), shares.bitmap(bucket, breaks))
                for tick, presence, breaks in arming.bitmaps
            ],
        )


async def _all(calls: Iterable[Awaitable[_T]]) -> list[_T]:
    """Wait for all of them, even when one fails; then raise what the first of those raised."""
    calls = list(calls)
    if len(calls) == 1:
        return [await calls[0]]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    found = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        found.append(answer)
    return found


async def _timed(call: Awaitable[_T]) -> tuple[_T, int, int]:
    """Return an answer, and when the call was made and answered, in monotonic microseconds."""
    sent_us = time.monotonic_ns() // 1000
    answer = await call
    return answer, sent_us, time.monotonic_ns() // 1000


async def _look(bucket: NotarysBucket) -> tuple[Server, EventClock]:
    """Return a bucket's server, and a mapping from the monotonic clock to its clock."""
    clock, servers = EventClock(), list[Server]()
    for _ in range(_LOOKS):
        sent = time.monotonic_ns() // 1000
        servers.append(await bucket.server())
        clock.sample(sent, time.monotonic_ns() // 1000, servers[-1].time_us)
    if len({server.run_id for server in servers}) > 1:
        raise BucketError("a bucket was moved to another server while its clock was read")
    return servers[0], clock


def _behind_most(states: Sequence[State]) -> State:
    """Return the state of the bucket that is behind most; the time is that of bucket 0."""
    state = min(states, key=lambda state: (state.archived, state.sealed))
    return state if state is states[0] else replace(state, now_us=states[0].now_us)


def _restored(members: dict[str, str], archived: int) -> dict[str, str]:
    """Return members as arming restores them: of the same boot, having delivered what is archived.

    One that was lost stays so, and tells from where on when it is back: of the ticks that are archived
    it was told already, of those that were sealed beyond them it has to be told again.
    """
    return {
        node: f"{_boot(seen)} {min(_tick(seen), archived) if _is_lost(seen) else archived}"
        for node, seen in members.items()
    }


def _is_lost(seen: str) -> bool:
    return _boot(seen) == LOST_MEMBER


def _tick(seen: str) -> int:
    digits = seen.partition(" ")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else 0


def _boot(seen: str) -> str:
    return seen.partition(" ")[0]
