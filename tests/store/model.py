"""What the scripts must do, said as plainly as possible, with sets and dictionaries.

The model has no clock: each call gets the event time that the real script answered with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from streamcount.core.bucket import BREAKS, QUALIFIES, STRANGER, Flush, Status
from streamcount.core.presence import positions

SECOND = 1_000_000


def bits(bitmap: bytes) -> set[int]:
    return set(positions(np.frombuffer(bitmap, np.uint8)).tolist())


@dataclass
class Model:
    open: int
    close: int
    window: int
    lag_us: int
    hold_us: int
    archived: int
    viewers_max: int
    unarchived_max: int
    not_before_us: int = 0
    registry: dict[bytes, int] = field(default_factory=dict)
    presence: dict[int, set[int]] = field(default_factory=dict)
    breaks: dict[int, set[int]] = field(default_factory=dict)
    tallies: dict[int, dict[str, bytes]] = field(default_factory=dict)
    # node -> (boot, delivered), or ("lost", the last tick sealed without it)
    members: dict[str, tuple[str, int]] = field(default_factory=dict)
    lost: list[tuple[int, int, str, str]] = field(default_factory=list)
    sealed: int = 0

    def __post_init__(self):
        self.sealed = self.archived

    def flush(self, flush: Flush, now_us: int) -> tuple[Status, list[int]]:
        strangers = np.frombuffer(flush.strangers, STRANGER)
        status, indices = Status.OK, []
        known = len(self.registry)
        if max(bits(flush.presence) | bits(flush.breaks), default=-1) >= known:
            return Status.REFUSED, []
        if flush.tick is not None:
            status, indices = self._deliver(flush, strangers, now_us)
        self._watermark(flush)
        self.seal(now_us)
        return status, indices

    def _deliver(self, flush, strangers, now_us):
        tick = flush.tick
        outside = tick < self.open or (self.close and tick > self.close)
        if outside or tick > now_us // SECOND + 1 or tick - self.archived > 2 * self.unarchived_max:
            return Status.OUTSIDE, []
        here = self.presence.get(tick, set())
        broke = self.breaks.get(tick, set())
        named = [(s["pseudonym"].tobytes(), int(s["effects"])) for s in strangers]
        if tick <= self.sealed:
            indices = [self.registry.get(name, -1) for name, _ in named]
            everything_in = bits(flush.presence) <= here and bits(flush.breaks) <= here | broke
            for (_, effects), index in zip(named, indices, strict=True):
                room = index >= 0 or len(self.registry) < self.viewers_max
                if effects & QUALIFIES and index not in here and room:
                    everything_in = False
                if effects & BREAKS and index >= 0 and index not in here | broke:
                    everything_in = False
            if everything_in:
                return Status.OK, indices
            self.lost.append((tick, tick, "late", flush.node))
            return Status.LATE, indices
        indices = []
        here, broke = here | bits(flush.presence), broke | bits(flush.breaks)
        # All are looked up before the first is registered.
        found = [self.registry.get(name, -1) for name, _ in named]
        for (name, effects), index in zip(named, found, strict=True):
            if index < 0 and effects & QUALIFIES:
                if name in self.registry and len(self.registry) < self.viewers_max:
                    index = self.registry[name]
                elif len(self.registry) < self.viewers_max:
                    index = self.registry[name] = len(self.registry)
            indices.append(index)
            if index >= 0 and effects & QUALIFIES:
                here = here | {index}
            if index >= 0 and effects & BREAKS:
                broke = broke | {index}
        self.presence[tick], self.breaks[tick] = here, broke
        if flush.tallies:
            self.tallies.setdefault(tick, {})[flush.node] = flush.tallies
        return Status.OK, indices

    def _watermark(self, flush):
        if flush.leave:
            boot, _ = self.members.get(flush.node, ("", 0))
            if boot.partition("+")[0] == flush.boot.partition("+")[0]:
                self.members.pop(flush.node, None)
        elif flush.delivered is not None:
            delivered = flush.delivered
            if flush.node in self.members:
                boot, before = self.members[flush.node]
                same = boot.partition("+")[0] == flush.boot.partition("+")[0]
                why = "away" if boot == "lost" else "gave-up" if same else "restarted"
                last = delivered if why == "away" else max(delivered, before) + 1
                if boot != flush.boot and last > before:
                    self.lost.append((before + 1, last, why, flush.node))
                delivered = max(delivered, before)
            self.members[flush.node] = (flush.boot, delivered)

    def forget_before(self, tick: int) -> None:
        """Ticks that are archived and neither in a window nor flushed again are let go."""
        for ticks in (self.presence, self.breaks, self.tallies):
            for old in [t for t in ticks if t < tick]:
                del ticks[old]

    def seal(self, now_us: int) -> None:
        for _ in range(8):
            tick = self.sealed + 1
            over_us = now_us - (tick + 1) * SECOND
            if over_us < self.lag_us or now_us < self.not_before_us:
                return
            if tick - self.archived > self.unarchived_max:
                return
            if self.close and tick > self.close + self.window:
                return
            if not self.close or tick <= self.close:
                behind = {n: d for n, (b, d) in self.members.items() if d < tick and b != "lost"}
                # Nobody could deliver anything before the bucket was armed.
                silent_us = min(over_us, now_us - self.not_before_us)
                if behind and silent_us <= self.hold_us:
                    return
                for node, delivered in behind.items():
                    self.members[node] = ("lost", tick)
                    self.lost.append((delivered + 1, tick, "silent", node))
            self.sealed = tick
