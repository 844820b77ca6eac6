"""The flushes that a holding makes: from this worker's numbers to what a bucket knows viewers by.

    viewer's number      3       7       9          (ascending, in a held tick)
    index in its bucket  12      none    4
    in the flush         bit 12  pseudonym, "a stranger"     bit 4

Strangers are registered by the bucket along with their bits, a bounded number in a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from streamcount.core.bucket import (
    BREAKS,
    ON_STREAM,
    QUALIFIES,
    STRANGER,
    Flush,
    pack_tallies,
)
from streamcount.core.presence import bitmap_of
from streamcount.ingest.hearing import HeldTick, Numbers
from streamcount.ingest.viewers import Viewers

_NOBODY: Final[Numbers] = np.zeros(0, np.int64)
_NOTHING: Final = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Part:
    """A flush to be made: of `held` it carries the viewers at `places`, the last of them strangers.

    `numbers` and `effects` are those of `held` when it was made: until it is answered, other viewers may
    be taken out, or breaks be put in.
    """

    flush: Flush
    bucket: int
    held: HeldTick | None
    numbers: Numbers
    effects: npt.NDArray[np.uint8]
    places: Numbers
    strangers: Numbers
    last: bool

    def places_now(self, held: HeldTick) -> tuple[Numbers, Numbers]:
        """Return places and strangers in the held tick as that is now."""
        if self.numbers is held.numbers:
            return self.places, self.strangers
        return (
            np.searchsorted(held.numbers, self.numbers[self.places]),
            np.searchsorted(held.numbers, self.numbers[self.strangers]),
        )

    def changed(self, held: HeldTick, places: Numbers) -> npt.NDArray[np.bool_]:
        """Return of whom, at these places now, something else has to be delivered than was carried."""
        if self.numbers is held.numbers:
            return np.zeros(len(places), bool)
        changed: npt.NDArray[np.bool_] = held.effects[places] != self.effects[self.places]
        return changed


class PartMaker:
    """Makes the parts of one event at one worker."""

    def __init__(self, viewers: Viewers, *, several_streams: bool, strangers_max: int) -> None:
        """`strangers_max`: viewers to be registered in one flush at the most."""
        self._viewers = viewers
        self._several_streams = several_streams
        self._strangers_max = strangers_max

    def next(self, held_ticks: Sequence[HeldTick], bucket: int, plain: Flush) -> Part:
        """Return the next flush to a bucket: undelivered viewers, oldest tick first.

        `plain` has who sends it, in which epoch, and the watermark; only the last part carries that.
        """
        waiting = [held for held in held_ticks if self._undelivered(held, bucket).any()]
        if not waiting:
            return Part(plain, bucket, None, _NOBODY, _NOTHING, _NOBODY, _NOBODY, last=True)
        held = waiting[0]
        at = np.flatnonzero(self._undelivered(held, bucket))
        index = self._viewers.index[held.numbers[at]]
        strange = at[index < 0]
        # The known go with the first of the strangers.
        strangers = strange[: self._strangers_max]
        whole = len(strangers) == len(strange)
        known = at[index >= 0]
        last = whole and len(waiting) == 1
        flush = replace(
            plain,
            delivered=plain.delivered if last else None,
            tick=held.tick,
            presence=self._bitmap(held, known, QUALIFIES),
            breaks=self._bitmap(held, known, BREAKS),
            strangers=self._introduce(held, strangers),
            streams=self._on_streams(held, known),
            tallies=self._tallies(held, bucket) if whole else b"",
        )
        places = np.concatenate([known, strangers])
        return Part(flush, bucket, held, held.numbers, held.effects, places, strangers, last)

    def _undelivered(self, held: HeldTick, bucket: int) -> npt.NDArray[np.bool_]:
        """Return, for each viewer of a held tick, whether this bucket has to get them yet."""
        if self._viewers.buckets == 1:
            return held.undelivered
        here: npt.NDArray[np.bool_] = self._viewers.bucket[held.numbers] == bucket
        return held.undelivered & here

    def _tallies(self, held: HeldTick, bucket: int) -> bytes:
        """Return what one bucket is told of the tick: that of its first viewer."""
        if self._viewers.buckets > 1 and int(self._viewers.bucket[held.numbers[0]]) != bucket:
            return b""
        return pack_tallies(held.tallies())

    def _bitmap(self, held: HeldTick, at: Numbers, effect: int) -> bytes:
        index = self._viewers.index[held.numbers[at[held.effects[at] & effect > 0]]]
        return (
            bitmap_of(index.astype(np.int64), int(index.max()) + 1).tobytes() if len(index) else b""
        )

    def _introduce(self, held: HeldTick, at: Numbers) -> bytes:
        strangers = np.zeros(len(at), STRANGER)
        strangers["pseudonym"] = self._viewers.pseudonyms[held.numbers[at]]
        strangers["stream"] = held.streams_at(at)
        strangers["effects"] = held.effects[at]
        return strangers.tobytes()

    def _on_streams(self, held: HeldTick, at: Numbers) -> bytes:
        if not self._several_streams:
            return b""
        here = at[held.effects[at] & QUALIFIES > 0]
        on = np.zeros(len(here), ON_STREAM)
        on["index"] = self._viewers.index[held.numbers[here]]
        on["stream"] = held.streams_at(here)
        return on.tobytes()
