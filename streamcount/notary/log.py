"""One event's log, and what its entries amount to: the one way in which anything here becomes durable.

Whatever is appended is taken as what has happened only once it is on the disk (`archive.py` says in which
order). What is counted waits in `counting` until then; while the disk is full the same entries are tried
again, and nothing is decided.
"""

from __future__ import annotations

import asyncio

from streamcount.config import Settings
from streamcount.core.course import Course
from streamcount.core.entries import Entry, TickEntry
from streamcount.core.event import ActRefusedError, Event
from streamcount.core.timeline import Timeline
from streamcount.notary.archive import Archive
from streamcount.notary.counting import Counting
from streamcount.notary.disk import DiskFullError


class StoppedError(ActRefusedError):
    """Nothing may be appended to this log any more, as there is another history of it."""


class Log:
    """An event's archive, and the course, timeline and counting that follow from it."""

    def __init__(self, archive: Archive, settings: Settings) -> None:
        restored = archive.restored
        if restored.course.event is None:
            raise ValueError("an archive without an event entry")
        self.archive = archive
        self.course: Course = restored.course
        self.timeline: Timeline = restored.timeline
        self.event: Event = restored.course.event.event
        self.counting = Counting(restored, self.event, settings.recent_ticks(self.event.window))
        self.pseudonym_key = archive.pseudonym_key()
        # Why nothing is appended any more, if there is a reason.
        self.stopped = ""

    @property
    def archived(self) -> int:
        """The last archived tick; of no meaning before the event is opened."""
        return (self.course.next_tick or 1) - 1

    async def append(self, items: list[tuple[Entry, bytes]]) -> None:
        """Make entries durable, then take them as what has happened.

        Raises:
            StoppedError: nothing may follow in this log.
            CourseError: one of them has no place; nothing was written.
            DiskFullError: there is no room; nothing was changed.
            ArchiveError, OSError: nobody knows what is on the disk; the process has to end.
        """
        if not items:
            return
        if self.stopped:
            raise StoppedError(f"event {self.event.id} was stopped: {self.stopped}")
        course = self.course.after(entry for entry, _ in items)
        await asyncio.to_thread(self.archive.append, items)
        self.course = course
        for entry, _ in items:
            if isinstance(entry, TickEntry):
                self.timeline.take(entry)

    async def append_counted(self) -> None:
        """Append the ticks that are counted; while the disk is full, the same ones again."""
        if self.counting.unarchived:
            await self.append(self.counting.unarchived)
            self.counting.unarchived = []

    async def make_room(self) -> None:
        """Append what is counted, before anything is decided.

        Raises:
            ActRefusedError: the disk is full.
        """
        try:
            await self.append_counted()
        except DiskFullError as error:
            raise no_room(error) from error


def no_room(error: DiskFullError) -> ActRefusedError:
    """Return what an operator is told when the disk is full."""
    return ActRefusedError(
        f"nothing was changed, there is no room for it: {error}. Make room and try again"
    )
