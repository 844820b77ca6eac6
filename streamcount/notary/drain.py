"""From what the store holds of a tick to the tick's body: pure, and suspicious of the store.

What disagrees with the archive stops the notary for this event: it would rather count nothing than
count wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamcount.core.body import MOVE, REGISTRATION, Body
from streamcount.core.bucket import ON_STREAM, SealedTick
from streamcount.core.entries import GapEntry
from streamcount.core.presence import Bitmap, bitmap_bytes, positions


class DisagreementError(Exception):
    """The store holds what the archive contradicts; the notary of this event has to stop."""


class Journal:
    """What was read of the journal and is not archived yet: registrations and gaps."""

    def __init__(self, viewers: int, place: str = "") -> None:
        """`viewers`: how many are registered in the archive; `place`: said with every gap."""
        self._place = place
        self.read = 0
        self._next = viewers
        self._registrations: list[bytes] = []
        self._gaps: list[GapEntry] = []

    def take(self, journal: Sequence[bytes]) -> None:
        """Take the entries that follow those taken before.

        Raises:
            DisagreementError: one is malformed, or registers another index than the next.
        """
        for item in journal:
            try:
                if item[:1] == b"r":
                    self._register(item)
                else:
                    self._lose(item)
            except (ValueError, IndexError, UnicodeDecodeError) as error:
                raise DisagreementError(f"the journal holds {item[:60]!r}: {error}") from error
        self.read += len(journal)

    def registrations(self) -> npt.NDArray[np.void]:
        """Return, and forget, the registrations taken so far."""
        packed, self._registrations = b"".join(self._registrations), []
        return np.frombuffer(packed, REGISTRATION)

    def gaps(self, first: int) -> list[GapEntry]:
        """Return, and forget, the gaps taken so far, as far as they lie in ticks from `first` on."""
        gaps, self._gaps = self._gaps, []
        return [
            GapEntry(gap.kind, gap.reason, max(gap.first, first), gap.last)
            for gap in gaps
            if gap.last >= first
        ]

    def _register(self, item: bytes) -> None:
        number, _, packed = item[1:].partition(b" ")
        if int(number) != self._next:
            msg = f"the store registers index {int(number)} where the archive is at {self._next}"
            raise DisagreementError(msg)
        if len(packed) % REGISTRATION.itemsize:
            raise DisagreementError("the journal holds a registration of another length")
        self._registrations.append(packed)
        self._next += len(packed) // REGISTRATION.itemsize

    def _lose(self, item: bytes) -> None:
        first, last, why, node = item[1:].decode("utf-8").split(" ", 3)
        self._gaps.append(
            GapEntry("loss", f"node {node:.80} {why:.40}{self._place}", int(first), int(last))
        )


def make_body(
    sealed: SealedTick,
    registrations: npt.NDArray[np.void],
    streams_before: npt.NDArray[np.uint16],
    streams: int,
) -> Body:
    """Return the body of a sealed tick.

    `streams_before`: by index, the stream each viewer was on before this tick, the new ones on that of
    their registration. `streams`: how many the event has.

    Raises:
        DisagreementError: a bit or a stream is of nobody registered, or of no stream there is.
    """
    viewers = len(streams_before)
    presence = _bitmap(sealed.presence, viewers, sealed.tick)
    breaks = _bitmap(sealed.breaks, viewers, sealed.tick) & ~presence
    if len(registrations) and int(registrations["stream"].max()) >= streams:
        raise DisagreementError(f"tick {sealed.tick}: a registration on a stream that is none")
    moves = _moves(sealed, presence, streams_before, streams)
    return Body(registrations, moves, presence, breaks)


def _bitmap(data: bytes, viewers: int, tick: int) -> Bitmap:
    """Return the bitmap in the length the viewers ask for; the store's may be shorter."""
    length = bitmap_bytes(viewers)
    bitmap = np.zeros(length, np.uint8)
    given = np.frombuffer(data, np.uint8)
    bitmap[: min(length, len(given))] = given[:length]
    spare = bool(viewers % 8 and length and int(bitmap[-1]) & (0xFF >> viewers % 8))
    if spare or given[length:].any():
        raise DisagreementError(f"tick {tick}: a bit beyond the {viewers} registered viewers")
    return bitmap


def _moves(
    sealed: SealedTick, presence: Bitmap, before: npt.NDArray[np.uint16], streams: int
) -> npt.NDArray[np.void]:
    """Return who is on another stream than before: the one told last counts."""
    if len(sealed.streams) % ON_STREAM.itemsize:
        raise DisagreementError(f"tick {sealed.tick}: streams of another length")
    told = np.frombuffer(sealed.streams, ON_STREAM)
    if not len(told):
        return np.zeros(0, MOVE)
    index, on = told["index"].astype(np.int64), told["stream"].astype(np.int64)
    if int(index.max()) >= len(before) or int(on.max()) >= streams:
        raise DisagreementError(f"tick {sealed.tick}: a stream of nobody, or one that is none")
    now = before.astype(np.int64)
    now[index] = on  # of several for one viewer, numpy keeps the last
    moved = np.flatnonzero(now != before)
    moved = moved[np.isin(moved, positions(presence), assume_unique=True)]
    moves = np.zeros(len(moved), MOVE)
    moves["index"], moves["stream"] = moved, now[moved]
    return moves
