"""The body of a tick entry: who registered, who moved stream, who was present, who broke.

    registrations   new x 18 bytes: pseudonym (16), stream number (big-endian u16)
    moves           moves x 6 bytes: viewer index (big-endian u32), stream number (big-endian u16)
    presence        ceil(viewers / 8) bytes, bit i of viewer i, bit 0 the top bit of byte 0
    breaks          the same length again; left out altogether when no bit in it is set

`new`, `moves`, `viewers` (registered, these included) and `breaks` stand in the entry, so the length
of a body is known before it is read. Viewers are numbered in the order of their registration. Moves
are ascending by index and each is of a viewer present in the tick; presence wins over a break, so no
bit is set in both bitmaps. The entry commits to a body by its `body_root`: the RFC 6962 Merkle root
over its 64-byte blocks, the last one as short as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streamcount.core.presence import Bitmap, bitmap_bytes, popcount
from streamcount.core.pseudonym import PSEUDONYM_BYTES

REGISTRATION: Final = np.dtype([("pseudonym", f"V{PSEUDONYM_BYTES}"), ("stream", ">u2")])
MOVE: Final = np.dtype([("index", ">u4"), ("stream", ">u2")])
BLOCK_BYTES: Final = 64

Registrations = npt.NDArray[np.void]
Moves = npt.NDArray[np.void]


class BodyError(ValueError):
    """The bytes are no body of the tick they are said to be; the message names the part."""


@dataclass(frozen=True, slots=True)
class Body:
    """A tick's body, taken apart. Arrays of REGISTRATION and MOVE, and two bitmaps."""

    registrations: Registrations
    moves: Moves
    presence: Bitmap
    breaks: Bitmap


def body_bytes(*, new: int, moves: int, viewers: int, breaks: int) -> int:
    """Return how long the body of a tick with these figures is."""
    bitmaps = 2 if breaks else 1
    return new * REGISTRATION.itemsize + moves * MOVE.itemsize + bitmaps * bitmap_bytes(viewers)


def encode(body: Body) -> bytes:
    """Return the bytes of a body whose bitmaps have the length the viewers ask for."""
    parts = [body.registrations.tobytes(), body.moves.tobytes(), body.presence.tobytes()]
    if body.breaks.any():
        parts.append(body.breaks.tobytes())
    return b"".join(parts)


def decode(data: bytes, *, new: int, moves: int, viewers: int, breaks: int, streams: int) -> Body:
    """Take apart and check the body of a tick whose entry says these figures.

    `viewers` counts the new registrations; `streams` is how many streams the event has.

    Raises:
        BodyError: the bytes break one of the rules at the head of this file.
    """
    expected = body_bytes(new=new, moves=moves, viewers=viewers, breaks=breaks)
    if len(data) != expected:
        msg = f"a body of {len(data)} bytes where its entry asks for {expected}"
        raise BodyError(msg)
    registered = np.frombuffer(data, REGISTRATION, new)
    moved = np.frombuffer(data, MOVE, moves, registered.nbytes)
    start, length = registered.nbytes + moved.nbytes, bitmap_bytes(viewers)
    presence = np.frombuffer(data, np.uint8, length, start)
    broke = (
        np.frombuffer(data, np.uint8, length, start + length)
        if breaks
        else np.zeros(length, np.uint8)
    )
    if (registered["stream"] >= streams).any() or (moved["stream"] >= streams).any():
        msg = f"a stream number that is not below the event's {streams} streams"
        raise BodyError(msg)
    for name, bitmap in (("presence", presence), ("break", broke)):
        if viewers % 8 and int(bitmap[-1]) & (0xFF >> viewers % 8):
            msg = f"a {name} bit beyond the {viewers} registered viewers"
            raise BodyError(msg)
    if popcount(broke) != breaks:
        msg = f"{popcount(broke)} break bits where the entry says {breaks}"
        raise BodyError(msg)
    if (presence & broke).any():
        msg = "a viewer with both a presence and a break bit"
        raise BodyError(msg)
    index = moved["index"].astype(np.int64)
    if (np.diff(index) <= 0).any():
        msg = "moves that are not ascending by viewer"
        raise BodyError(msg)
    if len(index) and (index[-1] >= viewers or not _bits(presence, index).all()):
        msg = "a move of a viewer who is not present"
        raise BodyError(msg)
    return Body(registered, moved, presence, broke)


def _bits(bitmap: Bitmap, index: npt.NDArray[np.int64]) -> Bitmap:
    """Return the bits of these viewers: 0, or else."""
    bits: Bitmap = bitmap[index >> 3] & (np.uint8(0x80) >> (index & 7).astype(np.uint8))
    return bits
