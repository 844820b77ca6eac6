"""Following a log: nothing is believed of it but what its key signed, and what follows from that.

One round (`sync`):

    look      the latest checkpoint: signed by the key, of the origin, no smaller than the one kept
    fetch     the entries it covers beyond those, with bodies if these are copied
    extend    the tree over all entries read here has the root that was signed
    keep      segment, fsync, checkpoint                                                     copy.py
    audit     every entry in its place; with bodies, every count as the bodies give it

What is signed and breaks the log's word is an alarm (alarm.py): it ends the follower, cannot be taken
back, and is on the disk. Network trouble, silence and nonsense from whoever is in between are none: they
are tried again, and said once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from streamcount.config import FollowLimits, PackLimits
from streamcount.core.audit import Audit, AuditError, BeyondBoundsError, Bounds, Means, open_body
from streamcount.core.body import BLOCK_BYTES, Body
from streamcount.core.claim import ClaimEntry
from streamcount.core.course import Course
from streamcount.core.entries import (
    Entry,
    EventEntry,
    ExcludeEntry,
    GapEntry,
    NoteEntry,
    TickEntry,
    decode,
)
from streamcount.core.segment import SegmentError
from streamcount.core.values import EntryError
from streamcount.follow.alarm import AlarmError, judge_entries, open_shown, raise_alarm
from streamcount.follow.copy import Copy, CopyError
from streamcount.follow.papers import Papers
from streamcount.follow.source import AwayError, RefusedError, Source
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import LogTree, block_root

Frames = list[tuple[bytes, bytes]]


class Tell(Protocol):
    """Who is told what was seen."""

    def __call__(self, kind: str, /, **facts: Any) -> None:
        """Take one thing: `kind` names it, `facts` are plain values."""
        ...


def body_root(body: bytes) -> bytes:
    """Return the root that a tick's entry commits to its body by."""
    return block_root(body, BLOCK_BYTES)


