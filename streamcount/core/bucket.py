"""What is said to a bucket, and what it answers.

A bucket is the part of the store where the workers' heartbeats of an event meet: `store/*.lua` says
what it does. Workers and notary know it only as the two protocols at the end of this file.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from streamcount.core.recount import Tallies

# A viewer whose index the worker does not know: pseudonym, stream, QUALIFIES + BREAKS.
STRANGER: Final = np.dtype([("pseudonym", "V16"), ("stream", ">u2"), ("effects", "u1")])
QUALIFIES: Final = 1
BREAKS: Final = 2
# The stream a viewer's heartbeat was on.
ON_STREAM: Final = np.dtype([("index", ">u4"), ("stream", ">u2")])
# Stands in place of the boot of a member that was given up; its tick is the last sealed without it.
LOST_MEMBER: Final = "lost"
_TALLIES: Final = struct.Struct(">IIII")


class BucketError(Exception):
    """The bucket could not be reached in time, or answered with an error; nothing is known of it."""


class Status(enum.IntEnum):
    """How a bucket took a call; the numbers are those of fence.lua."""

    OK = 0
    FENCED = 1
    LATE = 2
    OUTSIDE = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True)
class State:
    """A bucket's state after a call. Times in microseconds of event time, ticks in event seconds.

    When FENCED, only `epoch` is meaningful: that of the server's own arming, 0 if there is none.
    `close` is 0 while it is not decided. `live` is of tick `archived`, `proven` of one window before.
    """

    status: Status
    epoch: int
    now_us: int
    offset_us: int = 0
    open: int = 0
    close: int = 0
    window: int = 0
    sealed: int = 0
    archived: int = 0
    viewers: int = 0
    journal_base: int = 0
    live: int = 0
    proven: int = 0
    peak: int = 0
    peak_tick: int = 0
    uncertain: int = 0


@dataclass(frozen=True, slots=True)
class Flush:
    """What one worker heard in one tick, or a part of it. The fields are those of flush.lua.

    `delivered`: nothing more will come for ticks up to this one; None when more will; LEAVE to give
    up membership. `tick` is None when there is nothing but the watermark.
    """

    epoch: int
    node: str
    boot: str
    delivered: int | None
    leave: bool = False
    tick: int | None = None
    presence: bytes = b""
    breaks: bytes = b""
    strangers: bytes = b""
    streams: bytes = b""
    tallies: bytes = b""


@dataclass(frozen=True, slots=True)
class Flushed:
    """The answer to a flush: the index of each stranger, -1 for one who got none."""

    state: State
    indices: Sequence[int]


@dataclass(frozen=True, slots=True)
class SealedTick:
    """What a sealed tick holds, as read.lua returns it."""

    tick: int
    presence: bytes
    breaks: bytes
    streams: bytes
    tallies: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Read:
    """What the notary reads: new journal entries, sealed ticks in order, the members."""

    state: State
    journal: Sequence[bytes]
    ticks: Sequence[SealedTick]
    members: dict[str, str]


@dataclass(frozen=True, slots=True)
class Published:
    """What the notary puts beside the archived watermark, for workers to tell viewers."""

    live: int = 0
    proven: int = 0
    peak: int = 0
    peak_tick: int = 0
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Arming:
    """What a bucket is armed with. `bitmaps`: (tick, presence, breaks) of the latest archived ticks.

    `members`: node -> "<boot> <delivered>". No tick is sealed before `not_before_us` (event time).
    """

    epoch: int
    run_id: str
    offset_us: int
    open: int
    close: int
    archived: int
    not_before_us: int
    pseudonyms: bytes
    bitmaps: Sequence[tuple[int, bytes, bytes]]
    members: dict[str, str]
    published: Published
    streams: int = 1


@dataclass(frozen=True, slots=True)
class Server:
    """Which server answers, and its clock: Unix time in microseconds."""

    run_id: str
    time_us: int


def pack_tallies(told: Tallies) -> bytes:
    """Return a worker's tallies of a tick as the bucket keeps them."""
    return _TALLIES.pack(told.heartbeats, told.muted, told.hidden, told.late)


def add_tallies(packed: Sequence[bytes]) -> Tallies:
    """Add up what the workers told of a tick; what has not the right length counts nothing."""
    told = [_TALLIES.unpack(one) for one in packed if len(one) == _TALLIES.size]
    return Tallies(*(sum(column) for column in zip(*told, strict=True))) if told else Tallies()


class WorkersBucket(Protocol):
    """What an ingest worker asks of a bucket. Every call may raise BucketError."""

    async def flush(self, flush: Flush) -> Flushed:
        """Deliver what was heard; safe to repeat."""
        ...


class NotarysBucket(Protocol):
    """What the notary asks of a bucket. Every call may raise BucketError."""

    async def server(self) -> Server:
        """Tell which server this is, and its time."""
        ...

    async def members(self) -> dict[str, str]:
        """Return who is a member now, whatever the epoch."""
        ...

    async def latest(self) -> tuple[int, int]:
        """Return the epoch it was armed in and the tick archived then, whatever server that was; 0, 0."""
        ...

    async def arm(self, arming: Arming) -> bool:
        """Wipe, restore, and let it count; false when it has to be begun again."""
        ...

    async def forget(self, archived: int) -> None:
        """Delete all of it; `archived` is the last tick in durable evidence."""
        ...

    async def read(self, epoch: int, first: int, journal_read: int) -> Read:
        """Seal what can be sealed, and return what is sealed from tick `first` on."""
        ...

    async def advance(
        self, epoch: int, archived: int, journal_read: int, close: int, published: Published
    ) -> State:
        """Say what is archived; safe to repeat."""
        ...
