"""What a report says, as facts: taken from a verified log, without words, without any layout.

The claim, the definition and the entries are plain values as docs/evidence-format.md has them; they were
verified, so their shapes are not looked at again. Words and layout are put around them in the other
files here. Nothing here reads a file.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from streamcount.core import canonical
from streamcount.evidence.findings import Findings
from streamcount.report.curve import Counts

# The steps of trust, and whose word each rests on; the catalogue says them.
LEVELS: Final = ("L1", "L2", "L3")
# Entries that people are told of by the time at which they stand in the log.
_TOLD: Final = frozenset({"epoch", "gap", "note", "exclude", "end", "claim"})


class NoReportError(Exception):
    """There is nothing to write a report of."""


@dataclass(frozen=True, slots=True)
class Level:
    """One step of trust: L1, L2 or L3; the codes of what it rests on; who saw or timed the log."""

    name: str
    reached: bool
    rests: tuple[str, ...]
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """An entry people are told of: its number, the latest tick in front of it, and itself."""

    number: int
    tick: int | None
    entry: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Superseded:
    """A claim that another one took the place of, and why it did."""

    number: int
    value: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By which this log is told from all others."""

    origin: str
    key: str
    key_from_outside: bool
    size: int
    root: str


@dataclass(frozen=True, slots=True)
class Content:
    """All that a report is made of. `claim` is None for an event that is not final yet."""

    stage: str
    definition: dict[str, Any]
    software: str
    claim: dict[str, Any] | None
    claim_bytes: bytes
    superseded: tuple[Superseded, ...]
    fingerprint: Fingerprint
    levels: tuple[Level, ...]
    unchecked: tuple[str, ...]
    course: tuple[Told, ...]
    curve: Counts | None
    sheet_sha256: str
    # Tokens that are attached: the size of the checkpoint, and the authority's name.
    tokens: tuple[tuple[int, str], ...] = ()
    # A character that had to be replaced, as it stands now; empty when there is none.
    unshown: str = ""

    @property
    def rehearsal(self) -> bool:
        """Whether every page has to say that this is a rehearsal."""
        return bool(self.definition["kind"] != "attempt")

    @property
    def figures(self) -> dict[str, Any]:
        """The figures that the number claimed is taken from."""
        if self.claim is None:
            raise NoReportError("there is no claim")
        figures: dict[str, Any] = self.claim[self.definition["rule_profile"]["count"]]
        return figures

    @property
    def dated(self) -> int:
        """The second a document is dated with, so that it is the same whenever it is made."""
        if self.claim is not None:
            return int(self.claim["last"]) + 1
        return 0 if self.curve is None else self.curve.first + len(self.curve.live)

    def of(self, *kinds: str) -> list[Told]:
        """Return the entries of some kinds, in order."""
        return [one for one in self.course if one.entry["type"] in kinds]


def content(findings: Findings, entries: Iterable[bytes]) -> Content:
    """Return what a report of this verified log says.

    `entries` are those of the pack that `findings` is about.

    Raises:
        NoReportError: the verification did not hold, or nothing was ever in the log.
    """
    if findings.fault is not None or findings.key is None or findings.root is None:
        raise NoReportError("the pack does not hold")
    told, ticks, claims = [], [], []
    head: dict[str, Any] | None = None
    tick = None
    for number, data in enumerate(entries):
        entry = canonical.load(data)
        kind = entry["type"]
        head = entry if head is None else head
        if kind == "tick":
            tick = entry["tick"]
            ticks.append((tick, entry["live"], entry["proven"]))
        elif kind in _TOLD:
            told.append(Told(number, tick, entry))
        if kind == "claim":
            claims.append((number, entry, data))
    if head is None:
        raise NoReportError("the log has no entries")
    definition = head["event"]
    return Content(
        stage=findings.stage or "interim",
        definition=definition,
        software=head["software"],
        claim=claims[-1][1] if claims else None,
        claim_bytes=claims[-1][2] if claims else b"",
        superseded=_superseded([(number, entry) for number, entry, _ in claims]),
        fingerprint=Fingerprint(
            findings.origin or "",
            findings.key,
            findings.key_from_outside,
            findings.size,
            base64.b64encode(bytes.fromhex(findings.root)).decode(),
        ),
        levels=_levels(findings),
        unchecked=tuple(findings.unchecked),
        course=tuple(told),
        curve=_curve(ticks, definition["window"]),
        sheet_sha256=head.get("sheet_sha256", ""),
    )


def _superseded(claims: list[tuple[int, dict[str, Any]]]) -> tuple[Superseded, ...]:
    """Return the claims before the latest, each with the reason that the one after it gives."""
    return tuple(
        Superseded(number, entry["value"], after["reason"])
        for (number, entry), (_, after) in pairwise(claims)
    )


def _levels(findings: Findings) -> tuple[Level, ...]:
    """Return the levels; a pack that holds has L1."""
    plain = findings.as_dict()
    key = "key_given" if findings.key_from_outside else "key_own"
    rests = {"L1": [key]} | plain.get("rests_on", {})
    who = {"L2": plain.get("witnesses", []), "L3": plain.get("authorities", [])}
    return tuple(
        Level(name, name in rests, tuple(rests.get(name, ())), tuple(who.get(name, ())))
        for name in LEVELS
    )


def _curve(ticks: list[tuple[int, int, int]], window: int) -> Counts | None:
    """Return the counts by tick: a tick's entry has the proven count of the tick one window before."""
    if not ticks:
        return None
    return Counts(ticks[0][0], [live for _, live, _ in ticks], [p for _, _, p in ticks[window:]])
