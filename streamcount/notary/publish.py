"""What is shown of an event to operators: summaries and counts, from what is durable, nothing else.

`Desk` is also where operators' acts come in: create, open, close, exclude, note, correct, test a page,
export.
"""

from __future__ import annotations

import asyncio
import zoneinfo
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamcount.core import values
from streamcount.core.claim import CLAIM_REASON_CHARACTERS_MAX, ClaimEntry
from streamcount.core.claiming import check_definition
from streamcount.core.entries import EXCLUDE_REASON_CHARACTERS_MAX, GAP_KINDS, NOTE_CHARACTERS_MAX
from streamcount.core.event import (
    ActRefusedError,
    Event,
    check_profile,
    check_texts,
    parse_event,
)
from streamcount.core.fields import EventError
from streamcount.core.platform import PlatformClaim
from streamcount.core.values import EntryError
from streamcount.notary.asked import text_in, viewers_in
from streamcount.notary.events import Events
from streamcount.notary.notary import Notary
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.notary.roots import take_roots
from streamcount.tlog import note

TIMELINE_TICKS_MAX = 20_000
ROUNDS_MAX = 20_000
LATEST_GAPS = 20
LATEST_NOTES = 20


class Desk:
    """Operators' view of all events. Ids that do not exist give None, or ActRefusedError for acts."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._readers: dict[str, ArchiveReader] = {}
        # What platforms told of each event so far, and how far that was.
        self._claims: dict[str, tuple[tuple[int | None, ...], PlatformClaim | None]] = {}

    def summaries(self) -> list[dict[str, Any]]:
        """Return one line an event, those that cannot be used at the end."""
        found = [_summary(notary) for _, notary in sorted(self._events.notaries.items())]
        broken = sorted(self._events.broken.items())
        return found + [{"id": name, "stage": "broken", "trouble": why} for name, why in broken]

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return all that is agreed of an event, and its log."""
        notary = self._events.notaries.get(event_id)
        if notary is None:
            return None
        archive, course = notary.archive, notary.course
        return _summary(notary) | {
            "definition": notary.event.as_dict(),
            "first_tick": course.first,
            "close": course.close,
            "origin": archive.signer.name,
            "key": archive.signer.verifier.vkey(),
            "log_size": archive.size,
            "log_root": archive.root.hex(),
        }

    def counts(self, event_id: str) -> dict[str, Any] | None:
        """Return the latest numbers of an event. Ticks are Unix seconds of event time."""
        notary = self._events.notaries.get(event_id)
        if notary is None:
            return None
        course = notary.course
        archived = None if course.next_tick is None else course.next_tick - 1
        return _summary(notary) | {
            "archived": archived,
            "proven": course.proven,
            "proven_tick": None if archived is None else archived - course.window,
            "live": course.live,
            "live_peak": course.live_peak.count,
            "live_peak_tick": course.live_peak.first,
            "uniques": course.viewers - notary.excluded,
            "epoch": course.epoch,
            "gaps": len(course.gaps),
            "gap_ticks": {kind: course.gap_ticks(kind) for kind in GAP_KINDS},
            "latest_gaps": [
                {"kind": gap.kind, "reason": gap.reason, "first": gap.first, "last": gap.last}
                for gap in course.gaps[-LATEST_GAPS:]
            ],
            "exclusions": [
                {"viewers": len(one.pseudonyms), "reason": one.reason} for one in course.exclusions
            ],
            "notes": [one.text for one in course.notes[-LATEST_NOTES:]],
            "claim": None if course.claim is None else shown_claim(course.claim),
            "counting": _counting(notary),
            "now": notary.now_us() // 1_000_000 if notary.clock.ready else None,
            "sealed": notary.state.sealed,
            "platform": self._platform(notary),
            "witnessing": self._events.witnessings[event_id].as_dict(),
            "archive_s": round(notary.health.archive_s, 6),
            "log_size": notary.archive.size,
            "log_root": notary.archive.root.hex(),
        }

    def timeline(self, event_id: str, since: int, most: int) -> dict[str, Any] | None:
        """Return counts tick by tick."""
        notary = self._events.notaries.get(event_id)
        if notary is None:
            return None
        return notary.timeline.rows(since, min(most, TIMELINE_TICKS_MAX))

    def platform(self, event_id: str, since: int, most: int) -> dict[str, Any] | None:
        """Return what platforms told from tick `since` on, round by round, the latest `most`.

        Times in milliseconds of event time. `numbers` are sums; `counts` has a list for each round, in the
        order of `streams`. None is no count, and not zero.
        """
        notary = self._events.notaries.get(event_id)
        if notary is None:
            return None
        streams = notary.event.on_platforms
        rounds = [one for one in notary.course.rounds if one.asked_ms >= since * 1000]
        rounds = rounds[-max(1, min(most, ROUNDS_MAX)) :]
        return {
            "streams": [notary.event.streams[number].id for number in streams],
            "asked_ms": [one.asked_ms for one in rounds],
            "answered_ms": [one.answered_ms for one in rounds],
            "numbers": [one.sum for one in rounds],
            "counts": [[one.counts.get(number) for number in streams] for one in rounds],
            "failed": [one.failed for one in rounds],
        }

    def _platform(self, notary: Notary) -> dict[str, Any] | None:
        """Return the platforms' latest numbers, None of an event that has no stream on any."""
        told = self._told(notary)
        if told is None:
            return None
        poller = self._events.pollers.get(notary.event.id)
        latest = notary.course.rounds[-1] if notary.course.rounds else None
        streams = notary.event.on_platforms
        return {
            "claimed": notary.event.claimed_count == "platform",
            "names": sorted({video.name for video in streams.values()}),
            "number": None if latest is None else latest.sum,
            "asked_ms": None if latest is None else latest.asked_ms,
            "streams": {
                notary.event.streams[number].id: None
                if latest is None
                else latest.counts.get(number)
                for number in streams
            },
            "trouble": "" if poller is None else poller.trouble,
            "so_far": asdict(told),
        }

    def _told(self, notary: Notary) -> PlatformClaim | None:
        """Return what the rounds so far come to, worked out anew when there is another one."""
        course = notary.course
        known = (len(course.rounds), course.first, course.close)
        kept = self._claims.get(notary.event.id)
        if kept is None or kept[0] != known:
            kept = self._claims[notary.event.id] = known, course.platform_claim(soon=True)
        return kept[1]

    async def create(self, definition: object) -> dict[str, Any]:
        """Make a new event.

        Raises:
            EventError: the definition is not acceptable.
            ActRefusedError: there is one of this id, or it cannot be written.
        """
        definition, roots = take_roots(definition)
        event = parse_event(definition)
        check_texts(event)
        check_profile(event)
        check_definition(event)
        _check_witnesses(event)
        if zoneinfo.available_timezones() and event.timezone not in zoneinfo.available_timezones():
            raise EventError(f"event.timezone: there is none called {event.timezone}")
        try:
            notary = self._events.create(event, roots)
        except EntryError as error:
            raise EventError(f"the definition is too long: {error}") from error
        except ArchiveError as error:
            raise ActRefusedError(str(error)) from error
        return self.event(notary.event.id) or {}

    async def open(self, event_id: str, at: int | None) -> int:
        """Open an event; return the first tick that counts."""
        return await self._notary(event_id).acts.open(at)

    async def close(self, event_id: str) -> int:
        """Close an event; return the last tick that counts."""
        return await self._notary(event_id).acts.close()

    async def exclude(self, event_id: str, viewers: object, reason: object) -> list[str]:
        """Leave viewers, by the ids they send, out of all counts; return their pseudonyms.

        Raises:
            EventError: these are no ids of viewers, too many, or no reason.
            ActRefusedError: it cannot be done now.
        """
        names = viewers_in(viewers)
        why = text_in(reason, "reason", EXCLUDE_REASON_CHARACTERS_MAX)
        try:
            return await self._notary(event_id).acts.exclude(names, why)
        except EntryError as error:
            raise EventError(f"reason: {error}") from error

    async def note(self, event_id: str, text: object) -> int:
        """Write something down in an event's log; return how many entries this then has.

        Raises:
            EventError: it is no such text.
            ActRefusedError: it cannot be done now.
        """
        notary = self._notary(event_id)
        await notary.acts.note(text_in(text, "text", NOTE_CHARACTERS_MAX))
        return notary.archive.size

    async def correct(
        self, event_id: str, reason: object, viewers: object, exclude_reason: object
    ) -> dict[str, Any]:
        """Supersede a final event's claim; return the new one.

        Raises:
            EventError: a value is not acceptable.
            ActRefusedError: it cannot be done now.
        """
        why = text_in(reason, "reason", CLAIM_REASON_CHARACTERS_MAX)
        names = viewers_in([] if viewers is None else viewers, least=0)
        short = why
        if names and (exclude_reason is not None or len(why) > EXCLUDE_REASON_CHARACTERS_MAX):
            short = text_in(exclude_reason, "exclude_reason", EXCLUDE_REASON_CHARACTERS_MAX)
        try:
            claim = await self._notary(event_id).acts.correct(why, names, short)
        except EntryError as error:
            raise EventError(f"reason: {error}") from error
        return shown_claim(claim)

    async def begin_test(self, event_id: str) -> dict[str, Any]:
        """Begin a test of a page; return its code, and when it ends (Unix seconds)."""
        if self._notary(event_id).stage == "final":
            raise ActRefusedError(f"event {event_id} is over: no page of it can be tested")
        return await self._events.begin_test(event_id)

    async def test(self, event_id: str, code: str) -> dict[str, Any] | None:
        """Return what was seen of the pages opened with a code; None when there is no such test."""
        return await self._events.tests.look(event_id, code)

    async def frames(self, event_id: str, start: int, end: int, bytes_max: int) -> bytes:
        """Return entries `start` to `end - 1` with their bodies, as frames, as many as fit.

        Raises:
            ActRefusedError: there is no such event.
        """
        folder = self._notary(event_id).archive.folder
        if event_id not in self._readers:
            # Two at once read it twice; either will do.
            self._readers[event_id] = await asyncio.to_thread(_reader, folder)
        return await asyncio.to_thread(self._readers[event_id].raw, start, end, bytes_max)

    async def log(self, event_id: str) -> ArchiveReader:
        """Return a reader of an event's log, to export it."""
        folder = self._notary(event_id).archive.folder
        return await asyncio.to_thread(_reader, folder)

    def _notary(self, event_id: str) -> Notary:
        notary = self._events.notaries.get(event_id)
        if notary is None:
            raise ActRefusedError(f"there is no event {event_id}")
        return notary


