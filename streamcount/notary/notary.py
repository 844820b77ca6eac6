"""The notary of one event: arms its bucket, drains it, counts, archives, and then publishes.

A life of a tick here, `step` by `step`:

    read      sealed ticks and new registrations, in one atomic call        armed.py, drain.py
    count     bodies, live and proven counts, entries                       counting.py, core/recount.py
    append    entries and bodies, fsync, checkpoint, fsync                  log.py, archive.py
    advance   the archived watermark and the numbers, for workers to tell   armed.py

The archive decides everything: its lock says who may write, its last epoch which epoch comes next, its
last tick where counting goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from streamcount.config import Settings
from streamcount.core.bucket import BucketError, NotarysBucket, State
from streamcount.core.clock import EventClock
from streamcount.core.course import Course
from streamcount.core.event import Event
from streamcount.core.listing import Listed
from streamcount.core.timeline import Timeline
from streamcount.notary.acts import Acts
from streamcount.notary.archive import Archive
from streamcount.notary.armed import Armed
from streamcount.notary.claims import Claims
from streamcount.notary.degraded import Health
from streamcount.notary.disk import DiskFullError
from streamcount.notary.log import Log, StoppedError
from streamcount.notary.standing import stage_of


class Notary:
    """One event's notary."""

    def __init__(
        self,
        archive: Archive,
        buckets_of: Callable[[Listed], Sequence[NotarysBucket]],
        settings: Settings,
    ) -> None:
        self.log = Log(archive, settings)
        self.armed = Armed(self.log, buckets_of, settings)
        self.claims = Claims(self.log)
        self.acts = Acts(self.log, self.armed, self.claims, settings)
        self._settings = settings

    # --- What is shown of it ----------------------------------------------------------------------

    @property
    def archive(self) -> Archive:
        """The log's files."""
        return self.log.archive

    @property
    def event(self) -> Event:
        """What was agreed."""
        return self.log.event

    @property
    def course(self) -> Course:
        """What is durable."""
        return self.log.course

    @property
    def timeline(self) -> Timeline:
        """The counts of every durable tick."""
        return self.log.timeline

    @property
    def clock(self) -> EventClock:
        """Event time."""
        return self.armed.clock

    @property
    def state(self) -> State:
        """What the store told last."""
        return self.armed.state

    @property
    def health(self) -> Health:
        """How it is doing, for operators."""
        return self.armed.health

    @property
    def stage(self) -> str:
        """Where the event is: waiting, open, closing or final; broken when it was stopped."""
        return "broken" if self.log.stopped else stage_of(self.log.course)

    @property
    def excluded(self) -> int:
        """How many of the registered viewers are excluded."""
        return self.log.counting.excluded

    def listed(self) -> Listed:
        """Return what workers have to know."""
        return self.armed.listed()

    def now_us(self) -> int:
        """Return event time in microseconds; of no meaning before the store answered."""
        return self.armed.now_us()

    def uncertain(self) -> bool:
        """Tell whether the latest numbers are to be doubted: cut off from the store, or behind."""
        return bool(self.log.stopped) or self.armed.uncertain()

    @property
    def trouble(self) -> str:
        """What is in the way of counting, for operators; empty when nothing is."""
        # A step that is under way when the event is stopped takes its own trouble back at its end.
        return f"stopped: {self.log.stopped}" if self.log.stopped else self.health.trouble

    def stop(self, why: str) -> None:
        """Publish nothing any more: there is another history of this log."""
        if not self.log.stopped:
            self.log.stopped = why
            self.acts.wake.set()

    async def rest(self) -> None:
        """Return between two steps, for ever: nothing is archived any more."""
        self.claims.stop()
        await self.acts.turn.acquire()

    # --- The loop ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Count until the event is final, and claim what it came to.

        Raises:
            DisagreementError: the store contradicts the archive; nothing more is counted.
            StoppedError: there is another history of this log; nothing more is counted.
            ArchiveError, OSError: the archive cannot be written; the process has to end.
        """
        wake = self.acts.wake
        claiming: asyncio.Task[None] | None = None
        while self.course.claim is None or self.course.excluded_since:
            self.archive.check()
            if self.log.stopped:
                raise StoppedError(self.log.stopped)
            # Not before the store was armed: until then this could be an older copy.
            known = self.armed.ready or self.course.claim is not None
            if self.course.final and known and claiming is None:
                # Beside the steps, as what workers still hold has to be acknowledged meanwhile.
                claiming = asyncio.create_task(self.acts.claim())
                claiming.add_done_callback(lambda _: wake.set())
            if claiming is not None and claiming.done():
                claiming.result()
                claiming = None
            more = False
            if self.course.first is not None and self.course.claim is None:
                try:
                    async with self.acts.turn:
                        more = await self.step()
                except BucketError as error:
                    self.armed.failed(str(error), "the store did not answer")
                except DiskFullError as error:
                    self.armed.failed(str(error), "the disk was full")
            if not more:
                wake.clear()
                try:
                    async with asyncio.timeout(self._settings.notary_poll_s):
                        await wake.wait()
                except TimeoutError:
                    pass
        await self.armed.clear_away()

    async def step(self) -> bool:
        """Do what can be done now; true when there is more to do at once."""
        log, armed = self.log, self.armed
        await log.append_counted()
        if not armed.ready:
            await armed.arm()
            return False
        read = await armed.read()
        if read is None:
            return True
        if read.ticks:
            start = time.perf_counter()
            await asyncio.to_thread(log.counting.take, read, armed.buckets, log.course)
            await log.append_counted()
            self.health.archive_s = time.perf_counter() - start
        else:
            gaps = armed.buckets.gaps(log.course.first or 0)
            log.counting.unarchived = [(gap, b"") for gap in gaps]
            await log.append_counted()
        await armed.remember_members()
        self.health.trouble = ""
        await armed.settle_doubt()
        known = (read.state.archived, read.state.close)
        if not read.told or (log.archived, log.course.close or 0) != known:
            await armed.advance()
        return read.more
