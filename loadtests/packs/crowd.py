"""A crowd as numbers: who sends a heartbeat in which second, from a seed, a million viewers at a time.

Viewers come within the first tenth of the event, a few of them later; most stay, some leave, some lose
their connection and come back with another beat, some pause and some change stream. Each has a beat of its
own, which has nothing to do with when they came: the bits of a tick are as if they had been drawn one by
one. That is the hardest case for compression: viewers who keep the beat they came with lie side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamcount.core.body import MOVE, REGISTRATION, Body
from streamcount.core.presence import bitmap_bytes, bitmap_of
from streamcount.core.pseudonym import PSEUDONYM_BYTES

_FAR = np.float32(2**30)
# Of all heartbeats: how many are the last one, a pause, the last before an outage, from another stream.
_LEAVES, _PAUSES, _OUTAGES, _MOVES = 0.0001, 0.0004, 0.001, 0.0002
_LATER = 0.05  # of all viewers come when it has begun


@dataclass(frozen=True, slots=True)
class Scale:
    """How large an event is, and what it is drawn from.

    `presence_s`: how long one must be there to be in the number claimed. `excluded`: how many of the first
    viewers are excluded when the first second has been counted. Both make counting dearer.
    """

    viewers: int
    seconds: int
    interval: int = 10
    streams: int = 2
    seed: int = 1
    presence_s: int = 0
    excluded: int = 0


class Crowd:
    """The heartbeats of an event, second after second."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        # Heartbeats so far, and those among them that broke.
        self.heartbeats = 0
        self._draw = np.random.default_rng(scale.seed)
        self._registered = 0
        early = max(1, scale.seconds // 10)
        late = round(scale.viewers * _LATER)
        first = self._draw.integers(0, early, scale.viewers - late)
        later = self._draw.integers(0, max(early, scale.seconds * 9 // 10), late)
        # How many register in each second; viewers are numbered in that order.
        self._coming = np.bincount(np.concatenate([first, later]), minlength=scale.seconds)
        self._next = np.full(scale.viewers, _FAR, np.float32)
        self._stream = np.zeros(scale.viewers, np.uint16)

    def second(self, number: int) -> Body:
        """Return what second `number` brings; they are asked for in order."""
        scale, draw = self.scale, self._draw
        start = self._registered
        self._registered = end = start + int(self._coming[number])
        stream = draw.integers(0, scale.streams, end - start).astype(np.uint16)
        self._stream[start:end] = stream
        new = np.zeros(end - start, REGISTRATION)
        new["pseudonym"] = np.frombuffer(
            draw.bytes((end - start) * PSEUDONYM_BYTES), f"V{PSEUDONYM_BYTES}"
        )
        new["stream"] = stream
        due = np.flatnonzero(self._next[:start] < number + 1)
        fate = draw.random(len(due), np.float32)
        gone, paused = fate < _LEAVES, (fate >= _LEAVES) & (fate < _LEAVES + _PAUSES)
        broke = due[gone | paused]
        here = due[~(gone | paused)]
        # Timers are late by some milliseconds each time, and after an outage the beat is another one.
        wait = scale.interval + draw.random(len(due), np.float32) * np.float32(0.02)
        outage = fate > 1 - _OUTAGES
        wait[outage] += draw.random(int(outage.sum()), np.float32) * 25
        wait[paused] += draw.random(int(paused.sum()), np.float32) * 90
        wait[gone] = _FAR
        self._next[due] += wait
        self._next[start:end] = number + 1 + draw.random(end - start, np.float32) * scale.interval
        self.heartbeats += len(due) + end - start
        present = np.concatenate([here, np.arange(start, end)])
        return Body(
            new,
            self._moves(here),
            bitmap_of(present, end),
            bitmap_of(broke, end) if len(broke) else np.zeros(bitmap_bytes(end), np.uint8),
        )

    def _moves(self, here: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
        streams = self.scale.streams
        if streams < 2:
            return np.zeros(0, MOVE)
        moved = here[self._draw.random(len(here), np.float32) < _MOVES]
        self._stream[moved] = (self._stream[moved] + 1) % streams
        moves = np.zeros(len(moved), MOVE)
        moves["index"], moves["stream"] = moved, self._stream[moved]
        return moves
