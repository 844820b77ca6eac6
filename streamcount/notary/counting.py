"""From what was drained of the buckets to entries with their bodies: the count itself.

What is counted stands here until it is archived; nothing is counted twice, and nothing is discarded: while
the disk is full the same entries wait.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from streamcount.core import body as bodies
from streamcount.core.body import BLOCK_BYTES
from streamcount.core.bucket import SealedTick, add_tallies
from streamcount.core.course import Course
from streamcount.core.entries import Entry
from streamcount.core.event import Event
from streamcount.core.recount import Recount
from streamcount.notary.archive import Restored
from streamcount.notary.buckets import Buckets, Drained
from streamcount.notary.drain import DisagreementError, make_body
from streamcount.tlog.merkle import block_root


class Counting:
    """The counting of one event, from where the archive ends."""

    def __init__(self, restored: Restored, event: Event, recent_ticks: int) -> None:
        """`recent_ticks`: how many of the latest ticks' bitmaps a bucket is armed with."""
        # (tick, presence, breaks) of the latest ticks.
        self.recent = restored.recent
        # Counted, but not in the archive yet.
        self.unarchived: list[tuple[Entry, bytes]] = []
        self._event = event
        self._recent_ticks = recent_ticks
        # None before the event is opened.
        self._recount: Recount | None = restored.recount

    @property
    def pseudonyms(self) -> bytes:
        """The registered viewers, 16 bytes each, by index."""
        return b"" if self._recount is None else bytes(self._recount.pseudonyms)

    @property
    def excluded(self) -> int:
        """How many of them are excluded."""
        return 0 if self._recount is None else self._recount.excluded

    def begin(self, first: int, excluded: Iterable[bytes]) -> None:
        """Begin with this tick; these pseudonyms are excluded already."""
        self._recount = Recount(self._event, first=first, excluded=excluded)

    def exclude(self, pseudonyms: Iterable[str]) -> None:
        """Leave these out, in hexadecimal, from the next tick on."""
        if self._recount is not None:
            self._recount.exclude(pseudonyms)

    def take(self, drained: Drained, buckets: Buckets, course: Course) -> None:
        """Count the sealed ticks that were drained; what comes of it is `unarchived`.

        Raises:
            DisagreementError: the store holds what the archive contradicts.
        """
        recount = self._recount
        if recount is None:
            raise DisagreementError("ticks of an event that was not opened")
        items: list[tuple[Entry, bytes]] = [(gap, b"") for gap in buckets.gaps(course.first or 0)]
        for parts in drained.ticks:
            registrations = buckets.registrations()
            sealed = buckets.merge(parts)
            body = self._body(sealed, registrations, recount)
            data = bodies.encode(body)
            root = block_root(data, BLOCK_BYTES)
            told = add_tallies(sealed.tallies)
            entry = recount.tick(course.epoch, body, len(data), root, told)
            self.recent.append((entry.tick, body.presence.tobytes(), body.breaks.tobytes()))
            items.append((entry, data))
        del self.recent[: -self._recent_ticks]
        self.unarchived = items

    def _body(
        self, sealed: SealedTick, registrations: bodies.Registrations, recount: Recount
    ) -> bodies.Body:
        before = np.concatenate(
            [recount.streams(recount.viewers), registrations["stream"].astype(np.uint16)]
        )
        return make_body(sealed, registrations, before, len(self._event.streams))
