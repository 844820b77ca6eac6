"""The course of an event as its entries tell it: what may follow what, and what they add up to.

    event  ->  epoch  ->  (tick | gap | platform | epoch)*  ->  end  ->  the same  ->  claim  ->  claim*

A `Course` takes entries in order and refuses one that has no place there. It believes the counts in
them; whether those follow from the bodies is `core/recount.py`'s question. (`exclude` and `note` may stand
anywhere behind the event; behind a claim they are what another one supersedes it for.) Both the notary,
who writes entries, and a verifier, who reads them, run the same course, so a log that the notary would not
have written does not verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from streamcount.core.claim import ClaimEntry, Figures
from streamcount.core.claiming import ClaimError, check_claim
from streamcount.core.entries import (
    TICK_MAX,
    EndEntry,
    Entry,
    EpochEntry,
    EventEntry,
    ExcludeEntry,
    GapEntry,
    NoteEntry,
    TickEntry,
)
from streamcount.core.peak import Peak
from streamcount.core.platform import (
    LATE_TICKS_MAX,
    READERS,
    PlatformClaim,
    PlatformEntry,
    Round,
    counting,
    make_platform_claim,
)
from streamcount.core.ticks import Ticks

# Different reasons of exclusions in one log, as a claim lists them all.
EXCLUDE_REASONS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that an entry states and that comes to another: the tick's, the claim's when None."""

    name: str
    said: object
    found: object
    tick: int | None = None


class CourseError(ValueError):
    """An entry has no place where it stands; the message says which rule it breaks."""

    def __init__(self, message: str, figure: Figure | None = None) -> None:
        super().__init__(message)
        self.figure = figure


