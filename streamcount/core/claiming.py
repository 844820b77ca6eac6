"""Making a claim, and checking one against the entries before it.

What follows from entries alone is worked out here from a course; what needs the bodies (`Counts`) comes
from whoever has them. A claim is right when making it again from its own figures gives it, and its figures
are those of the bodies, which is `core/audit.py`'s question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streamcount.core import canonical, values
from streamcount.core.claim import (
    CLAIMS_MAX,
    ClaimEntry,
    Excluded,
    Figures,
    ProfileResult,
    Software,
    Wording,
)
from streamcount.core.entries import STREAMS_IN_TICK_MAX
from streamcount.core.event import Event
from streamcount.core.fields import EventError
from streamcount.core.figures import Counts, Found, reasons
from streamcount.core.instants import is_instant, make_instant

if TYPE_CHECKING:
    from streamcount.core.course import Course


# A claim holds the definition, but for its streams; beside it there is room for all that may stand there, a
# reason and sixteen exclusions at their longest with it.
DEFINITION_BYTES_MAX: Final = 35_000


class ClaimError(ValueError):
    """A claim has no place, or is not what the entries come to; the message says which rule it breaks."""

    def __init__(
        self, message: str, key: str = "", said: object = None, found: object = None
    ) -> None:
        super().__init__(message)
        self.key, self.said, self.found = key, said, found


@dataclass(frozen=True, slots=True)
class Told:
    """What of a claim does not follow from the log, or not from its entries' values.

    `root`: over the entries before it. `offset`: the local clock's distance from UTC at a Unix second, in
    minutes.
    """

    root: bytes
    reason: str
    words: Wording
    software: Software
    offset: Callable[[int], int]


def make_claim(course: Course, counts: Counts, told: Told) -> ClaimEntry:
    """Return the claim that these entries and bodies amount to.

    Raises:
        ClaimError: there can be none now.
    """
    entry = course.event
    if not course.final or entry is None or course.first is None or course.close is None:
        raise ClaimError("no claim before the event is closed and one window has passed")
    _check_turn(course, told.reason)
    event, platform = entry.event, course.platform_claim()
    gross = event.rule_profile.count == "gross"
    claimed = counts.gross if gross else counts.net
    figures = claimed.figures
    instant = None
    if figures.peak_first is not None and figures.peak_last is not None:
        reached, until = figures.peak_first + 1, figures.peak_last + 1
        offsets = told.offset(reached), told.offset(until)
        instant = make_instant(reached, until, offsets)
    value: int | None = figures.qualified
    if event.claimed_count == "platform":
        value = None if platform is None else platform.peak
    return ClaimEntry(
        version=len(course.claims) + 1,
        supersedes=course.claims[-1][0] if course.claims else None,
        reason=told.reason,
        size=course.size,
        root=told.root,
        origin=entry.origin,
        definition=definition_of(event),
        words=told.words,
        software=told.software,
        value=value,
        instant=instant,
        gross=counts.gross.figures,
        net=counts.net.figures,
        streams=claimed.streams,
        exclusions=tuple(
            Excluded(reason, viewers)
            for reason, viewers in zip(reasons(course.exclusions), counts.excluded, strict=False)
        ),
        first=course.first,
        last=course.close,
        loss_ticks=course.gap_ticks("loss"),
        clock_ticks=course.gap_ticks("clock"),
        lag_ticks=course.gap_ticks("lag"),
        profile=profile_result(event, course.close - course.first + 1),
        platform=platform,
    )


def definition_of(event: Event) -> dict[str, Any]:
    """Return what a claim says of the definition: all but the streams."""
    return {name: value for name, value in event.as_dict().items() if name != "streams"}


def check_definition(event: Event) -> None:
    """Check that a claim of a new event will fit into an entry, whatever happens.

    Raises:
        EventError: its definition is too long.
    """
    length = len(canonical.dump(definition_of(event)))
    if length > DEFINITION_BYTES_MAX:
        raise EventError(
            f"the definition is too long: {length} bytes without its streams, of "
            f"{DEFINITION_BYTES_MAX} that a claim has room for"
        )


def profile_result(event: Event, ticks: int) -> ProfileResult:
    """Return whether an event that was open for so many ticks is what its rules ask for."""
    rules, streams = event.rule_profile, len(event.streams)
    long_enough = ticks >= rules.duration_s
    few_enough = streams == 1 or not rules.single_stream
    return ProfileResult(ticks, long_enough, streams, few_enough, long_enough and few_enough)


def check_claim(course: Course, entry: ClaimEntry) -> None:
    """Check that a claim is in its place, and follows from the entries before it and its own figures.

    Raises:
        ClaimError: it does not.
    """
    if course.event is not None:
        definition = definition_of(course.event.event)
        if canonical.dump(entry.definition) != canonical.dump(definition):
            raise wrong("definition", entry.definition, definition)
    if not course.final:
        raise ClaimError("no claim before the event is closed and one window has passed")
    _check_figures(course, entry)
    counts = Counts(
        Found(entry.gross, entry.streams),
        Found(entry.net, entry.streams),
        tuple(one.viewers for one in entry.exclusions),
    )
    told = Told(entry.root, entry.reason, entry.words, entry.software, lambda _: 0)
    right = make_claim(course, counts, told)
    says, comes_to = values.plain(entry), values.plain(right)
    first, last = right.claimed.peak_first, right.claimed.peak_last
    if first is not None and last is not None and is_instant(entry.instant, first + 1, last + 1):
        comes_to["instant"] = says["instant"]
    # As bytes: in Python, 1 and true are one.
    for key in says:
        if canonical.dump({key: says[key]}) != canonical.dump({key: comes_to[key]}):
            raise wrong(key, says[key], comes_to[key])


def check_counts(entry: ClaimEntry, counts: Counts) -> None:
    """Check that a claim's figures are those of the bodies.

    Raises:
        ClaimError: they are not.
    """
    claimed = counts.gross if entry.claimed is entry.gross else counts.net
    for name, said, found in (
        ("gross", entry.gross, counts.gross.figures),
        ("net", entry.net, counts.net.figures),
    ):
        _compare(name, said, found)
    excluded = tuple(one.viewers for one in entry.exclusions)
    for key, is_said, is_found in (
        ("streams", entry.streams, claimed.streams),
        ("exclusions", excluded, counts.excluded),
    ):
        if is_said != is_found:
            raise wrong(key, [*is_said], [*is_found])


def wrong(key: str, said: object, found: object) -> ClaimError:
    """Return what is said of a claim that says another value than there is."""
    return ClaimError(f"the claim says {key} {said}, the entries come to {found}", key, said, found)


def _compare(name: str, said: Figures, found: Figures) -> None:
    for field in Figures.__slots__:
        here, there = getattr(said, field), getattr(found, field)
        if here != there:
            raise wrong(f"{name}.{field}", here, there)


def _check_turn(course: Course, reason: str) -> None:
    """Check that there may be a claim now, for this reason."""
    if len(course.claims) >= CLAIMS_MAX:
        raise ClaimError(f"more than {CLAIMS_MAX} claims")
    if course.claims and not course.corrected:
        raise ClaimError(
            "a claim that supersedes another without an exclude or a note between them"
        )
    if bool(course.claims) != bool(reason):
        raise ClaimError("the first claim has no reason, and each later one has one")


def _check_figures(course: Course, entry: ClaimEntry) -> None:
    """Check what the entries alone show of a claim's figures."""
    counted, streams = course.figures(), len(course.event.event.streams) if course.event else 0
    asks = course.event is not None and course.event.event.rule_profile.presence_s > 1
    for name, figures in (("gross", entry.gross), ("net", entry.net)):
        if not course.exclusions:
            _compare(name, figures, _but_qualified(counted, figures))
        if figures.qualified > figures.peak or (figures.qualified < figures.peak and not asks):
            raise wrong(f"{name}.qualified", figures.qualified, figures.peak)
    if not course.exclusions:
        _compare("net", entry.net, entry.gross)
    excluded = [one.viewers for one in entry.exclusions]
    names = [*reasons(course.exclusions).values()]
    if len(excluded) != len(names):
        raise wrong("exclusions", len(excluded), len(names))
    if any(here > len(whom) for here, whom in zip(excluded, names, strict=True)):
        raise ClaimError("the claim says more viewers excluded for a reason than it excludes")
    for name, said, found in (
        ("gross.uniques", entry.gross.uniques, course.viewers),
        ("net.uniques", entry.net.uniques, course.viewers - sum(excluded)),
    ):
        if said != found:
            raise wrong(name, said, found)
    expected = streams if entry.claimed.peak and streams <= STREAMS_IN_TICK_MAX else 0
    if len(entry.streams) != expected:
        raise wrong("streams", len(entry.streams), expected)


def _but_qualified(figures: Figures, said: Figures) -> Figures:
    return Figures(
        **{name: getattr(figures, name) for name in Figures.__slots__}
        | {"qualified": said.qualified}
    )
