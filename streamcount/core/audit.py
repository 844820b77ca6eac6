"""Checking a log entry by entry: each in its place, and each tick counted again from its body.

What entries may say one after another is `core/course.py`; what a body comes to, `core/recount.py`. A
verifier takes a whole pack through here, a follower each second as it is published. Memory is bounded
before anything is inflated: a tick's figures tell how long its body is. A claim's figures are counted along
in that one pass; only where viewers were excluded are the bodies gone through again, in `finish`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamcount.core import body as bodies
from streamcount.core import segment
from streamcount.core.claim import ClaimEntry
from streamcount.core.claiming import ClaimError, check_counts
from streamcount.core.course import Course, CourseError, Figure
from streamcount.core.entries import Entry, EpochEntry, EventEntry, ExcludeEntry, TickEntry, decode
from streamcount.core.event import Event
from streamcount.core.figures import Counts, FigureCount, Frames, replayed
from streamcount.core.recount import Recount, Tallies
from streamcount.core.values import EntryError


class AuditError(Exception):
    """An entry does not follow from what came before, or not from its body; the message says how."""

    def __init__(
        self, message: str, figure: Figure | None = None, number: int | None = None
    ) -> None:
        """Say what; `number` is that of the entry, where it is not the one that was taken last."""
        super().__init__(message)
        self.figure, self.number = figure, number


class BeyondBoundsError(Exception):
    """The log is larger than this program is set to read."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a log from a stranger may cost: viewers, ticks, and bytes of one tick's body, inflated.

    `window_present_max`: viewers present, added up over the ticks of one window. So many pairs of presences
    are held where a rule asks how long each viewer was there.
    """

    viewers_max: int
    ticks_max: int
    body_bytes_max: int
    window_present_max: int


class Tree(Protocol):
    """The tree of a log, which grows with it; `body_root` returns the root over a body's blocks."""

    def take(self, entry: bytes) -> None: ...  # noqa: D102
    def root(self) -> bytes: ...  # noqa: D102
    def body_root(self, body: bytes) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Means:
    """What tlog/ knows and core/ does not.

    `tree` is that of a log without entries. `read_witness` reads a witness's key, and raises ValueError
    when it is none.
    """

    tree: Tree
    read_witness: Callable[[str], object]


