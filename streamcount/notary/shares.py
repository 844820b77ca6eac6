"""Which viewers each bucket of an event has: between a bucket's own indices and those of the log.

    bucket 0      0 1 2 3          viewers are in the bucket that their pseudonym says, numbered in
    bucket 1      0 1              the order in which they were registered there
    the log       0 2 4 5 | 1 3    viewers of all buckets, numbered in the order of the archive: with
                                   each batch of sealed ticks those of bucket 0, then of bucket 1, ...

So this follows from the pseudonyms in the archive alone. With one bucket both are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamcount.core.body import REGISTRATION
from streamcount.core.bucket import ON_STREAM, SealedTick
from streamcount.core.pseudonym import PSEUDONYM_BYTES
from streamcount.core.sharing import buckets_of
from streamcount.notary.drain import DisagreementError


class Shares:
    """The indices in the log of each bucket's viewers, in order of their index there."""

    def __init__(self, pseudonyms: bytes, buckets: int) -> None:
        """`pseudonyms`: 16 bytes a viewer, in the order of the log."""
        shares = buckets_of(pseudonyms, buckets)
        self._indices = [np.flatnonzero(shares == bucket) for bucket in range(buckets)]
        self._viewers = len(shares)

    def sizes(self) -> list[int]:
        """Return how many viewers each bucket has."""
        return [len(indices) for indices in self._indices]

    def register(self, registered: Sequence[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
        """Give indices to what the buckets registered; return all of it in the order of the log.

        Raises:
            DisagreementError: a bucket registered a viewer of another one.
        """
        for bucket, found in enumerate(registered):
            names = found["pseudonym"].tobytes()
            if (buckets_of(names, len(self._indices)) != bucket).any():
                raise DisagreementError(f"bucket {bucket} registers a viewer of another bucket")
            new = np.arange(self._viewers, self._viewers + len(found))
            self._indices[bucket] = np.concatenate([self._indices[bucket], new])
            self._viewers += len(found)
        # Not concatenate: for several it answers in the machine's byte order, and this is stored.
        return np.frombuffer(b"".join(found.tobytes() for found in registered), REGISTRATION)

    def merge(self, parts: Sequence[SealedTick]) -> SealedTick:
        """Return a tick as one, from what each bucket has of it.

        Raises:
            DisagreementError: a bit or a stream is of nobody registered.
        """
        return SealedTick(
            parts[0].tick,
            self._merge_bitmaps([part.presence for part in parts], parts[0].tick),
            self._merge_bitmaps([part.breaks for part in parts], parts[0].tick),
            b"".join(self._on_streams(b, part) for b, part in enumerate(parts)),
            [told for part in parts for told in part.tallies],
        )

    def pseudonyms(self, bucket: int, pseudonyms: bytes) -> bytes:
        """Return those of a bucket's viewers, from those of all in the log."""
        names = np.frombuffer(pseudonyms, f"V{PSEUDONYM_BYTES}")
        return names[self._indices[bucket]].tobytes()

    def bitmap(self, bucket: int, bitmap: bytes) -> bytes:
        """Return a bucket's part of a bitmap over the log's indices."""
        bits = np.zeros(self._viewers, np.uint8)
        given = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=None)[: self._viewers]
        bits[: len(given)] = given
        return np.packbits(bits[self._indices[bucket]]).tobytes() if given.any() else b""

    def _merge_bitmaps(self, bitmaps: Sequence[bytes], tick: int) -> bytes:
        bits = np.zeros(self._viewers, np.uint8)
        for bucket, bitmap in enumerate(bitmaps):
            indices = self._indices[bucket]
            given = np.unpackbits(np.frombuffer(bitmap, np.uint8))
            if given[len(indices) :].any():
                msg = f"tick {tick}: a bit beyond the {len(indices)} viewers of bucket {bucket}"
                raise DisagreementError(msg)
            there = indices[: len(given)]
            bits[there] = given[: len(there)]
        return np.packbits(bits).tobytes()

    def _on_streams(self, bucket: int, part: SealedTick) -> bytes:
        if len(part.streams) % ON_STREAM.itemsize:
            raise DisagreementError(f"tick {part.tick}: streams of another length")
        told, indices = np.frombuffer(part.streams, ON_STREAM).copy(), self._indices[bucket]
        if len(told) and int(told["index"].max()) >= len(indices):
            raise DisagreementError(f"tick {part.tick}: a stream of nobody in bucket {bucket}")
        told["index"] = indices[told["index"].astype(np.int64)]
        return told.tobytes()
