"""Steps 5 to 7 of verifying: each entry in its place, each tick recounted from its body, the claim.

`core/audit.py` does it; here is what of it goes into the findings.
"""

from __future__ import annotations

from collections.abc import Callable

from streamcount.config import PackLimits
from streamcount.core.audit import Audit, AuditError, BeyondBoundsError, Bounds, Means
from streamcount.core.body import BLOCK_BYTES
from streamcount.core.claim import ClaimEntry
from streamcount.core.course import Course
from streamcount.core.entries import Entry, EventEntry, TickEntry
from streamcount.core.figures import Frames
from streamcount.core.timeline import Timeline
from streamcount.evidence.findings import DoesNotHoldError, Findings
from streamcount.evidence.pack import PackError
from streamcount.tlog import note
from streamcount.tlog.merkle import LogTree


class Counting:
    """Takes the entries with their bodies, and checks that each follows from what came before."""

    def __init__(self, findings: Findings, limits: PackLimits, verifier: note.Verifier) -> None:
        self._findings = findings
        self._excluded_max = limits.excluded_max
        bounds = Bounds(
            limits.viewers_max,
            limits.ticks_max,
            limits.body_bytes_max,
            limits.window_present_max,
        )
        means = Means(LogTree(BLOCK_BYTES), note.parse_witness)
        self._audit = Audit(verifier.name, verifier.vkey(), bounds, means)
        findings.course = self._audit.course

    @property
    def course(self) -> Course:
        """What the entries so far come to."""
        return self._audit.course

    def take(self, number: int, data: bytes, stored: bytes) -> Entry:
        """Take entry `number`, the next one, and its stored body; return it.

        Raises:
            DoesNotHoldError: it does not follow from what came before, or not from its body.
            PackError: it is larger than this program is set to read.
        """
        try:
            entry = self._audit.take(data, stored)
        except AuditError as error:
            raise _wrong_entry(number, error) from error
        except BeyondBoundsError as error:
            raise PackError("beyond_bounds", "{detail}", detail=error) from error
        if len(self.course.excluded) > self._excluded_max:
            said = f"more than {self._excluded_max} viewers excluded"
            raise PackError("beyond_bounds", "{detail}", detail=said)
        findings = self._findings
        if self._audit.recount is not None and isinstance(entry, TickEntry | ClaimEntry):
            findings.excluded = self._audit.recount.excluded
        if isinstance(entry, EventEntry):
            findings.timeline = Timeline(entry.event.window)
        elif isinstance(entry, TickEntry):
            findings.heartbeats += entry.heartbeats
            findings.late += entry.late
            if findings.timeline is not None:
                findings.timeline.take(entry)
        return entry

    def finish(self, replay: Callable[[], Frames]) -> None:
        """Check what only the whole log can show: no viewer twice, the stage, claims with exclusions.

        `replay` begins with the log's first entry whenever it is called.

        Raises:
            DoesNotHoldError: as above.
        """
        course = self._audit.course
        if course.event is None:
            raise DoesNotHoldError("empty", "the log has no entries")
        if self._audit.recount is not None:
            # The log may end with an exclusion.
            self._findings.excluded = self._audit.recount.excluded
        try:
            self._audit.finish(replay)
        except AuditError as error:
            if error.number is not None:
                raise _wrong_entry(error.number, error) from error
            raise DoesNotHoldError("log", "{detail}", detail=error) from error
        self._findings.counts = self._audit.counts
        final = course.claim is not None and not course.excluded_since
        if final != (self._findings.stage == "final"):
            if final:
                raise DoesNotHoldError(
                    "stage_interim", "the manifest says interim, and the log is final"
                )
            raise DoesNotHoldError(
                "stage_final", "the manifest says final, and the log has no claim that counts"
            )


def _wrong_entry(number: int, error: AuditError) -> DoesNotHoldError:
    figure = error.figure
    if figure is None:
        return DoesNotHoldError("entry", "entry {n}: {detail}", n=number, detail=error)
    name, said, found = figure.name, figure.said, figure.found
    if figure.tick is None:
        return DoesNotHoldError(
            "claim",
            "entry {n}: the claim says {name} {said}, the entries come to {found}",
            n=number,
            name=name,
            said=said,
            found=found,
        )
    return DoesNotHoldError(
        "tick",
        "entry {n}: tick {tick}: the entry says {name} {said}, counting the bodies gives {found}",
        n=number,
        tick=figure.tick,
        name=name,
        said=said,
        found=found,
    )
