"""Counts an evidence pack again, with sets, and sets it beside what viewers were told."""

from __future__ import annotations

import hmac
import json

import numpy as np

from streamcount.config import PackLimits
from streamcount.core import body as bodies
from streamcount.core import segment
from streamcount.core.entries import GapEntry, TickEntry, decode
from streamcount.core.presence import positions, proven_ticks, tally
from streamcount.evidence.bundle import bundles
from streamcount.evidence.pack import PackReader, body_path, decode_bodies
from streamcount.tlog import tiles


class Recounted:
    """Who was present and who broke in which tick, by pseudonym, as the bodies say."""

    def __init__(self, path):
        self.presence, self.breaks, self.names, self.ticks, self.gaps = {}, {}, [], [], []
        with path.open("rb") as file:
            pack = PackReader(file, PackLimits())
            size = int(pack.read("checkpoint").split(b"\n")[1])
            for name, start, end in bundles(size):
                entries = tiles.decode_bundle(pack.read(name), end - start)
                stored = decode_bodies(pack.read(body_path(name)), end - start)
                for data, packed in zip(entries, stored, strict=True):
                    entry = decode(data)
                    if isinstance(entry, TickEntry):
                        self._take(entry, packed)
                    elif isinstance(entry, GapEntry):
                        self.gaps.append(entry)

    def _take(self, entry, packed):
        data = segment.inflate(packed, entry.body_bytes) if entry.body_bytes else b""
        body = bodies.decode(
            data,
            new=entry.new,
            moves=entry.moves,
            viewers=entry.viewers,
            breaks=entry.breaks,
            streams=500,
        )
        self.names += [name.tobytes() for name in body.registrations["pseudonym"]]
        self.ticks.append(entry.tick)
        for index in positions(np.asarray(body.presence)):
            self.presence.setdefault(self.names[index], set()).add(entry.tick)
        for index in positions(np.asarray(body.breaks)):
            self.breaks.setdefault(self.names[index], set()).add(entry.tick)

    def peak(self, window):
        """The highest proven count, by the definition; not in a tick whose time is in doubt."""
        ticks = range(self.ticks[0], self.ticks[-1] - window + 1)
        proven = (
            proven_ticks(p, self.breaks.get(n, set()), window) for n, p in self.presence.items()
        )
        doubted = self.doubted
        counts = zip(ticks, tally(proven, ticks), strict=True)
        return max((count for tick, count in counts if tick not in doubted), default=0)

    @property
    def doubted(self):
        """The ticks whose time is in doubt."""
        return {t for g in self.gaps if g.kind == "clock" for t in range(g.first, g.last + 1)}

    def missing(self, viewer, presence, breaks, key):
        """Return what a viewer was told to be in evidence and is not."""
        name = hmac.digest(key, viewer.encode(), "sha256")[:16]
        here, broke = self.presence.get(name, set()), self.breaks.get(name, set())
        gone = [(viewer, tick, "presence") for tick in presence if tick not in here]
        return gone + [(viewer, tick, "break") for tick in breaks if tick not in here | broke]


def acked_but_missing(pack, acks, key):
    """Return the acknowledged heartbeats that are not in the pack; `acks` as simulate writes them."""
    found = Recounted(pack)
    missing, acked = [], 0
    for line in acks.read_text("utf-8").splitlines():
        told = json.loads(line)
        acked += len(told["presence"]) + len(told["breaks"])
        missing += found.missing(told["viewer"], told["presence"], told["breaks"], key)
    return acked, missing
