"""Making an event's claims: counting what is on the disk once more, and saying what it comes to.

A claim is counted from the archive as anybody would count it, not from what the notary remembers, in a
thread beside all else. It follows from the log, so a notary that ends in the middle loses nothing: the next
one counts again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import zoneinfo
from collections.abc import Sequence

from streamcount.core.claim import ClaimEntry, Wording
from streamcount.core.claiming import Told, make_claim
from streamcount.core.course import Course
from streamcount.core.entries import Entry, ExcludeEntry
from streamcount.core.event import Event
from streamcount.core.figures import Counts, Frames, replayed
from streamcount.core.instants import OFFSET_MINUTES_MAX
from streamcount.notary import reading
from streamcount.notary.log import Log
from streamcount.notary.software import software
from streamcount.words import catalogue

_TOLD_EVERY = 1 << 6


class StoppedError(Exception):
    """Counting was ended, as the process ends."""


class Claims:
    """Makes the claims of one event."""

    def __init__(self, log: Log) -> None:
        # Entries counted and entries in all, while it counts.
        self.progress: tuple[int, int] | None = None
        self._log = log
        self._stopped = False
        self._counting = asyncio.Lock()

    def stop(self) -> None:
        """End counting soon; nothing is claimed."""
        self._stopped = True

    async def count(self, course: Course, exclude: Sequence[ExcludeEntry] = ()) -> Counts:
        """Return what the archive comes to, and what it would with more viewers excluded.

        Raises:
            StoppedError: `stop` was called.
            ArchiveError, OSError: the archive cannot be read.
        """
        async with self._counting:
            try:
                return await asyncio.to_thread(
                    self._count, course, [*course.exclusions, *exclude], self._log.archive.size
                )
            finally:
                self.progress = None

    async def make(
        self, course: Course, counts: Counts, reason: str = "", before: Sequence[Entry] = ()
    ) -> ClaimEntry:
        """Return the claim of these counts; `before`: what is appended in front of it, with it.

        Raises:
            ClaimError, CourseError: there can be none now.
        """
        after, event = course.after(before), self._log.event
        told = Told(
            root=self._log.archive.root_with(before),
            reason=reason,
            words=words_of(event),
            software=await asyncio.to_thread(software),
            offset=lambda second: offset_minutes(event.timezone, second),
        )
        return make_claim(after, counts, told)

    def _count(self, course: Course, exclusions: Sequence[ExcludeEntry], size: int) -> Counts:
        if course.event is None or course.first is None:
            raise ValueError("a claim of an event that was not opened")
        (counts,) = replayed(
            course.event.event,
            course.first,
            course.ticks_open,
            course.in_clock_gap,
            [exclusions],
            lambda: self._frames(size),
        )
        return counts

    def _frames(self, size: int) -> Frames:
        archive = self._log.archive
        with archive.disk.open(archive.folder / reading.SEGMENT) as file:
            for number, frame in enumerate(reading.frames(file, size)):
                if number % _TOLD_EVERY == 0:
                    self.progress = number, size
                if self._stopped:
                    raise StoppedError
                yield frame.entry, frame.stored


def words_of(event: Event) -> Wording:
    """Return what the number claimed means, in plain words."""
    return Wording(**{language: _words_in(language, event) for language in ("ar", "en")})


def _words_in(language: str, event: Event) -> str:
    words, rules = catalogue(language), event.rule_profile
    if event.claimed_count == "platform":
        return words.say("claim_words_platform")
    said = [words.say("claim_words_proven", n_window=event.window)]
    if rules.presence_s > 1:
        said.append(words.say("claim_words_presence", n=rules.presence_s))
    said.append(
        words.say("claim_words_gross") if rules.count == "gross" else words.say("claim_words_net")
    )
    return " ".join([*said, words.say("claim_words_left_out")])


def offset_minutes(zone: str, second: int) -> int:
    """Return how far a zone's clocks are from UTC at a Unix second; 0 where it is not known."""
    try:
        offset = dt.datetime.fromtimestamp(second, zoneinfo.ZoneInfo(zone)).utcoffset()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return 0
    minutes = 0 if offset is None else int(offset.total_seconds() // 60)
    return max(-OFFSET_MINUTES_MAX, min(minutes, OFFSET_MINUTES_MAX))
