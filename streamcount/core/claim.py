"""The claim: what an event comes to, in one entry. docs/evidence-format.md, section 11, has the rules.

    figures     what counting comes to, of all viewers (gross) and without the excluded (net)
    value       the number claimed, and the instant at which it was reached
    profile     whether the event was what its rules ask for

Everything here follows from the entries before and their bodies (`core/claiming.py`), but for what is told:
the reason, the words, the software, and the offset of the local clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from streamcount.core import values
from streamcount.core.instants import Instant
from streamcount.core.platform import PlatformClaim
from streamcount.core.values import READERS, objects, optional

# Bounds of the format, not of a machine: docs/evidence-format.md states them.
CLAIMS_MAX: Final = 16
CLAIM_REASON_CHARACTERS_MAX: Final = 500
WORDS_CHARACTERS_MAX: Final = 700
VERSION_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """What counting comes to. A peak of 0 has no ticks.

    `qualified`: those at the peak who were there for as long as the profile asks. `watch_s`: seconds
    watched by all viewers together; `average_milli`: a thousand times the average audience.
    """

    peak: int
    peak_first: int | None
    peak_last: int | None
    qualified: int
    live_peak: int
    live_peak_first: int | None
    uniques: int
    watch_s: int
    average_milli: int


@dataclass(frozen=True, slots=True)
class Wording:
    """What the number means, in plain words, in both languages."""

    ar: str
    en: str


@dataclass(frozen=True, slots=True)
class Software:
    """The program that made the claim, and a hash of its files."""

    version: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many registered viewers were excluded for a reason."""

    reason: str
    viewers: int


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """Whether the event was what its rule profile asks for. `pass_` stands for the key `pass`."""

    duration_s: int
    duration_ok: bool
    streams: int
    streams_ok: bool
    pass_: bool


@dataclass(frozen=True, slots=True)
class ClaimEntry:
    """What the log comes to. All of it is worked out anew by a verifier, but for what is told.

    Told: `reason` (why there is another one), `words`, `software`. `supersedes` is the number of the claim
    entry before; `size` and `root` are of the entries before this one. `loss_ticks`, `clock_ticks` and
    `lag_ticks` count the ticks inside gaps of those kinds.
    """

    type: ClassVar[str] = "claim"
    version: int
    supersedes: int | None
    reason: str
    size: int
    root: bytes
    origin: str
    definition: dict[str, Any]
    words: Wording
    software: Software
    value: int | None
    instant: Instant | None
    gross: Figures
    net: Figures
    streams: tuple[int, ...]
    exclusions: tuple[Excluded, ...]
    first: int
    last: int
    loss_ticks: int
    clock_ticks: int
    lag_ticks: int
    profile: ProfileResult
    platform: PlatformClaim | None

    @property
    def claimed(self) -> Figures:
        """The figures that the event's rules name."""
        return self.gross if self.definition["rule_profile"]["count"] == "gross" else self.net


def broken_rule(entry: ClaimEntry) -> str:
    """Return the rule that the parts of a claim break by themselves, "" when none."""
    rules = {
        f"reason: at most {CLAIM_REASON_CHARACTERS_MAX} characters": (
            len(entry.reason) <= CLAIM_REASON_CHARACTERS_MAX
        ),
        f"words: at most {WORDS_CHARACTERS_MAX} characters": (
            max(len(entry.words.ar), len(entry.words.en)) <= WORDS_CHARACTERS_MAX
        ),
        f"software.version: at most {VERSION_CHARACTERS_MAX} characters": (
            len(entry.software.version) <= VERSION_CHARACTERS_MAX
        ),
    }
    return next((rule for rule, kept_to in rules.items() if not kept_to), "")


CLAIM_READERS: Final[dict[str, values.Reader]] = {
    "Figures": objects(Figures, READERS),
    "Instant | None": optional(objects(Instant, READERS)),
    "Wording": objects(Wording, READERS),
    "Software": objects(Software, READERS),
    "tuple[Excluded, ...]": values.lists(objects(Excluded, READERS)),
    "ProfileResult": objects(ProfileResult, READERS),
    "PlatformClaim | None": optional(objects(PlatformClaim, READERS)),
}