def _check_witnesses(event: Event) -> None:
    for number, witness in enumerate(event.trust.witnesses):
        try:
            note.parse_witness(witness.key)
        except note.NoteError as error:
            raise EventError(f"event.trust.witnesses[{number}].key: {error}") from error


def shown_claim(claim: ClaimEntry) -> dict[str, Any]:
    """Return a claim as plain values, without the definition, which stands in the event."""
    said: dict[str, Any] = values.plain(claim)
    return {key: value for key, value in said.items() if key != "definition"}


def _counting(notary: Notary) -> dict[str, int] | None:
    """Return how far a claim has been counted, None when none is."""
    progress = notary.claims.progress
    return None if progress is None else {"done": progress[0], "all": progress[1]}


def _reader(folder: Path) -> ArchiveReader:
    return ArchiveReader(folder)


def _summary(notary: Notary) -> dict[str, Any]:
    event, course = notary.event, notary.course
    return {
        "id": event.id,
        "kind": event.kind,
        "title": {"ar": event.title.ar, "en": event.title.en},
        "timezone": event.timezone,
        "stage": notary.stage,
        "peak": course.shown_peak.count,
        "peak_tick": course.shown_peak.first,
        "target": event.target,
        "window": event.window,
        "interval": event.interval,
        "excluded": notary.excluded,
        "uncertain": notary.uncertain(),
        "trouble": notary.trouble,
    }