class Follower:
    """Follows one log into one copy."""

    def __init__(self, source: Source, copy: Copy, limits: FollowLimits, tell: Tell) -> None:
        self.source = source
        self.copy = copy
        # Told each tick that was audited, with its body.
        self.watch: Callable[[TickEntry, Body], None] | None = None
        # Called after each round that succeeded: what else there is to do. False while it is not done.
        self.afterwards: Callable[[], Awaitable[bool]] | None = None
        self.tell = self._tell = tell
        self._limits = limits
        self._bodies = source.operator is not None
        self._papers = Papers(source, copy, tell)
        self._verifier: note.Verifier | None = None
        self._audit: Audit | None = None
        # The checkpoint whose entries are being fetched.
        self._target: tuple[bytes, cp.Checkpoint] | None = None
        # The first body since the copy's end that is not the one its entry commits to, and what of it.
        self._odd: tuple[int, Exception] | None = None
        # What was odd the last time.
        self._doubted = ""
        # One of what is kept already, that was shown again.
        self._old = b""
        self._news = time.monotonic()
        self._stalled = False

    @property
    def verifier(self) -> note.Verifier:
        """The log's key."""
        if self._verifier is None:
            raise RuntimeError("no key yet: sync() comes first")
        return self._verifier

    @property
    def course(self) -> Course:
        """What the entries so far come to."""
        return Course() if self._audit is None else self._audit.course

    def begin(self, key: str | None) -> None:
        """Take up the copy where it was left.

        `key`: the verifier key agreed beforehand; that of the copy, or the log's own word, when None.

        Raises:
            CopyError: it is of another key or with(out) bodies, or damaged.
            NoteError: the key is none.
            AlarmError: what is kept does not add up.
        """
        if key is not None:
            self._trust(key, "given", "agreed beforehand")
        elif self.copy.key:
            self._trust(self.copy.key, "copy", f"that of the copy in {self.copy.folder}")
        audited = self._audited_kept()
        if audited:
            self._tell("resumed", folder=str(self.copy.folder), **self._numbers())

    def _audited_kept(self) -> int:
        number = 0
        for entry, stored in self.copy.restore():
            number += 1
            self._take(entry, stored, number)
        return number

    def _trust(self, key: str, source: str, why: str) -> None:
        verifier = note.parse_vkey(key.strip())
        if self.copy.key and self.copy.key != verifier.vkey():
            raise CopyError(
                f"{self.copy.folder}: a copy of the log with the key {self.copy.key}, not of this one; "
                f"give another --dir"
            )
        self._verifier = verifier
        limits = PackLimits()
        bounds = Bounds(
            limits.viewers_max,
            limits.ticks_max,
            limits.body_bytes_max,
            limits.window_present_max,
        )
        self._bounds = bounds
        means = Means(LogTree(BLOCK_BYTES), note.parse_witness)
        self._audit = Audit(verifier.name, verifier.vkey(), bounds, means)
        self._tell("trust", key=verifier.vkey(), source=source, why=why)

    # --- A round ----------------------------------------------------------------------------------

    async def sync(self) -> bool:
        """Take what the log shows now; true when that was new.

        Raises:
            AwayError: it could not be had; the next call goes on from there.
            AlarmError: the log broke its word.
            RefusedError: the operators' API says no.
        """
        if self._target is None:
            signed = await self.source.checkpoint()
            if signed in {self.copy.signed, self._old}:
                return False
            verifier = self._verifier or await self._meet(signed)
            point = await asyncio.to_thread(self._judge, signed, verifier)
            if point is None:
                return False
            self._target = signed, point
        signed, point = self._target
        while self.copy.pending.size < point.size:
            frames = await self._fetch(self.copy.pending.size, point)
            await asyncio.to_thread(self.copy.append, frames)
        if self.copy.pending.root() != point.root:
            await self._begin_again()
            if self.copy.size:
                await judge_entries(self.source, self.copy, signed, point)
            raise AwayError(
                f"{self.source.url}: answered other entries than the {point.size} that were signed"
            )
        if self._odd is not None:
            await self._judge_body(signed, *self._odd)
        await asyncio.to_thread(self._keep, signed, point)
        self._target, self._doubted = None, ""
        if self.course.event is not None:
            await self._papers.fetch(self.course.event)
        return True

    async def _begin_again(self) -> None:
        """Forget what was fetched and is not kept."""
        self._target = self._odd = None
        await asyncio.to_thread(self.copy.drop_pending)

    async def _judge_body(self, signed: bytes, number: int, error: Exception) -> None:
        """Judge a body that is not what its entry says, now that this entry is known to be signed."""
        what = f"entry {number}: {error}"
        if self._doubted == what:
            await asyncio.to_thread(raise_alarm, self.copy, "body", signed, number, what)
        await self._begin_again()
        if isinstance(error, BeyondBoundsError):
            raise RefusedError(what) from error
        self._doubted = what
        raise AwayError(f"{self.source.operator}: {what}; fetching it again") from error

    async def _meet(self, signed: bytes) -> note.Verifier:
        """Take the key that the log itself names: there is no other."""
        try:
            size = cp.parse(note.peek(signed)).size
            entry = decode((await self.source.entries(0, max(1, min(size, 256))))[0])
            if not isinstance(entry, EventEntry):
                raise AwayError(f"{self.source.url}: does not begin with an event")
            # Before anything is said of it: what is in between could have changed the entry.
            cp.open_checkpoint(signed, note.parse_vkey(entry.key))
            self._trust(entry.key, "log", "the log's own word: nobody agreed on it beforehand")
        except (note.NoteError, EntryError) as error:
            raise AwayError(f"{self.source.url}: no log of ours: {error}") from error
        if self._verifier is None:
            raise AwayError(f"{self.source.url}: names no key")
        return self._verifier

    def _judge(self, signed: bytes, verifier: note.Verifier) -> cp.Checkpoint | None:
        """Return the checkpoint if it is to be followed, None if there is nothing new in it."""
        point = open_shown(self.copy, self.source.url, signed, verifier)
        if point.size > self._limits.entries_max:
            raise RefusedError(
                f"a log of {point.size} entries; STREAMCOUNT_FOLLOW_ENTRIES_MAX is "
                f"{self._limits.entries_max}"
            )
        if point.size <= self.copy.size:
            if self.copy.root_at(point.size) != point.root:
                what = f"a checkpoint of {point.size} entries: {self.copy.size} are kept, with another root"
                raise_alarm(self.copy, "fork", signed, point.size, what)
            # What is between may keep an older one for a while. If it stays, that is a stall.
            self._old = signed
            return None
        return point

    async def _fetch(self, start: int, point: cp.Checkpoint) -> Frames:
        if not self._bodies:
            return [(entry, b"") for entry in await self.source.entries(start, point.size)]
        event = self.course.event
        event_id = event.event.id if event else await self._event_id(point.size)
        frames = await self.source.frames(event_id, start, point.size)
        for number, (data, stored) in enumerate(frames, start):
            if self._odd is None:
                await asyncio.to_thread(self._check_body, data, stored, number)
        return frames

    async def _event_id(self, size: int) -> str:
        try:
            entry = decode((await self.source.entries(0, min(size, 256)))[0])
        except EntryError as error:
            raise AwayError(f"{self.source.url}: entry 0: {error}") from error
        if not isinstance(entry, EventEntry):
            raise AwayError(f"{self.source.url}: does not begin with an event")
        return entry.event.id

    def _check_body(self, data: bytes, stored: bytes, number: int) -> None:
        """Check a body before it is kept, so that what is kept need not be fetched again."""
        try:
            entry = decode(data)
            if isinstance(entry, TickEntry):
                open_body(entry, stored, self._bounds.body_bytes_max, body_root)
            elif stored:
                raise AuditError(f"a body behind an entry of type {entry.type}")
        except EntryError:
            # Whether that is the log's own doing shows once its signature covers it.
            return
        except (AuditError, SegmentError, BeyondBoundsError) as error:
            self._odd = number, error

    def _keep(self, signed: bytes, point: cp.Checkpoint) -> None:
        start, offset = self.copy.size, self.copy.end
        if self._verifier is not None:
            self.copy.pin(self._verifier.vkey())
        self.copy.keep(signed, point)
        frames = self.copy.frames(offset, point.size - start)
        for number, (entry, stored) in enumerate(frames, start):
            self._take(entry, stored, number)
        self._tell("checkpoint", **self._numbers())

    def _take(self, data: bytes, stored: bytes, number: int) -> None:
        """Audit an entry that is kept, and tell of what is in it."""
        audit = self._audit
        if audit is None:
            raise CopyError(f"{self.copy.folder}: entries, and no key")
        try:
            entry = audit.take(data, stored if self._bodies else None)
            if isinstance(entry, ClaimEntry):
                audit.finish(lambda: self.copy.frames(0, number))
        except AuditError as error:
            if isinstance(error.__cause__, EntryError):
                what = f"entry {number} is signed, and this program cannot read it: {error}"
                raise AlarmError("entry", what, self.copy.folder) from error
            self._check_kind_of_copy(data, stored)
            raise AlarmError("count", f"entry {number}: {error}", self.copy.folder) from error
        except BeyondBoundsError as error:
            raise RefusedError(str(error)) from error
        if not self._bodies and stored:
            self._check_kind_of_copy(data, stored)
        if isinstance(entry, TickEntry) and audit.body is not None and self.watch is not None:
            self.watch(entry, audit.body)
        self._tell_of(entry)

    def _check_kind_of_copy(self, data: bytes, stored: bytes) -> None:
        entry = decode(data)
        if isinstance(entry, TickEntry) and entry.body_bytes and bool(stored) != self._bodies:
            has, needs = ("", "without") if stored else ("out", "with")
            raise CopyError(
                f"{self.copy.folder}: was begun with{has} bodies, so it cannot be followed {needs} "
                f"--operator; give another --dir"
            )

    def _tell_of(self, entry: Entry) -> None:
        if isinstance(entry, GapEntry):
            facts = {"first": entry.first, "last": entry.last, "reason": entry.reason}
            self._tell("gap", gap=entry.kind, **facts)
        elif isinstance(entry, ExcludeEntry):
            self._tell("exclude", viewers=len(entry.pseudonyms), reason=entry.reason)
        elif isinstance(entry, NoteEntry):
            self._tell("note", text=entry.text)
        elif isinstance(entry, ClaimEntry) and entry.version > 1:
            facts = {"version": entry.version, "value": entry.value, "reason": entry.reason}
            self._tell("superseded", **facts)

    def _numbers(self) -> dict[str, Any]:
        course, now = self.course, time.time()
        last = course.last
        lag_s = None if last is None or course.claim is not None else round(now - last - 1, 1)
        stage = "waiting" if course.first is None else "open"
        stage = "closing" if course.close is not None else stage
        return {
            "event": course.event.event.id if course.event else None,
            "kind": course.event.event.kind if course.event else None,
            "stage": "final" if course.claim is not None else stage,
            "size": self.copy.size,
            "tick": last,
            "live": course.live,
            "proven": course.proven,
            "peak": course.shown_peak.count,
            "peak_tick": course.shown_peak.first,
            "claimed_count": course.event.event.claimed_count if course.event else None,
            "platform": course.rounds[-1].sum if course.rounds else None,
            "gaps": len(course.gaps),
            "excluded": len(course.excluded),
            "lag_s": lag_s,
            "uncertain": lag_s is not None and lag_s > self._limits.uncertain_after_s,
            "recounted": self._bodies,
        }

    # --- For as long as it takes --------------------------------------------------------------------

    async def run(self, done: Callable[[], bool]) -> None:
        """Follow until the event is final, or until `done` after a round that succeeded.

        Raises:
            AlarmError: the log broke its word.
            RefusedError: the operators' API says no.
        """
        pause_s, away = self._limits.retry_first_s, False
        while True:
            try:
                new = await self.sync()
            except AwayError as error:
                if not away:
                    self._tell("trouble", what=str(error))
                away = True
                self._look_for_stall(new=False)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 (jitter)
                pause_s = min(2 * pause_s, self._limits.retry_most_s)
                continue
            if away:
                self._tell("back")
            pause_s, away = self._limits.retry_first_s, False
            self._look_for_stall(new=new)
            settled = self.afterwards is None or await self.afterwards()
            if done() or (self.course.claim is not None and not new and settled):
                return
            await asyncio.sleep(self._limits.poll_s)

    def _look_for_stall(self, *, new: bool) -> None:
        course, now = self.course, time.monotonic()
        counting = course.first is not None and course.claim is None
        waiting = course.first is not None and course.first > time.time()
        if new or not counting or waiting:
            if self._stalled:
                self._tell("moving", seconds=round(now - self._news, 1))
            self._news, self._stalled = now, False
        elif not self._stalled and now - self._news >= self._limits.stall_s:
            self._stalled = True
            self._tell("stall", seconds=round(now - self._news, 1), tick=course.last)