@dataclass(slots=True)
class Course:
    """What is known after the entries so far.

    Ticks are event seconds. `next_tick` is None until the event is armed.
    """

    event: EventEntry | None = None
    epoch: int = 0
    first: int | None = None
    next_tick: int | None = None
    close: int | None = None
    # Entries taken; and the claims among them, with their numbers.
    size: int = 0
    claims: list[tuple[int, ClaimEntry]] = field(default_factory=list)
    # Whether something that may change the claim came after the latest one, and whether that was an
    # exclusion.
    corrected: bool = False
    excluded_since: bool = False
    viewers: int = 0
    # Pseudonyms of viewers whose bits are not counted any more; who of them is registered, the bodies tell.
    excluded: set[bytes] = field(default_factory=set)
    exclusions: list[ExcludeEntry] = field(default_factory=list)
    exclude_reasons: frozenset[str] = frozenset()
    notes: list[NoteEntry] = field(default_factory=list)
    live: int = 0
    proven: int = 0
    peak: Peak = field(default_factory=Peak)
    live_peak: Peak = field(default_factory=Peak)
    # The sum of all final proven counts.
    watch_s: int = 0
    gaps: list[GapEntry] = field(default_factory=list)
    # The ticks inside gaps, by kind; those of the clock cannot be the peak.
    ticks_in: dict[str, Ticks] = field(default_factory=dict)
    # What platforms answered, in order; and when they last answered for each stream they were asked for.
    rounds: list[Round] = field(default_factory=list)
    answered_ms: dict[int, int] = field(default_factory=dict)

    def after(self, entries: Iterable[Entry]) -> Course:
        """Return the course after these entries, leaving this one as it is.

        Raises:
            CourseError: one of them has no place.
        """
        course = replace(
            self,
            peak=replace(self.peak),
            live_peak=replace(self.live_peak),
            gaps=[*self.gaps],
            excluded={*self.excluded},
            exclusions=[*self.exclusions],
            notes=[*self.notes],
            claims=[*self.claims],
            ticks_in={kind: ticks.copy() for kind, ticks in self.ticks_in.items()},
            rounds=[*self.rounds],
            answered_ms={**self.answered_ms},
        )
        for entry in entries:
            course.take(entry)
        return course

    def take(self, entry: Entry) -> None:
        """Take the next entry.

        Raises:
            CourseError: it has no place here.
        """
        if self.event is None and not isinstance(entry, EventEntry):
            raise CourseError(f"the first entry is {entry.type}, not event")
        if self.claims and not isinstance(entry, ClaimEntry | ExcludeEntry | NoteEntry):
            raise CourseError(f"{entry.type} entry after the claim")
        takes: dict[type[Entry], Callable[[Any], None]] = {
            EventEntry: self._take_event,
            EpochEntry: self._take_epoch,
            TickEntry: self._take_tick,
            GapEntry: self._take_gap,
            PlatformEntry: self._take_platform,
            ExcludeEntry: self._take_exclude,
            NoteEntry: self._take_note,
            EndEntry: self._take_end,
            ClaimEntry: self._take_claim,
        }
        takes[type(entry)](entry)
        self.size += 1

    @property
    def last(self) -> int | None:
        """The last tick counted, if any was."""
        if self.next_tick is None or self.next_tick == self.first:
            return None
        return self.next_tick - 1

    @property
    def window(self) -> int:
        """The event's window in ticks."""
        if self.event is None:
            raise CourseError("there is no event yet")
        return self.event.event.window

    @property
    def final(self) -> bool:
        """True when every tick that can hold a count is archived: one window after the close."""
        return self.close is not None and self.next_tick == self.close + self.window + 1

    @property
    def claim(self) -> ClaimEntry | None:
        """The latest claim, the one that counts."""
        return self.claims[-1][1] if self.claims else None

    @property
    def shown_peak(self) -> Peak:
        """The peak that is shown: the claimed one, as soon as there is a claim."""
        if self.claim is None:
            return self.peak
        figures = self.claim.claimed
        return Peak(figures.peak, figures.peak_first, figures.peak_last)

    def figures(self) -> Figures:
        """Return the figures of the counts in tick entries, each exclusion from its own entry on.

        Who was there for how long, only bodies tell: everybody at the peak qualifies.
        """
        ticks = self.ticks_open
        return Figures(
            peak=self.peak.count,
            peak_first=self.peak.first,
            peak_last=self.peak.last,
            qualified=self.peak.count,
            live_peak=self.live_peak.count,
            live_peak_first=self.live_peak.first,
            uniques=self.viewers,
            watch_s=self.watch_s,
            average_milli=1000 * self.watch_s // ticks if ticks else 0,
        )

    @property
    def ticks_open(self) -> int:
        """How many ticks the event was open, up to the close or the latest one counted."""
        last = self.close if self.close is not None else self.last
        return 0 if self.first is None or last is None else last - self.first + 1

    @property
    def unread(self) -> list[str]:
        """Platforms whose answers this program cannot read, so that their counts are the writer's word."""
        videos = () if self.event is None else self.event.event.on_platforms.values()
        return sorted({one.name for one in videos} - READERS.keys())

    def platform_claim(self, *, soon: bool = False) -> PlatformClaim | None:
        """Return what platforms told while the event was open, so far; None when none is asked.

        `soon`: with what they told in ticks that are not archived yet.
        """
        if self.event is None or not (streams := len(self.event.event.on_platforms)):
            return None
        last = TICK_MAX if soon else self.last
        last = self.close if self.close is not None else last
        if self.first is None or last is None:
            return make_platform_claim([], streams)
        return make_platform_claim(counting(self.rounds, self.first, last), streams)

    def in_clock_gap(self, tick: int) -> bool:
        """Tell whether a tick lies in a gap of the clock, so that it cannot be the peak."""
        clock = self.ticks_in.get("clock")
        return clock is not None and tick in clock

    def gap_ticks(self, kind: str) -> int:
        """Return how many ticks lie in gaps of a kind, up to the close or the latest one counted."""
        ticks = self.ticks_in.get(kind)
        last = self.close if self.close is not None else self.last
        if ticks is None or self.first is None or last is None:
            return 0
        return ticks.count(self.first, last)

    def _take_event(self, entry: EventEntry) -> None:
        if self.event is not None:
            raise CourseError("a second event entry")
        self.event = entry

    def _take_epoch(self, entry: EpochEntry) -> None:
        if entry.epoch <= self.epoch:
            raise CourseError(f"epoch {entry.epoch} after epoch {self.epoch}")
        if self.next_tick is None:
            self.first = self.next_tick = entry.first
        elif entry.first != self.next_tick:
            raise CourseError(
                f"epoch {entry.epoch} begins at tick {entry.first}, {self.next_tick} is next"
            )
        self.epoch = entry.epoch

    def _take_tick(self, entry: TickEntry) -> None:
        if entry.tick != self.next_tick or self.first is None:
            raise CourseError(f"tick {entry.tick} where {self.next_tick} is next")
        if entry.epoch != self.epoch:
            raise CourseError(f"tick {entry.tick} of epoch {entry.epoch} inside epoch {self.epoch}")
        if entry.viewers != self.viewers + entry.new:
            raise CourseError(
                f"tick {entry.tick}: {self.viewers} viewers and {entry.new} new are not {entry.viewers}"
            )
        if self.close is not None and entry.tick > self.close:
            if self.final:
                raise CourseError(
                    f"tick {entry.tick} after the last one, {self.close + self.window}"
                )
            if entry.present or entry.new or entry.breaks:
                raise CourseError(
                    f"heartbeats in tick {entry.tick}, after the close at {self.close}"
                )
        self.viewers, self.live, self.proven = entry.viewers, entry.live, entry.proven
        self.live_peak.take(entry.tick, entry.live)
        settled = entry.tick - self.window
        if settled >= self.first:
            self.watch_s += entry.proven
            if not self.in_clock_gap(settled):
                self.peak.take(settled, entry.proven)
        self.next_tick = entry.tick + 1

    def _take_gap(self, entry: GapEntry) -> None:
        if self.next_tick is None or self.first is None or entry.first < self.first:
            raise CourseError("a gap before the first tick")
        if entry.kind == "clock" and entry.first < self.next_tick - self.window:
            raise CourseError(
                f"a clock gap from tick {entry.first}, whose proven count was final already"
            )
        self.gaps.append(entry)
        self.ticks_in.setdefault(entry.kind, Ticks()).add(entry.first, entry.last)

    def _take_platform(self, entry: PlatformEntry) -> None:
        if self.next_tick is None or self.event is None:
            raise CourseError("a platform's answer before the event was opened")
        videos = self.event.event.on_platforms
        asked = [videos.get(stream) for stream in entry.streams]
        names = [video.video for video in asked if video and video.name == entry.platform]
        if len(names) != len(asked):
            raise CourseError(f"{entry.platform} was asked for a stream that it does not have")
        latest = self.rounds[-1] if self.rounds else None
        joins = latest is not None and latest.number == entry.round
        if not joins and entry.round <= (latest.number if latest else 0):
            raise CourseError(f"round {entry.round} of platforms' answers is not a later one")
        if joins and latest and latest.counts.keys() & set(entry.streams):
            raise CourseError(f"a stream is asked for twice in round {entry.round}")
        if any(entry.asked_ms < self.answered_ms.get(one, 0) for one in entry.streams):
            raise CourseError("a platform was asked before it had answered the time before")
        if entry.answered_ms // 1000 < self.next_tick - LATE_TICKS_MAX:
            raise CourseError(f"a platform's answer that came long before tick {self.next_tick}")
        read = READERS.get(entry.platform)
        if read and entry.readable and (right := read(entry.answer, names)) != entry.counts:
            raise CourseError(f"counts {[*entry.counts]}, where the answer says {[*right]}")
        counts = dict(zip(entry.streams, entry.counts, strict=True))
        failed = 0 if entry.readable else len(counts)
        this = Round(entry.round, entry.asked_ms, entry.answered_ms, counts, failed)
        if joins and latest:
            self.rounds[-1] = latest.joined(this)
        else:
            self.rounds.append(this)
        self.answered_ms |= dict.fromkeys(entry.streams, entry.answered_ms)

    def _take_exclude(self, entry: ExcludeEntry) -> None:
        names = set(map(bytes.fromhex, entry.pseudonyms))
        if len(names) < len(entry.pseudonyms) or names & self.excluded:
            raise CourseError("a viewer who is excluded twice")
        if len(self.exclude_reasons | {entry.reason}) > EXCLUDE_REASONS_MAX:
            raise CourseError(f"more than {EXCLUDE_REASONS_MAX} different reasons of exclusions")
        self.exclude_reasons = self.exclude_reasons | {entry.reason}
        self.excluded |= names
        self.exclusions.append(entry)
        self.corrected = self.excluded_since = True

    def _take_note(self, entry: NoteEntry) -> None:
        self.notes.append(entry)
        self.corrected = True

    def _take_end(self, entry: EndEntry) -> None:
        if self.next_tick is None or self.first is None:
            raise CourseError("an end before the event was opened")
        if self.close is not None:
            raise CourseError("a second end")
        if entry.close < max(self.first, self.next_tick - 1):
            raise CourseError(
                f"an end at tick {entry.close}, when {self.next_tick - 1} was counted already"
            )
        self.close = entry.close

    def _take_claim(self, entry: ClaimEntry) -> None:
        try:
            check_claim(self, entry)
        except ClaimError as error:
            figure = Figure(error.key, error.said, error.found) if error.key else None
            raise CourseError(str(error), figure) from error
        self.claims.append((self.size, entry))
        self.corrected = self.excluded_since = False
