"""The viewers of one event that are connected to this worker.

A viewer is known by a pseudonym, HMAC-SHA-256 of the id it sent under the event's key, cut to 16
bytes. Here each has a small number, so that a tick is a bitmap over numbers; numbers of viewers who
left are used again once no tick that is still held can mean them.

Each is in one of the event's buckets, as their pseudonym says. The index a viewer has there belongs to
an epoch, and a new epoch forgets it: `UNKNOWN` until a flush has told it again.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from streamcount.core.pseudonym import PSEUDONYM_BYTES, pseudonym
from streamcount.core.sharing import bucket_of, buckets_of

UNKNOWN: Final = -1


class Viewers:
    """Numbers, pseudonyms and indices of viewers."""

    def __init__(self, pseudonym_key: bytes, buckets: int = 1) -> None:
        """`buckets`: how many the event has."""
        self._key = pseudonym_key
        self.buckets = buckets
        self._number_of: dict[bytes, int] = {}
        self._connections: list[int] = []
        # (tick of the last connection's end, number), oldest first: candidates for being used again.
        self._departed: deque[tuple[int, int]] = deque()
        # By number, the tick of the latest such end.
        self._left: list[int] = []
        self._free: list[int] = []
        self.pseudonyms = np.zeros(0, f"V{PSEUDONYM_BYTES}")
        # By number; longer than there are numbers.
        self.index: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        # By number; as long as that.
        self.bucket: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)

    def __len__(self) -> int:
        """Return how many viewers have a number."""
        return len(self._number_of)

    @property
    def numbers_end(self) -> int:
        """One more than the highest number in use."""
        return len(self._connections)

    def enter(self, viewer: str) -> int:
        """Return the number of a viewer who opened a connection."""
        name = pseudonym(self._key, viewer)
        number = self._number_of.get(name)
        if number is None:
            number = self._free.pop() if self._free else self._new_number()
            self._number_of[name] = number
            self.pseudonyms[number] = np.void(name)
            self.index[number] = UNKNOWN
            if self.buckets > 1:
                self.bucket[number] = bucket_of(name, self.buckets)
        self._connections[number] += 1
        return number

    def leave(self, number: int, tick: int) -> None:
        """Take note that a connection of this viewer ended in `tick`."""
        self._connections[number] -= 1
        if not self._connections[number]:
            self._left[number] = tick
            self._departed.append((tick, number))

    def keep(self, number: int, tick: int) -> None:
        """Keep the number of a viewer who may have left: `tick` still means them."""
        if not self._connections[number]:
            self._left[number] = tick
            self._departed.append((tick, number))

    def sweep(self, oldest_held: int) -> None:
        """Free the numbers of viewers who left before the oldest tick that is held."""
        while self._departed and self._departed[0][0] < oldest_held:
            tick, number = self._departed.popleft()
            name = self.pseudonyms[number].tobytes()
            # They may have come back, even to leave again; and twice in one tick frees but once.
            away = not self._connections[number] and self._left[number] == tick
            if away and self._number_of.get(name) == number:
                del self._number_of[name]
                self._free.append(number)

    def forget_indices(self) -> None:
        """Forget what the store calls them: a new epoch began."""
        self.index[:] = UNKNOWN

    def share_out(self, buckets: int) -> None:
        """Take another number of buckets; their indices there are not known."""
        self.buckets = buckets
        self.bucket = buckets_of(self.pseudonyms.tobytes(), buckets)
        self.forget_indices()

    def _new_number(self) -> int:
        number = len(self._connections)
        self._connections.append(0)
        self._left.append(0)
        if number >= len(self.index):
            more = max(1024, number) - len(self.index) + number
            self.index = np.concatenate([self.index, np.full(more, UNKNOWN, np.int32)])
            self.bucket = np.concatenate([self.bucket, np.zeros(more, np.uint8)])
            self.pseudonyms = np.concatenate(
                [self.pseudonyms, np.zeros(more, self.pseudonyms.dtype)]
            )
        return number
