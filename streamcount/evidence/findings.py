"""What a verification found: the first thing that is wrong, the numbers, and what was not checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from streamcount.core import values
from streamcount.core.claim import ClaimEntry
from streamcount.core.course import Course
from streamcount.core.figures import Counts
from streamcount.core.timeline import Timeline
from streamcount.evidence.fault import FaultError
from streamcount.evidence.witnessed import Levels

# What verifying did not check, by its code: what was not asked for, and what no pack can show.
NOT_CHECKED: Final = {
    "key": (
        "who made it, and when: the key was taken from the pack itself, so this shows only that "
        "the pack is consistent with itself; the key stands on the sheet that was signed before the "
        "opening: give it with --key, or the sheet with --sheet"
    ),
    "history": (
        "that this is the history shown during the event: give checkpoints kept then with "
        "--checkpoint"
    ),
    "witnessed": (
        "that anybody else saw this log: no checkpoint with cosignatures of enough witnesses covers the "
        "result"
    ),
    "timed": "how early the log was there: no token of a timestamping authority covers the result",
    "clock": "that the operator's clock was right: times are those of the operator's store",
    "people": (
        "that heartbeats came from people: a program can send them, and the operator could too"
    ),
    "tallies": "heartbeats told as late, muted or hidden: the ingest workers' word, in no bitmap",
}
# The same of a log that enough witnesses saw.
OF_WITNESSES: Final = {
    "others": "that the witnesses are others than the operator, which no file can show",
}
# The same of an event for which platforms were asked.
OF_PLATFORMS: Final = {
    "platform_claimed": (
        "the number claimed, which is the platform's own: only the integrity of its samples is proven; "
        "the proven count beside it is of viewers on pages and apps with the embed"
    ),
    "platform": (
        "that the platform counts people, how it counts, and that nobody altered its answers on their "
        "way, as TLS leaves no proof: only that these samples were logged, and what they come to"
    ),
    "platform_unread": (
        "the counts of a platform whose answers this program cannot read: they are the writer's reading"
    ),
}


class DoesNotHoldError(FaultError):
    """The pack can be read, and something in it does not hold; the message says what, and where."""


@dataclass(slots=True)
class Findings:
    """What verifying found. `fault` is None when everything that was checked holds."""

    fault: FaultError | None = None
    unreadable: bool = False
    stage: str | None = None
    origin: str | None = None
    key: str | None = None
    key_from_outside: bool = False
    sheet_from_outside: bool = False
    checkpoints_from_outside: int = 0
    course: Course | None = None
    timeline: Timeline | None = None
    size: int = 0
    root: str | None = None
    heartbeats: int = 0
    late: int = 0
    # The text of the sheet, and its hash in hexadecimal, once the sheet is known to be the log's.
    sheet: str | None = None
    sheet_sha256: str | None = None
    # The figures, with and without those who are excluded; None when nothing was opened.
    counts: Counts | None = None
    # Registered viewers whose bits are not counted any more.
    excluded: int = 0
    levels: Levels | None = None
    # Codes, keys of the three tables above.
    unchecked: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> str | None:
        """What is wrong, in English; None when everything that was checked holds."""
        return None if self.fault is None else str(self.fault)

    @property
    def not_checked(self) -> list[str]:
        """What was not checked, in English."""
        return [(NOT_CHECKED | OF_WITNESSES | OF_PLATFORMS)[code] for code in self.unchecked]

    @property
    def exit_code(self) -> int:
        """0 holds, 1 does not hold, 2 cannot be read."""
        if self.fault is None:
            return 0
        return 2 if self.unreadable else 1

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain values, for machines."""
        course = self.course
        entry = course.event if course else None
        told = course.platform_claim() if course else None
        plain = self._of_the_pack()
        if course is None or entry is None:
            return plain
        return plain | {
            "event": entry.event.id,
            "kind": entry.event.kind,
            "title": {"ar": entry.event.title.ar, "en": entry.event.title.en},
            "timezone": entry.event.timezone,
            "window": entry.event.window,
            "software": entry.software,
            "first_tick": course.first,
            "last_tick": course.last,
            "close": course.close,
            "peak": course.peak.count,
            "peak_tick": course.peak.first,
            "peak_last_tick": course.peak.last,
            "live_peak": course.live_peak.count,
            "live_peak_tick": course.live_peak.first,
            "uniques": course.viewers - self.excluded,
            "excluded": self.excluded,
            "claimed_count": entry.event.claimed_count,
            "platform": None if told is None else asdict(told),
            "platforms_unread": course.unread,
            "heartbeats": self.heartbeats,
            "late": self.late,
            "epochs": course.epoch,
            "exclusions": [
                {"viewers": len(one.pseudonyms), "reason": one.reason} for one in course.exclusions
            ],
            "notes": [one.text for one in course.notes],
            "rule_profile": asdict(entry.event.rule_profile),
            "gross": None if self.counts is None else asdict(self.counts.gross.figures),
            "net": None if self.counts is None else asdict(self.counts.net.figures),
            "claim": None if course.claim is None else claim_as_dict(course.claim),
            "superseded": [claim_as_dict(one) for _, one in course.claims[:-1]],
            "gaps": [
                {"kind": gap.kind, "reason": gap.reason, "first": gap.first, "last": gap.last}
                for gap in course.gaps
            ],
        }

    def _of_the_pack(self) -> dict[str, Any]:
        """Return what can be said whatever is in the log."""
        return {
            "holds": self.fault is None,
            "wrong": self.wrong,
            "wrong_code": None if self.fault is None else self.fault.code,
            "stage": self.stage,
            "origin": self.origin,
            "key": self.key,
            "key_from_outside": self.key_from_outside,
            "sheet": self.sheet,
            "sheet_sha256": self.sheet_sha256,
            "sheet_from_outside": self.sheet_from_outside,
            "checkpoints_from_outside": self.checkpoints_from_outside,
            "size": self.size,
            "root": self.root,
            **(Levels([]) if self.fault or self.levels is None else self.levels).as_dict(),
            "not_checked": self.not_checked,
            "not_checked_codes": self.unchecked,
        }


def claim_as_dict(claim: ClaimEntry) -> dict[str, Any]:
    """Return a claim as plain values, without what stands in the findings anyway, and its words."""
    said: dict[str, Any] = values.plain(claim)
    return {key: value for key, value in said.items() if key not in {"definition", "words"}}


def unchecked(findings: Findings) -> list[str]:
    """Return the codes of what no pack can show, and of what was not asked for."""
    levels = [] if findings.levels is None else findings.levels.levels
    given = {
        "key": findings.key_from_outside,
        "history": findings.checkpoints_from_outside > 0 or "L2" in levels,
        "witnessed": "L2" in levels,
        "others": "L2" not in levels,
        "timed": "L3" in levels,
    }
    course = findings.course
    event = None if course is None or course.event is None else course.event.event
    if course is not None and event is not None and event.on_platforms:
        given["platform_claimed"] = event.claimed_count != "platform"
        given["platform_unread"] = not course.unread
    else:
        given |= dict.fromkeys(OF_PLATFORMS, True)
    return [code for code in OF_PLATFORMS | NOT_CHECKED | OF_WITNESSES if not given.get(code)]
