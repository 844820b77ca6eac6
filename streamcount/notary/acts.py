"""What operators decide about an event: open, close, leave viewers out, write down, correct.

Each is an entry of the log, or several that become durable together.

An act falls between two steps of the notary (`turn`), is durable before it has any effect on what is
counted, and is refused, with the reason, when it has no place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamcount.config import Settings
from streamcount.core.bucket import BucketError
from streamcount.core.claim import ClaimEntry
from streamcount.core.claiming import ClaimError
from streamcount.core.course import Course, CourseError
from streamcount.core.entries import EndEntry, Entry, EpochEntry, ExcludeEntry, NoteEntry
from streamcount.core.event import ActRefusedError
from streamcount.core.figures import Counts
from streamcount.notary.armed import Armed
from streamcount.notary.claims import Claims, StoppedError
from streamcount.notary.degraded import SECOND_US
from streamcount.notary.disk import DiskFullError
from streamcount.notary.exclusion import make_exclusion
from streamcount.notary.log import Log, no_room


class Acts:
    """Operators' acts on one event."""

    def __init__(self, log: Log, armed: Armed, claims: Claims, settings: Settings) -> None:
        # Held while entries are being made, so that an act falls between two steps.
        self.turn = asyncio.Lock()
        # Set when there is something to do before the next look at the store.
        self.wake = asyncio.Event()
        self._log = log
        self._armed = armed
        self._claims = claims
        self._settings = settings
        self._correcting = asyncio.Lock()

    async def open(self, at: int | None = None) -> int:
        """Open the event: arm its bucket; return the first tick that counts.

        `at`: that tick, in Unix seconds; as soon as workers can have heard of it when None.

        Raises:
            ActRefusedError: it is open already, `at` has passed, or the store does not answer.
        """
        log = self._log
        async with self.turn:
            if log.course.first is not None:
                raise ActRefusedError(f"event {log.event.id} was opened already")
            try:
                servers = await self._armed.buckets.servers()
            except BucketError as error:
                raise ActRefusedError(
                    f"the store does not answer, so nothing was opened: {error}"
                ) from error
            soonest = -(-(servers.time_us + round(self._settings.open_delay_s * 1e6)) // SECOND_US)
            if at is not None and at < soonest:
                raise ActRefusedError(f"at: {at} is too soon; {soonest} is the first tick possible")
            first = at if at is not None else soonest
            offsets_us = servers.offsets_us(0)
            epoch = log.course.epoch + 1
            await self._enter(EpochEntry(epoch, first, offsets_us, "open", servers.run_ids))
            log.counting.begin(first, log.course.excluded)
            self._armed.opened(servers, offsets_us)
        self.wake.set()
        return first

    async def close(self) -> int:
        """Close the event soon; return the last tick that counts.

        Raises:
            ActRefusedError: it is not open, closed already, or event time is not known.
        """
        log, armed = self._log, self._armed
        async with self.turn:
            course = log.course
            if course.first is None or course.next_tick is None:
                raise ActRefusedError(f"event {log.event.id} is not open")
            if course.close is not None:
                raise ActRefusedError(f"event {log.event.id} was closed already")
            if not armed.clock.ready:
                raise ActRefusedError("the store has not answered yet, so event time is not known")
            soon_us = armed.now_us() + round(self._settings.close_delay_s * 1e6)
            close = max(soon_us // SECOND_US, course.first, course.next_tick)
            # The store refuses what is later before the log says so: however long that takes, no
            # heartbeat after the close is sealed. What fails in between opens it again when arming.
            await log.make_room()
            try:
                await armed.advance(close)
            except BucketError:
                # It may seal what is later; so it is armed again, with the close.
                armed.lose("closing without an answer")
            await self._enter(EndEntry(close))
        self.wake.set()
        return close

    async def exclude(self, viewers: Sequence[str], reason: str) -> list[str]:
        """Leave viewers out of all counts from the next tick on; return their pseudonyms.

        Raises:
            ActRefusedError: there is a claim, one of them is excluded already, or there is no room.
        """
        log = self._log
        async with self.turn:
            if log.course.claim is not None:
                raise ActRefusedError(
                    "the event is final: leaving out viewers supersedes its claim. Correct it instead"
                )
            entry = make_exclusion(log.course, log.pseudonym_key, viewers, reason)
            await self._enter(entry)
            log.counting.exclude(entry.pseudonyms)
        return [*entry.pseudonyms]

    async def note(self, text: str) -> None:
        """Write something down in the log.

        Raises:
            ActRefusedError: there is no room.
        """
        async with self.turn:
            await self._enter(NoteEntry(text))

    async def claim(self) -> None:
        """Claim what a final event comes to, or return when the process ends."""
        log = self._log
        while True:
            course = log.course
            try:
                counts = await self._claims.count(course)
            except StoppedError:
                return
            claimed = None
            while claimed is None:
                try:
                    async with self.turn:
                        claimed = await self._claim(course, counts)
                except DiskFullError as error:
                    self._armed.failed(str(error), "the disk was full")
                    await asyncio.sleep(self._settings.notary_poll_s)
            if claimed:
                return

    async def _claim(self, counted: Course, counts: Counts) -> bool:
        """Append the claim of what was counted; false when the log has come to another count since."""
        log = self._log
        # What waited for room belongs in front of a claim.
        await log.append_counted()
        course = log.course
        if (len(course.exclusions), len(course.gaps)) != (
            len(counted.exclusions),
            len(counted.gaps),
        ):
            return False
        # Of a claim that was left without the one that supersedes it.
        reason = course.exclusions[-1].reason if course.claims else ""
        entry = await self._claims.make(course, counts, reason)
        await log.append([(entry, b"")])
        return True

    async def correct(
        self, reason: str, viewers: Sequence[str], exclude_reason: str = ""
    ) -> ClaimEntry:
        """Supersede a final event's claim by another, with more viewers left out, if any are named.

        What led to it and the claim become durable together: there is never one without the other.

        Raises:
            ActRefusedError: the event is not final, or this cannot be.
        """
        log = self._log
        async with self._correcting:
            course = log.course
            if course.claim is None:
                raise ActRefusedError("the event is not final: there is no claim to be superseded")
            before: list[ExcludeEntry | NoteEntry] = []
            if viewers:
                why = exclude_reason or reason
                before = [make_exclusion(course, log.pseudonym_key, viewers, why)]
            elif not course.corrected:
                before = [NoteEntry(reason)]
            more = [one for one in before if isinstance(one, ExcludeEntry)]
            try:
                course.after(before)
                counts = await self._claims.count(course, more)
                async with self.turn:
                    entry = await self._claims.make(log.course, counts, reason, before)
                    await self._enter(*before, entry)
            except (CourseError, ClaimError) as error:
                raise ActRefusedError(f"it cannot be superseded: {error}") from error
            except StoppedError as error:
                raise ActRefusedError("nothing was changed: the service is ending") from error
            for one in more:
                log.counting.exclude(one.pseudonyms)
            return entry

    async def _enter(self, *entries: Entry) -> None:
        """Archive what was decided.

        Raises:
            ActRefusedError: the disk is full; nothing was changed.
        """
        await self._log.make_room()
        try:
            await self._log.append([(entry, b"") for entry in entries])
        except DiskFullError as error:
            # The store may have been told already.
            self._armed.lose("disk full")
            raise no_room(error) from error
