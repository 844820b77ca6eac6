"""The figures of a claim, counted from bodies: of all viewers (gross), and without the excluded (net).

    gross   as if nobody had been excluded
    net     as if everybody who is excluded had been so from the first tick on

The counts in tick entries are a third thing, each exclusion from its own entry on. Where nothing was
excluded all three are one, and whoever counts a log anyway has the figures with it (`FigureCount`); else
the bodies are gone through again (`replayed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from streamcount.core import body as bodies
from streamcount.core import segment
from streamcount.core.attendance import Attendance
from streamcount.core.claim import Figures
from streamcount.core.entries import ExcludeEntry, TickEntry, decode
from streamcount.core.event import Event
from streamcount.core.peak import Peak
from streamcount.core.presence import Pairs
from streamcount.core.recount import Recount, Tallies, registered

# An entry and its stored body.
Frames = Iterable[tuple[bytes, bytes]]
# Of a pass over the bodies: how many sets of viewers are left out side by side.
_SETS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Found:
    """Figures, and the live viewers of each stream when their peak was reached."""

    figures: Figures
    streams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """What the bodies come to; `excluded`: registered viewers for each reason, in the order of these."""

    gross: Found
    net: Found
    excluded: tuple[int, ...] = ()


class FigureCount:
    """Takes what counting gives, tick after tick."""

    def __init__(self, event: Event, first: int) -> None:
        """Start before tick `first`."""
        self._window, self._first = event.window, first
        # With less, everybody at the peak qualifies.
        self._least = event.rule_profile.presence_s
        self._attendance = Attendance(event.window) if self._least > 1 else None
        self._peak, self._live_peak = Peak(), Peak()
        self._watch_s = 0
        self._streams: tuple[int, ...] = ()
        # Of the ticks that are not final yet, and the one that has just become it.
        self._recent: deque[tuple[int, ...]] = deque(maxlen=event.window + 1)

    @property
    def pairs(self) -> Pairs | None:
        """Who has to be told of the pairs that prove viewers, if anybody."""
        return None if self._attendance is None else self._attendance.take

    def take(self, entry: TickEntry, *, streams: tuple[int, ...], in_clock_gap: bool) -> None:
        """Take the next tick as it was counted; `streams` as its entry in the log has them.

        `in_clock_gap`: whether the tick that becomes final with it lies in one.
        """
        self._recent.append(streams)
        self._live_peak.take(entry.tick, entry.live)
        settled = entry.tick - self._window
        if settled < self._first:
            return
        self._watch_s += entry.proven
        if in_clock_gap:
            return
        before = self._peak.count
        self._peak.take(settled, entry.proven)
        if self._peak.count > before:
            self._streams = self._recent[0]
            if self._attendance is not None:
                self._attendance.mark()

    def found(self, viewers: int, ticks: int) -> Found:
        """Return the figures so far, of so many viewers, over so many ticks."""
        peak, live, here = self._peak, self._live_peak, self._attendance
        figures = Figures(
            peak=peak.count,
            peak_first=peak.first,
            peak_last=peak.last,
            qualified=peak.count if here is None else here.qualified(self._least),
            live_peak=live.count,
            live_peak_first=live.first,
            uniques=viewers,
            watch_s=self._watch_s,
            average_milli=1000 * self._watch_s // ticks if ticks > 0 else 0,
        )
        return Found(figures, self._streams)


class Tally:
    """Counts one event's bodies as if some viewers had been excluded from the first tick on."""

    def __init__(self, event: Event, first: int, excluded: frozenset[bytes]) -> None:
        """Start before tick `first`."""
        self._count = FigureCount(event, first)
        self.recount = Recount(event, first=first, excluded=excluded, pairs=self._count.pairs)

    def take(self, entry: TickEntry, body: bodies.Body, *, in_clock_gap: bool) -> None:
        """Take the next tick, of which the log has this entry.

        Raises:
            BodyError: it does not fit the ones before.
        """
        own = self.recount.tick(entry.epoch, body, 0, b"", Tallies())
        self._count.take(own, streams=entry.streams, in_clock_gap=in_clock_gap)

    def found(self, ticks: int) -> Found:
        """Return the figures so far, over so many ticks."""
        return self._count.found(self.recount.viewers - self.recount.excluded, ticks)


def replayed(
    event: Event,
    first: int,
    ticks: int,
    in_clock_gap: Callable[[int], bool],
    prefixes: Sequence[Sequence[ExcludeEntry]],
    replay: Callable[[], Frames],
) -> list[Counts]:
    """Go through the bodies again; return what they come to with each of these lists of exclusions.

    `ticks`: over how many averages are. `replay` begins again with the first entry whenever it is called.

    Raises:
        EntryError, BodyError, SegmentError: the log is not what it was when it was audited.
    """
    sets = [
        frozenset(bytes.fromhex(name) for one in exclusions for name in one.pseudonyms)
        for exclusions in prefixes
    ]
    wanted = list(dict.fromkeys([frozenset[bytes](), *sets]))
    found: dict[frozenset[bytes], Found] = {}
    pseudonyms = bytearray()
    for start in range(0, len(wanted), _SETS_AT_ONCE):
        some = wanted[start : start + _SETS_AT_ONCE]
        tallies = [Tally(event, first, names) for names in some]
        for data, stored in replay():
            _take(data, stored, event, tallies, in_clock_gap)
        found |= {names: one.found(ticks) for names, one in zip(some, tallies, strict=True)}
        pseudonyms = tallies[0].recount.pseudonyms
    return [
        Counts(found[frozenset()], found[names], by_reason(exclusions, pseudonyms))
        for names, exclusions in zip(sets, prefixes, strict=True)
    ]


def by_reason(exclusions: Sequence[ExcludeEntry], pseudonyms: bytes | bytearray) -> tuple[int, ...]:
    """Return how many registered viewers were excluded for each reason."""
    return tuple(
        registered(pseudonyms, {bytes.fromhex(name) for name in names})
        for names in reasons(exclusions).values()
    )


def reasons(exclusions: Sequence[ExcludeEntry]) -> dict[str, list[str]]:
    """Return whom each reason excluded, in the order in which these came first."""
    whom: dict[str, list[str]] = {}
    for entry in exclusions:
        whom.setdefault(entry.reason, []).extend(entry.pseudonyms)
    return whom


def _take(
    data: bytes,
    stored: bytes,
    event: Event,
    tallies: Sequence[Tally],
    in_clock_gap: Callable[[int], bool],
) -> None:
    entry = decode(data)
    if not isinstance(entry, TickEntry):
        return
    body = bodies.decode(
        segment.inflate(stored, entry.body_bytes) if entry.body_bytes else b"",
        new=entry.new,
        moves=entry.moves,
        viewers=entry.viewers,
        breaks=entry.breaks,
        streams=len(event.streams),
    )
    clock = in_clock_gap(entry.tick - event.window)
    for tally in tallies:
        tally.take(entry, body, in_clock_gap=clock)
