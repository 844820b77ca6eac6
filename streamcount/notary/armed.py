"""The buckets of one event as its notary has them: armed under the latest epoch, or to be armed again.

Whatever happens to the store, it is armed from the archive (`arm`): a logged epoch first, then wipe,
restore, meta last. It never merges. Event time is that of bucket 0's server and the offset in the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from streamcount.config import Settings
from streamcount.core.bucket import BucketError, NotarysBucket, Published, State, Status
from streamcount.core.clock import EventClock
from streamcount.core.entries import EpochEntry
from streamcount.core.listing import Listed
from streamcount.notary import degraded
from streamcount.notary.arming import check_newest, make_arming
from streamcount.notary.buckets import Buckets, Drained, Servers
from streamcount.notary.degraded import SECOND_US, Doubt, Health
from streamcount.notary.log import Log
from streamcount.notary.members import MembersHint
from streamcount.notary.standing import listed_of, stage_of

_log = logging.getLogger(__name__)


class Armed:
    """One event's buckets, and whether they count."""

    def __init__(
        self,
        log: Log,
        buckets_of: Callable[[Listed], Sequence[NotarysBucket]],
        settings: Settings,
    ) -> None:
        self.clock = EventClock()
        self.state = State(Status.FENCED, 0, 0)
        self.health = Health()
        self._log = log
        self._settings = settings
        # Of the latest epoch, in order of the buckets.
        self._offsets_us = log.archive.restored.offsets_us
        self._ready = False
        # Why the next epoch will be needed, and the servers that the latest one was logged for but
        # that have not been armed under it yet.
        self._why = "notary started"
        self._logged_for: tuple[str, ...] = ()
        self._doubt = Doubt()
        # Monotonic time of a question to the store that is not answered yet.
        self._asked_us: int | None = None
        self._hint = MembersHint(log.archive.folder, log.archive.disk, settings.members_max)
        self.buckets = Buckets(buckets_of(self.listed()), log.counting.pseudonyms)
        # Those of an earlier start with another number of them, to be deleted.
        self._former: Buckets | None = None
        if len(self._offsets_us) != settings.buckets and log.course.first is not None:
            former = replace(self.listed(), buckets=len(self._offsets_us))
            self._former = Buckets(buckets_of(former), b"")

    @property
    def ready(self) -> bool:
        """True while the buckets are armed, as far as is known."""
        return self._ready

    def listed(self) -> Listed:
        """Return what workers have to know."""
        log, buckets = self._log, self._settings.buckets
        return listed_of(log.event, log.archive.signer.name, log.pseudonym_key, log.course, buckets)

    def lose(self, why: str) -> None:
        """Take note that the buckets have to be armed again."""
        self._ready, self._why = False, why

    # --- How sure the numbers are -----------------------------------------------------------------

    def now_us(self) -> int:
        """Return event time in microseconds; of no meaning before the store answered."""
        return self.clock.now_us(time.monotonic_ns() // 1000)

    def uncertain(self) -> bool:
        """Tell whether the latest numbers are to be doubted: cut off from the store, or behind."""
        course = self._log.course
        if stage_of(course) in {"waiting", "final"} or course.final:
            return False
        doubted = (
            not self._ready or not self.clock.ready or self.health.trouble or self._unanswered()
        )
        if doubted or course.next_tick is None:
            return True
        behind = self.now_us() // SECOND_US - self._log.archived
        return behind > self._settings.seal_lag_s + self._settings.uncertain_after_s

    def doubt(self, why: str) -> None:
        """Take note that the numbers are uncertain from here on; the log will say so afterwards."""
        self._doubt.begin(self._log.course, why)

    async def settle_doubt(self) -> None:
        """Take note of silent workers, or log that the numbers are certain again."""
        if self.uncertain():
            self.doubt("a worker is silent")
        else:
            await self._log.append([(gap, b"") for gap in self._doubt.end(self._log.course)])

    def failed(self, trouble: str, why: str) -> None:
        """Take note that a step failed: for operators, and, without addresses and paths, for the log."""
        self._asked_us = None
        if self.health.trouble != trouble:
            _log.warning("event %s: %s", self._log.event.id, trouble)
        self.health.trouble = trouble
        self.doubt(why)

    def _unanswered(self) -> bool:
        """Tell whether the store has been asked, and not answered for longer than workers wait."""
        asked_us = self._asked_us
        waited_us = 0 if asked_us is None else time.monotonic_ns() // 1000 - asked_us
        return waited_us > self._settings.store_deadline_s * SECOND_US

    # --- Talking with the store -------------------------------------------------------------------

    async def read(self) -> Drained | None:
        """Read sealed ticks and new registrations; None when the buckets have to be armed again."""
        course = self._log.course
        self._asked_us = time.monotonic_ns() // 1000
        read = await self.buckets.read(course.epoch, course.next_tick or 0, self.clock)
        if self._unanswered():
            self.doubt("the store did not answer")
        self._asked_us = None
        state = self.state = read.state
        if state.status is not Status.OK:
            self.lose("store lost its epoch" if state.epoch == 0 else "store in another epoch")
            self.doubt(self._why)
            return None
        if read.stepped:
            await self._leave_clock(state, read.stepped)
            return None
        return read

    async def advance(self, close: int | None = None) -> None:
        """Tell the store what is archived, and the last tick that counts."""
        course = self._log.course
        closes = close or course.close or 0
        self.state = await self.buckets.advance(
            course.epoch, self._log.archived, closes, self._published()
        )

    async def remember_members(self) -> None:
        """Keep beside the log who is counting, if that has changed."""
        members = await self.buckets.members()
        if self._hint.differs(members):
            await asyncio.to_thread(self._hint.remember, members)

    async def clear_away(self) -> None:
        """Delete a final event's buckets, once workers have had time to acknowledge the last of it."""
        if self._ready:
            await asyncio.sleep(self._settings.hold_s + self._settings.uncertain_after_s)
            try:
                await self.buckets.forget(self._log.archived)
            except BucketError as error:
                _log.warning("event %s: its buckets were left over: %s", self._log.event.id, error)

    async def _leave_clock(self, state: State, stepped: Sequence[int]) -> None:
        """Take note that a bucket's clock was set: what it sealed since, it sealed by a wrong time.

        Another than that of bucket 0 is only measured anew, when arming. With that of bucket 0, event
        time goes on in a new epoch, and nobody counts as present across the step: a pair of heartbeats
        around it, which may be further apart than the window, would count in ticks from one window ago.
        """
        now_us = self.now_us()
        gap = degraded.step_gap(self._log.course, now_us, state.now_us - now_us)
        if gap is not None and 0 in stepped:
            await self._log.append([(gap, b"")])
        self.lose("the store's clock stepped")
        self.doubt(self._why)

    def _published(self) -> Published:
        course = self._log.course
        return Published(
            course.live, course.proven, course.peak.count, course.peak.first or 0, self.uncertain()
        )

    # --- Arming -----------------------------------------------------------------------------------

    def opened(self, servers: Servers, offsets_us: tuple[int, ...]) -> None:
        """Take note that the first epoch is logged for these servers: to be armed."""
        self._logged_for, self._offsets_us = servers.run_ids, offsets_us

    async def arm(self) -> None:
        """Let the store count again, from where the archive ends. See rule 3 in ARCHITECTURE.md."""
        log = self._log
        if log.course.next_tick is None:
            return
        if not self.buckets.read_before:
            await self._check_newest()
        found = await self.buckets.members()
        members = (
            found
            if self.buckets.read_before or any(found)
            else await asyncio.to_thread(self._hint.instead_of, found)
        )
        servers = await self.buckets.servers()
        opening = self._logged_for == servers.run_ids
        # Whoever was a member may still hold ticks; when that is not known, they get time to say so.
        unknown = not opening and members is None
        if not opening:
            await self._log_epoch(servers, log.course.next_tick, workers_unknown=unknown)
        self._logged_for = ()
        self._why = "arming was interrupted"
        wait_us = round(self._settings.hold_s * SECOND_US) if unknown else 0
        published, offset_us = self._published(), self._offsets_us[0]
        arming = make_arming(log, published, servers, offset_us, wait_us)
        nobody: list[dict[str, str]] = [{}] * len(servers.run_ids)
        if not await self.buckets.arm(arming, servers.run_ids, self._offsets_us, members or nobody):
            raise BucketError("the store changed while it was being armed")
        self._ready = True
        # What the buckets were armed by is what their clocks are held to: one may be set before it answers.
        self.clock.forget()
        for clock in (self.clock, *self.buckets.clocks):
            clock.sample(*servers.between_us, servers.time_us + self._offsets_us[0])
        self.health.epochs += 1
        _log.info("event %s: epoch %d", log.event.id, log.course.epoch)
        await self._forget_former()

    async def _log_epoch(self, servers: Servers, first: int, *, workers_unknown: bool) -> None:
        """Log a new epoch that begins with tick `first`, and what there is to say of the time before."""
        course = self._log.course
        least, most = map(self.clock.now_us, servers.between_us)
        expected_us = (least, most) if self.clock.ready else None
        offset_us = degraded.next_offset_us(
            course, self._offsets_us[0], servers.time_us, expected_us
        )
        before_us = servers.time_us + self._offsets_us[0]
        offsets_us = servers.offsets_us(offset_us)
        entry = EpochEntry(course.epoch + 1, first, offsets_us, self._why, servers.run_ids)
        gaps = degraded.arming_gaps(
            course,
            servers.time_us + offset_us,
            workers_unknown=workers_unknown,
            set_back=expected_us is None and before_us < first * SECOND_US,
        )
        await self._log.append([(entry, b""), *((gap, b"") for gap in gaps)])
        self._offsets_us = offsets_us

    async def _check_newest(self) -> None:
        """Refuse to go on from a copy of the archive when the store was armed by a later one.

        Raises:
            DisagreementError: it was.
        """
        epoch, archived = await self.buckets.latest()
        if self._former is not None:
            epoch, archived = max((epoch, archived), await self._former.latest())
        check_newest(self._log.course, epoch, archived)

    async def _forget_former(self) -> None:
        """Delete the buckets of another number of them, if they are within reach."""
        former, self._former = self._former, None
        if former is not None:
            try:
                await former.forget(self._log.archived)
            except BucketError as error:
                _log.warning(
                    "event %s: earlier buckets were left over: %s", self._log.event.id, error
                )
