"""One tick at one worker: what is heard while it lasts, and what is held of it afterwards.

    number (one a viewer)     0 1 2 3 4 5 6 7   8 9 ...
    presence                  1 0 0 1 0 0 0 0   0 1 ...     a heartbeat that qualifies sets one bit,
    breaks                    0 0 1 0 0 0 0 0   0 0 ...     one that breaks sets one here,
    speakers, seqs            whom to answer and what they called it, one entry a heartbeat
    shut                      whose break was lost in an earlier tick: it stands in this one instead

While the tick is under way that is all; when its second is over, `HeldTick` has the numbers as an array.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from streamcount.core.bucket import BREAKS, QUALIFIES
from streamcount.core.presence import positions
from streamcount.core.recount import Tallies

# Of viewers at this worker.
Numbers = npt.NDArray[np.int64]

_ROOM_BYTES: Final = 64
# For each heartbeat held, about: 40 of lists and arrays, 600 of its connection, which may be gone by now.
_HEARTBEAT_BYTES: Final = 640


class Speaker(Protocol):
    """The connection a heartbeat came over, as far as this file knows it."""

    number: int  # of its viewer
    stream: int  # of the event's list
    late: int  # how many of its heartbeats came too late


class Hearing:
    """The tick that is under way."""

    __slots__ = (
        "breaks",
        "hidden",
        "late",
        "muted",
        "presence",
        "seqs",
        "shut",
        "speakers",
        "streams",
        "tick",
    )

    def __init__(self, tick: int, numbers: int, *, several_streams: bool) -> None:
        self.tick = tick
        # Bitmaps over viewer numbers, with room for those that connect while the tick lasts.
        self.presence = bytearray((numbers >> 3) + _ROOM_BYTES)
        self.breaks = bytearray((numbers >> 3) + _ROOM_BYTES)
        # One entry a heartbeat in each: whom to answer, and what they called it.
        self.speakers: list[Speaker] = []
        self.seqs: list[int] = []
        # number -> stream of the latest qualifying heartbeat; None when the event has one stream.
        self.streams: dict[int, int] | None = {} if several_streams else None
        self.muted = 0
        self.hidden = 0
        self.shut: set[int] = set()
        # True when something came that belongs into an earlier tick, nobody knows which.
        self.late = False

    def room_for(self, number: int) -> None:
        """Make the bitmaps long enough for this number."""
        missing = (number >> 3) + 1 - len(self.presence)
        if missing > 0:
            self.presence.extend(bytes(missing + _ROOM_BYTES))
            self.breaks.extend(bytes(missing + _ROOM_BYTES))


class HeldTick:
    """A tick whose second is over: who was heard, as numbers, and whom to answer."""

    __slots__ = (
        "effects",
        "late",
        "numbers",
        "refused",
        "seqs",
        "speakers",
        "streams",
        "tick",
        "told",
        "undelivered",
        "unregistered",
        "withheld",
    )

    def __init__(self, heard: Hearing, late: int) -> None:
        presence = np.frombuffer(bytes(heard.presence), np.uint8)
        breaks = np.frombuffer(bytes(heard.breaks), np.uint8)
        self.tick = heard.tick
        self.speakers, self.seqs = heard.speakers, heard.seqs
        # Ascending; `effects` and `streams` go along with it.
        self.numbers: Numbers = positions(presence | breaks)
        self.effects = np.zeros(len(self.numbers), np.uint8)
        self.effects[np.isin(self.numbers, positions(presence))] |= QUALIFIES
        self.effects[np.isin(self.numbers, positions(breaks))] |= BREAKS
        found = heard.streams or {}
        self.streams = np.array(
            [found.get(int(n), 0) for n in self.numbers] if found else [], ">u2"
        )
        # True for each number whose flush was not accepted in the current epoch.
        self.undelivered = np.ones(len(self.numbers), bool)
        # True for each number whose flush came when the tick was sealed.
        self.refused = np.zeros(len(self.numbers), bool)
        # True for each number that had no index when its flush was accepted: no bit of theirs is set.
        self.unregistered = np.zeros(len(self.numbers), bool)
        # True for each number whose presence gave way to a break that was lost before.
        self.withheld = np.zeros(len(self.numbers), bool)
        # Heartbeats that came too late, told to the store along with this tick.
        self.late = late
        self.told = (heard.muted, heard.hidden)
        if heard.shut:
            self.shut(np.array(sorted(heard.shut), np.int64))

    def streams_at(self, at: Numbers) -> npt.NDArray[np.uint16]:
        """Return the streams of the viewers at these places of `numbers`."""
        return self.streams[at] if len(self.streams) else np.zeros(len(at), np.uint16)

    def breaking(self, at: Numbers) -> Numbers:
        """Return those of the viewers at these places who broke."""
        return self.numbers[at[self.effects[at] & BREAKS > 0]]

    def shut(self, numbers: Numbers) -> None:
        """Let a break that these viewers (ascending) made before stand in this tick, and no presence.

        Otherwise their next presence would reach back over it, and they would count as if they had stayed.
        """
        merged = np.union1d(self.numbers, numbers)
        at = np.searchsorted(merged, self.numbers)

        def spread(values: npt.NDArray[Any], others: int) -> npt.NDArray[Any]:
            wide = np.full(len(merged), others, values.dtype)
            wide[at] = values
            return wide

        self.effects, self.unregistered = spread(self.effects, 0), spread(self.unregistered, 0)
        self.undelivered, self.withheld = spread(self.undelivered, 1), spread(self.withheld, 0)
        self.refused = spread(self.refused, 0)
        if len(self.streams):
            self.streams = spread(self.streams, 0)
        self.numbers = merged
        shut = np.isin(merged, numbers)
        self.withheld |= shut & (self.effects & QUALIFIES > 0)
        self.effects[shut] = BREAKS
        self.undelivered[shut], self.refused[shut] = True, False

    def size_bytes(self) -> int:
        """Return about how much memory it takes."""
        return _HEARTBEAT_BYTES * len(self.seqs)

    def tallies(self) -> Tallies:
        """Return what the store is told of the tick."""
        return Tallies(len(self.seqs), *self.told, self.late)

    def remove(self, at: Numbers) -> list[Speaker]:
        """Take the viewers at these places out; return the speakers of their heartbeats."""
        if not len(at):
            return []
        out = set(self.numbers[at].tolist())
        gone = [speaker for speaker in self.speakers if speaker.number in out]
        kept = [i for i, speaker in enumerate(self.speakers) if speaker.number not in out]
        self.speakers = [self.speakers[i] for i in kept]
        self.seqs = [self.seqs[i] for i in kept]
        stay = np.ones(len(self.numbers), bool)
        stay[at] = False
        self.numbers, self.effects = self.numbers[stay], self.effects[stay]
        self.undelivered, self.unregistered = self.undelivered[stay], self.unregistered[stay]
        self.withheld, self.refused = self.withheld[stay], self.refused[stay]
        self.streams = self.streams[stay] if len(self.streams) else self.streams
        return gone
