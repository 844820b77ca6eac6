"""How an event is shared out over its buckets: its viewers, and the hash tags of the buckets' keys.

A viewer's bucket follows from the pseudonym alone, so that workers and notary agree without asking, and
so that which viewers a bucket has can be told from an archive, where they stand in order of index.

A cluster puts a key on a master by its hash slot, CRC16 of the tag modulo 16384, and masters have ranges
of slots. The tag of bucket b of B carries the smallest number that brings its slot into the b-th of B
equal ranges, so that B buckets spread evenly over the masters. It carries B as well: with another B
viewers are in other buckets, so none of these may ever be taken for one of those.
"""

from __future__ import annotations

import binascii
import itertools
from typing import Final

import numpy as np
import numpy.typing as npt

BUCKETS_MAX: Final = 64
SLOTS: Final = 16_384


def slot_of(tag: str) -> int:
    """Return the hash slot of a tag: CRC16 (XMODEM), as the Redis Cluster specification says."""
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


def tags(tag: str, buckets: int) -> tuple[str, ...]:
    """Return the hash tags of an event's buckets, in order; `tag` names the event's log."""
    if buckets == 1:
        return (tag,)
    return tuple(_tag(f"{tag}.{buckets}.{number}", number, buckets) for number in range(buckets))


def bucket_of(pseudonym: bytes, buckets: int) -> int:
    """Return in which of an event's buckets a viewer is."""
    return int.from_bytes(pseudonym[:4], "big") % buckets


def buckets_of(pseudonyms: bytes, buckets: int) -> npt.NDArray[np.uint8]:
    """Return the same for many pseudonyms, 16 bytes each."""
    heads = np.frombuffer(pseudonyms, np.dtype([("head", ">u4"), ("rest", "V12")]))["head"]
    return (heads % np.uint32(buckets)).astype(np.uint8)


def _tag(start: str, number: int, buckets: int) -> str:
    tried = (f"{start}.{n}" for n in itertools.count())
    return next(tag for tag in tried if slot_of(tag) * buckets // SLOTS == number)