class Audit:
    """Takes the entries of a log in order, with their bodies where they are at hand."""

    def __init__(self, origin: str, key: str, bounds: Bounds, means: Means) -> None:
        """`origin` and `key` are the log's."""
        self.course = Course()
        self.recount: Recount | None = None
        # That of the latest tick, if it was given.
        self.body: bodies.Body | None = None
        # What the bodies come to; None where they are not at hand, or have to be gone through again.
        self.counts: Counts | None = None
        self._origin, self._key = origin, key
        self._bounds = bounds
        self._means = means
        self._tree = means.tree
        # The figures, counted along for as long as nobody is excluded.
        self._figures: FigureCount | None = None
        # How many were present in each of the latest ticks, where that many pairs are held.
        self._present: deque[int] = deque()
        self._window_present = 0
        # Claims whose figures wait for another pass: their numbers, and how many exclusions they know.
        self._open: list[tuple[int, ClaimEntry, int]] = []

    def take(self, data: bytes, stored: bytes | None) -> Entry:
        """Take the next entry and its stored body, or None when bodies are not at hand.

        Either all ticks come with their bodies or none does.

        Raises:
            AuditError: it is no entry, has no place here, or its counts are not those of its body.
            BeyondBoundsError: it is larger than allowed.
        """
        try:
            entry = decode(data)
            self.course.take(entry)
            self._follow(entry, stored)
        except (EntryError, CourseError, bodies.BodyError, segment.SegmentError) as error:
            raise AuditError(str(error), getattr(error, "figure", None)) from error
        self._tree.take(data)
        return entry

    def finish(self, replay: Callable[[], Frames]) -> None:
        """Check what only the whole log can show: viewers registered twice, claims with exclusions.

        `replay` begins with the log's first entry whenever it is called. May be called again when there are
        more entries.

        Raises:
            AuditError: a viewer is, or a claim is not what the bodies come to.
        """
        if self.recount is None:
            return
        halves = np.frombuffer(bytes(self.recount.pseudonyms), ">u8").reshape(-1, 2)
        # Two with one half in common are rare; sorting numbers is far cheaper than sorting pairs.
        firsts = np.sort(halves[:, 0].astype(np.uint64))
        odd = (firsts[1:] == firsts[:-1]).any()
        if odd and len(np.unique(halves, axis=0)) != len(halves):
            raise AuditError("a viewer is registered twice")
        if self.course.exclusions and (self._open or self.counts is None):
            self._replay(replay)
        elif self._figures is not None:
            self.counts = self._so_far(self._figures, self.recount)

    def _replay(self, replay: Callable[[], Frames]) -> None:
        """Count the bodies again, with and without those who are excluded."""
        course = self.course
        if course.event is None or course.first is None:
            return
        known = [exclusions for _, _, exclusions in self._open]
        prefixes = [course.exclusions[:many] for many in [*known, len(course.exclusions)]]
        try:
            found = replayed(
                course.event.event,
                course.first,
                course.ticks_open,
                course.in_clock_gap,
                prefixes,
                replay,
            )
        except (EntryError, bodies.BodyError, segment.SegmentError) as error:
            raise AuditError(str(error)) from error
        for (number, entry, _), counts in zip(self._open, found, strict=False):
            self._check_counts(entry, counts, number)
        self._open, self.counts = [], found[-1]

    def _check_counts(self, entry: ClaimEntry, counts: Counts, number: int) -> None:
        try:
            check_counts(entry, counts)
        except ClaimError as error:
            raise AuditError(
                str(error), Figure(error.key, error.said, error.found), number
            ) from error

    def _so_far(self, figures: FigureCount, recount: Recount) -> Counts:
        found = figures.found(recount.viewers, self.course.ticks_open)
        return Counts(found, found)

    def _follow(self, entry: Entry, stored: bytes | None) -> None:
        self.body = None
        if stored and not isinstance(entry, TickEntry):
            raise AuditError(f"a body behind an entry of type {entry.type}")
        match entry:
            case EventEntry():
                if entry.origin != self._origin or entry.key != self._key:
                    raise AuditError("the event entry names another origin or key than the log's")
                self._check_witnesses(entry)
            case EpochEntry() if self.recount is None and self.course.event and stored is not None:
                self._begin(self.course.event.event, entry.first)
            case ExcludeEntry():
                self._figures = self.counts = None
                if self.recount is not None:
                    self.recount.exclude(entry.pseudonyms)
            case TickEntry():
                self._check_bounds(entry)
                if stored is not None:
                    self._count(entry, stored)
                    self._check_window(entry)
            case ClaimEntry():
                self._claim(entry)

    def _begin(self, event: Event, first: int) -> None:
        if not self.course.excluded:
            self._figures = FigureCount(event, first)
        pairs = self._figures.pairs if self._figures is not None else None
        self.recount = Recount(event, first=first, excluded=self.course.excluded, pairs=pairs)

    def _claim(self, entry: ClaimEntry) -> None:
        if entry.root != self._tree.root():
            raise AuditError("the claim's root is not that of the entries before it")
        if self.recount is None:
            return
        number = self.course.size - 1
        if self._figures is not None:
            self.counts = self._so_far(self._figures, self.recount)
            self._check_counts(entry, self.counts, number)
        else:
            self._open.append((number, entry, len(self.course.exclusions)))

    def _check_witnesses(self, entry: EventEntry) -> None:
        for witness in entry.event.trust.witnesses:
            try:
                self._means.read_witness(witness.key)
            except ValueError as error:
                raise AuditError(f"the event entry: trust.witnesses: {error}") from error

    def _count(self, entry: TickEntry, stored: bytes) -> None:
        event, recount = self.course.event, self.recount
        if event is None or recount is None:
            raise AuditError(f"tick {entry.tick} of an event that was not opened")
        body = self.body = self._decode(entry, stored, len(event.event.streams))
        told = Tallies(entry.heartbeats, entry.muted, entry.hidden, entry.late)
        right = recount.tick(entry.epoch, body, entry.body_bytes, entry.body_root, told)
        if right != entry:
            odd = next(n for n in entry.__slots__ if getattr(entry, n) != getattr(right, n))
            said, found = getattr(entry, odd), getattr(right, odd)
            raise AuditError(
                f"tick {entry.tick}: the entry says {odd} {said}, counting the bodies gives {found}",
                Figure(odd, said, found, entry.tick),
            )
        if self._figures is not None:
            clock = self.course.in_clock_gap(entry.tick - event.event.window)
            self._figures.take(entry, streams=entry.streams, in_clock_gap=clock)

    def _check_bounds(self, entry: TickEntry) -> None:
        bounds, first = self._bounds, self.course.first or 0
        if entry.viewers > bounds.viewers_max or entry.tick - first > bounds.ticks_max:
            raise BeyondBoundsError(
                f"tick {entry.tick}: more viewers or ticks than this program is set to read"
            )

    def _check_window(self, entry: TickEntry) -> None:
        event = self.course.event
        if event is None or event.event.rule_profile.presence_s <= 1:
            return
        self._present.append(entry.present)
        self._window_present += entry.present
        if len(self._present) > event.event.window:
            self._window_present -= self._present.popleft()
        if self._window_present > self._bounds.window_present_max:
            raise BeyondBoundsError(
                f"tick {entry.tick}: more heartbeats in one window than this program is set to hold"
            )

    def _decode(self, entry: TickEntry, stored: bytes, streams: int) -> bodies.Body:
        data = open_body(entry, stored, self._bounds.body_bytes_max, self._tree.body_root)
        return bodies.decode(
            data,
            new=entry.new,
            moves=entry.moves,
            viewers=entry.viewers,
            breaks=entry.breaks,
            streams=streams,
        )


def open_body(
    entry: TickEntry, stored: bytes, bytes_max: int, root_of: Callable[[bytes], bytes]
) -> bytes:
    """Return the bytes of the body that a tick's entry commits to, from what is stored of it.

    Raises:
        AuditError: it is another one.
        SegmentError: it does not inflate.
        BeyondBoundsError: it would be longer than `bytes_max`.
    """
    expected = bodies.body_bytes(
        new=entry.new, moves=entry.moves, viewers=entry.viewers, breaks=entry.breaks
    )
    if entry.body_bytes != expected or bool(stored) != bool(expected):
        raise AuditError(f"tick {entry.tick}: its figures ask for a body of {expected} bytes")
    if entry.moves > entry.present:
        raise AuditError(f"tick {entry.tick}: more moves than viewers present")
    if expected > bytes_max:
        raise BeyondBoundsError(
            f"tick {entry.tick}: a body of {expected} bytes, too long for this program"
        )
    data = segment.inflate(stored, expected) if expected else b""
    if root_of(data) != entry.body_root:
        raise AuditError(f"tick {entry.tick}: its body is not the one the entry commits to")
    return data
