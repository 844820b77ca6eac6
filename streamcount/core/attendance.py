"""In how many ticks each viewer was proven, and who was proven at the peak.

The running count (`core/presence.py`) proves a viewer by pairs of consecutive presences: one in tick b
whose proof is in tick a >= b - W covers a .. b-1. It tells of the pairs of each tick as it counts it; here
they are kept for W ticks, as which of them cover tick k is known once tick k + W has been counted. Pairs of
one viewer do not overlap, so the ticks they cover add up. One number a viewer, and one addition a
heartbeat; nothing of it is paid for where nobody asks.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from streamcount.core.presence import Indices

Viewers = npt.NDArray[np.int32]
Since = npt.NDArray[np.int32]


class Attendance:
    """Takes pairs tick by tick. Ticks are held relative to the first one."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._tick = -1
        # Of the latest W ticks: the viewers whom each proves, and from which tick on.
        self._pairs: deque[tuple[Viewers, Since]] = deque()
        self._ticks = np.zeros(0, np.int32)
        self._peak: tuple[int, tuple[tuple[Viewers, Since], ...]] | None = None

    def take(self, viewers: Indices, since: Since) -> None:
        """Take the pairs that end with the next tick; no viewer twice."""
        self._tick += 1
        self._pairs.append((viewers.astype(np.int32), since))
        if len(self._pairs) > self._window:
            end = self._tick - self._window
            self._ticks = _added(self._ticks, *self._pairs.popleft(), end)

    def mark(self) -> None:
        """Take note that the tick which became final with the latest one is the peak so far."""
        self._peak = self._tick - self._window, tuple(self._pairs)

    def qualified(self, ticks: int) -> int:
        """Return how many of those proven at the peak are proven in so many final ticks at least."""
        if self._peak is None:
            return 0
        peak, pairs = self._peak
        there = np.concatenate([viewers[since <= peak] for viewers, since in pairs])
        found, final = self._ticks.copy(), self._tick - self._window
        for viewers, since in self._pairs:
            known = since <= final
            found = _added(found, viewers[known], since[known], final + 1)
        return int(np.count_nonzero(found[there] >= ticks))


def _added(ticks: Since, viewers: Viewers, since: Since, end: int) -> Since:
    """Add to each of these viewers, ascending, the ticks from `since` until before `end`."""
    if not len(viewers):
        return ticks
    most = int(viewers[-1]) + 1
    if most > len(ticks):
        more = np.zeros(max(most, 2 * len(ticks), 1024) - len(ticks), np.int32)
        ticks = np.concatenate([ticks, more])
    ticks[viewers] += np.int32(end) - since
    return ticks
