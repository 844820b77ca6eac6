r"""The definition of the two counts, and the way the notary computes them.

Words (ARCHITECTURE.md, "Words and the definition"): P(k) is the set of viewers with a qualifying
heartbeat received in tick k, X(k) those with a breaking one; presence wins where both. With the
window W in ticks,

    live(k)    viewers in P(k-W+1) or ... or P(k)
    proven(k)  viewers with t1 <= k < t2, t2 - t1 <= W, in P(t1) and in P(t2), and in no
               X(t) \ P(t) with t1 < t < t2

The first half of this file reads that definition literally, over sets. It is the oracle: slow,
obvious, and what every faster count is tested against. The second half is the incremental count
over bitmaps. Its theory of operation:

Of all pairs (t1, t2) that prove a viewer, consecutive presences suffice: a longer pair is the union
of the consecutive pairs inside it, and those are shorter and see fewer breaks. So each viewer needs
two things: `seen`, the tick of the latest presence, and whether a break came after it; if not, that is
their `proof`. A heartbeat in tick t of a viewer whose proof is a >= t - W proves them for a .. t-1.
Those additions are gathered for the whole tick with one bincount and one running sum. As no pair
that ends after t reaches back beyond t - W + 1, proven(t - W) is final once tick t has been counted.

For live, the viewers are kept in W drawers by `seen`, one number a drawer and stream; a heartbeat
moves its viewer to the newest drawer, and the oldest drawer is emptied as the window slides.

    tick         t-W   t-W+1   ...    t-1     t
    drawers      (out) [ n0 ]  ...  [ n_W-2 ] [ present(t) ]      live(t) = their sum

Bit order of a bitmap is that of Redis SETBIT: bit 0 is the top bit of byte 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bitmap = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

Pairs = Callable[[Indices, npt.NDArray[np.int32]], None]

# Earlier than any tick an event can have, and far enough from the limits of int32 to subtract from.
NEVER = -(2**30)
# What is added to a tick, which is below 2^28, to say that it is no proof any more.
BROKEN = -(2**29)


# --- The definition, read literally (the oracle) --------------------------------------------------


def live_ticks(presence: AbstractSet[int], window: int) -> set[int]:
    """Return the ticks k at which a viewer present in these ticks is live."""
    return {tick + later for tick in presence for later in range(window)}


def proven_ticks(presence: AbstractSet[int], breaks: AbstractSet[int], window: int) -> set[int]:
    """Return the ticks k at which a viewer with these presences and breaks is proven."""
    proven: set[int] = set()
    for first in presence:
        for second in presence:
            if not first < second <= first + window:
                continue
            between = range(first + 1, second)
            if not any(tick in breaks and tick not in presence for tick in between):
                proven.update(range(first, second))
    return proven


def tally(ticks_of_viewers: Iterable[AbstractSet[int]], ticks: range) -> list[int]:
    """Return, for each tick of `ticks`, how many of the viewers have it among theirs."""
    counts = dict.fromkeys(ticks, 0)
    for ticks_of_viewer in ticks_of_viewers:
        for tick in ticks_of_viewer:
            if tick in counts:
                counts[tick] += 1
    return list(counts.values())


def streams_live(
    presence: Iterable[Mapping[int, int]], tick: int, window: int, streams: int
) -> list[int]:
    """Return how many live viewers each stream has: that of their latest heartbeat.

    `presence` holds, for each viewer, the stream of the qualifying heartbeat of each tick.
    """
    counts = [0] * streams
    for stream_of in presence:
        in_window = [t for t in stream_of if tick - window < t <= tick]
        if in_window:
            counts[stream_of[max(in_window)]] += 1
    return counts


# --- Bitmaps --------------------------------------------------------------------------------------


def bitmap_bytes(viewers: int) -> int:
    """Return how many bytes a bitmap of this many viewers has."""
    return (viewers + 7) >> 3


def positions(bitmap: Bitmap) -> Indices:
    """Return the numbers of the bits that are set, ascending."""
    some = bitmap != 0
    if 8 * np.count_nonzero(some) > len(bitmap):
        return np.flatnonzero(np.unpackbits(bitmap).view(np.bool_))
    # Few bytes have a bit, as of breaks: the others are not unpacked.
    filled = np.flatnonzero(some)
    inside = np.flatnonzero(np.unpackbits(bitmap[filled]).view(np.bool_))
    found: Indices = filled[inside >> 3] * 8 + (inside & 7)
    return found


def bitmap_of(indices: Indices, viewers: int) -> Bitmap:
    """Return the bitmap of `viewers` bits in which exactly these bits are set.

    Raises:
        IndexError: an index is not below the viewers, rounded up to whole bytes.
    """
    bits = np.zeros(bitmap_bytes(viewers) * 8, np.uint8)
    bits[indices] = 1
    return np.packbits(bits)


def popcount(bitmap: Bitmap) -> int:
    """Return how many bits are set."""
    return int(np.bitwise_count(bitmap).sum(dtype=np.int64))


# --- The incremental count ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """What counting one tick gave.

    `proven` is the final proven count of tick `tick - window`, as no later heartbeat can change it;
    it is 0 for ticks before the first one counted.
    """

    tick: int
    present: int
    breaks: int
    live: int
    live_streams: tuple[int, ...]
    proven: int


class RunningCount:
    """Counts tick after tick. State: six bytes a viewer, and W numbers a stream."""

    def __init__(
        self, *, window: int, streams: int, first: int, pairs: Pairs | None = None
    ) -> None:
        """Start before tick `first`; `window` in ticks, `streams` how many there are.

        `pairs` is told, as each tick is counted, whom it proves, and from which tick on (the first is 0).
        """
        self.window = window
        self.next = first
        self._first = first
        self._pairs = pairs
        # Ticks are held relative to the first one, so that 32 bits are enough.
        # Of each viewer the tick of the latest presence; BROKEN less when a break came after it.
        self._latest = np.full(0, NEVER, np.int32)
        self._stream = np.zeros(0, np.uint16)
        self._drawers = np.zeros((window, streams), np.int64)
        # Proven counts of the ticks t-W .. t-1 while t is counted, oldest first; not final yet.
        self._open = np.zeros(window, np.int64)

    def assign(self, index: Indices, stream: npt.NDArray[np.uint16]) -> None:
        """Say which stream these viewers' heartbeats of the tick to be counted next were on.

        Viewers that are not named stay on the stream they had. A viewer named twice is on the
        stream that was named last.
        """
        if not len(index):
            return
        self._grow(int(index.max()) + 1)
        if (index[1:] <= index[:-1]).any():
            order = np.arange(len(index))
            last = np.full(len(self._stream), -1, np.int64)
            last[index] = order
            index, stream = index[last[index] == order], stream[last[index] == order]
        # A viewer in a drawer takes its place there along to the other stream.
        seen = self._latest[index]
        seen = np.where((seen < 0) & (seen >= BROKEN), seen - BROKEN, seen)
        inside = seen > self.next - 1 - self._first - self.window
        drawer = seen[inside] % self.window
        np.subtract.at(self._drawers, (drawer, self._stream[index[inside]]), 1)
        np.add.at(self._drawers, (drawer, stream[inside]), 1)
        self._stream[index] = stream

    def streams(self, viewers: int) -> npt.NDArray[np.uint16]:
        """Return the stream of each of the first `viewers` viewers."""
        self._grow(viewers)
        return self._stream[:viewers]

    def count(self, presence: Bitmap, breaks: Bitmap) -> Counted:
        """Count the next tick from its two bitmaps, which may differ in length."""
        tick = self.next - self._first
        window = self.window
        present = positions(presence)
        shared = min(len(presence), len(breaks))
        breaking = breaks.copy()
        breaking[:shared] &= ~presence[:shared]
        broke = positions(breaking)
        self._grow(8 * max(len(presence), len(breaks)))

        # proven: every presence with a proof in reach covers the ticks from that proof to here.
        latest = self._latest[present]
        near = latest >= tick - window
        since = latest[near]
        if self._pairs is not None:
            self._pairs(present[near], since)
        # live: the oldest drawer leaves the window, its place becomes the newest. Most of those who take
        # their place in that are among those with a proof; where that is a window ago, they had none left.
        newest, streams = tick % window, self._drawers.shape[1]
        self._drawers[newest] = 0
        place = since - (tick - window)
        if streams == 1:
            moved = np.bincount(place, minlength=window).reshape(-1, 1)
            self._drawers[newest] += len(present)
        else:
            stream = self._stream[present].astype(np.int64)
            place = place * streams + stream[near]
            moved = np.bincount(place, minlength=window * streams).reshape(-1, streams)
            self._drawers[newest] += np.bincount(stream, minlength=streams)
        rows = np.arange(tick + 1 - window, tick) % window
        self._drawers[rows] -= moved[1:]
        broken = present[(latest < 0) & (latest > BROKEN + tick - window)]
        seen = self._latest[broken] - BROKEN
        np.subtract.at(self._drawers, (seen % window, self._stream[broken]), 1)

        self._open += np.cumsum(moved.sum(axis=1))
        final = int(self._open[0])
        self._open[:-1] = self._open[1:]
        self._open[-1] = 0
        self._latest[present] = tick
        latest = self._latest[broke]
        self._latest[broke] = np.where(latest >= 0, latest + BROKEN, latest)

        self.next += 1
        live = self._drawers.sum(axis=0)
        return Counted(
            tick=self.next - 1,
            present=len(present),
            breaks=len(broke),
            live=int(live.sum()),
            live_streams=tuple(int(n) for n in live),
            proven=final,
        )

    def _grow(self, viewers: int) -> None:
        """Make room for this many viewers, doubling so that growth stays linear."""
        have = len(self._latest)
        if viewers <= have:
            return
        more = max(viewers, 2 * have, 1024) - have
        self._latest = np.concatenate([self._latest, np.full(more, NEVER, np.int32)])
        self._stream = np.concatenate([self._stream, np.zeros(more, np.uint16)])
