"""Counting an event from its bodies, tick after tick, and the entry each tick comes to.

Viewers who are excluded stay in the bodies; here their bits are left out before anything is counted.

The notary builds its tick entries here and a verifier rebuilds them here; an entry holds when the
two are equal. What workers told about a tick and no bitmap shows (`Tallies`) is carried over as it
is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamcount.core.body import Body, BodyError, Registrations
from streamcount.core.entries import STREAMS_IN_TICK_MAX, TickEntry
from streamcount.core.event import Event
from streamcount.core.presence import Bitmap, Counted, Pairs, RunningCount, bitmap_of, popcount
from streamcount.core.pseudonym import PSEUDONYM_BYTES


@dataclass(frozen=True, slots=True)
class Tallies:
    """Heartbeats of a tick as the workers told them: all, muted, hidden, and those too late."""

    heartbeats: int = 0
    muted: int = 0
    hidden: int = 0
    late: int = 0


class Recount:
    """The state of counting: who is registered, who is excluded, and what the running count needs."""

    def __init__(
        self,
        event: Event,
        *,
        first: int,
        excluded: Iterable[bytes] = (),
        pairs: Pairs | None = None,
    ) -> None:
        """Start before tick `first`, with no viewer registered and these pseudonyms excluded.

        `pairs`: who is told of the pairs of presences that prove viewers (`core/presence.py`).
        """
        self.viewers = 0
        # 16 bytes a viewer, by index.
        self.pseudonyms = bytearray()
        self._names = set(excluded)
        # Those of them that were not looked for yet among the registered viewers.
        self._new_names: set[bytes] = set()
        self._indices = np.zeros(0, np.int64)
        self._mask: Bitmap = np.zeros(0, np.uint8)
        self._running = RunningCount(
            window=event.window, streams=len(event.streams), first=first, pairs=pairs
        )

    def restore(self, streams: npt.NDArray[np.uint16], pseudonyms: bytearray) -> None:
        """Register viewers that were registered before the first tick, on these streams."""
        self._running.assign(np.arange(len(streams)), streams)
        self.viewers = len(streams)
        self.pseudonyms = pseudonyms
        self._leave_out(_find(pseudonyms, self._names))

    def exclude(self, pseudonyms: Iterable[str]) -> None:
        """Leave these viewers, pseudonyms in hexadecimal, out of all counts from the next tick on."""
        names = set(map(bytes.fromhex, pseudonyms))
        self._names |= names
        self._new_names |= names

    @property
    def excluded(self) -> int:
        """How many of the registered viewers are excluded."""
        self._look_for_new_names()
        return len(self._indices)

    def _look_for_new_names(self) -> None:
        """Find whom exclusions since the last tick name, at once: that goes through all viewers."""
        if self._new_names:
            names, self._new_names = self._new_names, set()
            self._leave_out(_find(self.pseudonyms, names))

    def streams(self, viewers: int) -> npt.NDArray[np.uint16]:
        """Return the stream of each of the first `viewers` viewers, as of their latest heartbeat."""
        return self._running.streams(viewers)

    def count(self, body: Body) -> Counted:
        """Count the next tick.

        Raises:
            BodyError: a move is to the stream the viewer is on already.
        """
        self._look_for_new_names()
        index = self._register(body.registrations)
        self._running.assign(index, body.registrations["stream"].astype(np.uint16))
        moved, to = body.moves["index"].astype(np.int64), body.moves["stream"].astype(np.uint16)
        if (self.streams(self.viewers)[moved] == to).any():
            msg = "a move to the stream the viewer is on already"
            raise BodyError(msg)
        self._running.assign(moved, to)
        if not len(self._indices):
            return self._running.count(body.presence, body.breaks)
        keep = ~self._mask
        shared = min(len(keep), len(body.presence))
        presence, breaks = body.presence.copy(), body.breaks.copy()
        presence[:shared] &= keep[:shared]
        breaks[:shared] &= keep[:shared]
        return self._running.count(presence, breaks)

    def _register(self, registrations: Registrations) -> npt.NDArray[np.int64]:
        """Take new viewers; return their indices."""
        new = len(registrations)
        index = np.arange(self.viewers, self.viewers + new)
        packed = registrations["pseudonym"].tobytes()
        self.pseudonyms += packed
        self.viewers += new
        if self._names and new:
            self._leave_out(_find(packed, self._names) + self.viewers - new)
        return index

    def _leave_out(self, indices: npt.NDArray[np.int64]) -> None:
        if len(indices):
            self._indices = np.concatenate([self._indices, indices])
            self._mask = bitmap_of(self._indices, int(self._indices.max()) + 1)

    def tick(
        self, epoch: int, body: Body, body_bytes: int, body_root: bytes, told: Tallies
    ) -> TickEntry:
        """Count the next tick and return its entry; length and root are those of the encoded body."""
        counted = self.count(body)
        streams = counted.live_streams
        return TickEntry(
            tick=counted.tick,
            epoch=epoch,
            viewers=self.viewers,
            new=len(body.registrations),
            moves=len(body.moves),
            present=popcount(body.presence),
            breaks=popcount(body.breaks),
            live=counted.live,
            proven=counted.proven,
            streams=streams if len(streams) <= STREAMS_IN_TICK_MAX else (),
            heartbeats=told.heartbeats,
            muted=told.muted,
            hidden=told.hidden,
            late=told.late,
            body_bytes=body_bytes,
            body_root=body_root,
        )


def registered(packed: bytes | bytearray, names: set[bytes]) -> int:
    """Return how many of these viewers are among the registered ones, 16 bytes each."""
    return len(_find(packed, names))


def _find(packed: bytes | bytearray, names: set[bytes]) -> npt.NDArray[np.int64]:
    """Return where, counted in pseudonyms, some of these are; a few among many are found fast."""
    if not names or not packed:
        return np.zeros(0, np.int64)
    halves = np.frombuffer(bytes(packed), np.uint64).reshape(-1, 2)
    wanted = np.frombuffer(b"".join(names), np.uint64).reshape(-1, 2)
    close = np.flatnonzero(np.isin(halves[:, 0], wanted[:, 0]))
    width = PSEUDONYM_BYTES
    found = [i for i in close.tolist() if bytes(packed[i * width : (i + 1) * width]) in names]
    return np.array(found, np.int64)
