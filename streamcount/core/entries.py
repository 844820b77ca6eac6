"""The entries of an event's log, and their bytes.

Every entry is one canonical JSON object (`core/canonical.py`) with a `type`, and exactly the keys of
that type; docs/evidence-format.md describes each. Reading is strict, so an `Entry` and its bytes say
the same.

    event   what was agreed; always the first, always alone
    epoch   the store was armed: counting (re)starts at a tick, under a number that never repeats
    tick    one second: what was counted, and the root of its body
    gap     an interval in which measurement was degraded
    platform what a platform answered when it was asked for its own count
    exclude viewers whose bits are left out of the counts from the next tick on
    note    what people wrote down; nothing follows from it
    end     the event closes with a tick; nothing later is counted
    claim   what it all came to (core/claim.py)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from streamcount.core import canonical, values
from streamcount.core.claim import CLAIM_READERS
from streamcount.core.claim import ClaimEntry as ClaimEntry  # noqa: PLC0414 (an entry like others)
from streamcount.core.claim import broken_rule as broken_rule_of_claim
from streamcount.core.event import Event, parse_event
from streamcount.core.fields import EventError
from streamcount.core.platform import COUNT_MAX, Counts, PlatformEntry, broken_rule
from streamcount.core.pseudonym import PSEUDONYM_TEXT
from streamcount.core.sharing import BUCKETS_MAX
from streamcount.core.values import EntryError as EntryError  # noqa: PLC0414 (what reading entries raises)
from streamcount.core.values import Signed

# No event is later than this; so that sums with a window stay far below 2^53.
TICK_MAX: Final = 2**40
FORMAT: Final = "streamcount.evidence/v1"
ENTRY_BYTES_MAX: Final = 65_535
# Live counts of single streams stand in the tick entry up to this many streams, and in bodies only
# beyond it, so that an entry stays within a bundle's 65,535 bytes.
STREAMS_IN_TICK_MAX: Final = 64
GAP_KINDS: Final = ("clock", "loss", "lag")
# So many pseudonyms, and a reason of so many characters, stay within an entry's 65,535 bytes.
EXCLUDED_PER_ENTRY_MAX: Final = 1_000
EXCLUDE_REASON_CHARACTERS_MAX: Final = 80
NOTE_CHARACTERS_MAX: Final = 1_000


# Pseudonyms in hexadecimal, as exclude entries name viewers.
Pseudonyms = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventEntry:
    """The agreed definition, the log's origin and key, and the program that wrote it.

    `pseudonym_key_sha256`: by which a copy of the key that makes pseudonyms can be told from another.
    `sheet_sha256`: of the sheet that was there to be signed.
    """

    type: ClassVar[str] = "event"
    event: Event
    format: str
    key: str
    origin: str
    software: str
    pseudonym_key_sha256: bytes
    sheet_sha256: bytes


@dataclass(frozen=True, slots=True)
class EpochEntry:
    """The store was armed by the notary; `first` is the first tick counted under this epoch.

    For each of the event's buckets, in order: `offsets_us`, event time minus its server's clock, and
    `run_ids`, that server's name for its own life.
    """

    type: ClassVar[str] = "epoch"
    epoch: int
    first: int
    offsets_us: tuple[Signed, ...]
    reason: str
    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TickEntry:
    """One second.

    Recomputed from the bodies by every verifier: `viewers` registered so far, `new` among them,
    `moves` between streams, `present` and `breaks` in this tick, `live` now, `streams` (live in
    each), `proven` (of the tick one window earlier, which is final now), `body_bytes`, `body_root`.
    Told by the ingest workers and not recomputable: `heartbeats`, and those among them that came
    `muted` or `hidden`; `late` ones, which are not counted.
    """

    type: ClassVar[str] = "tick"
    tick: int
    epoch: int
    viewers: int
    new: int
    moves: int
    present: int
    breaks: int
    live: int
    proven: int
    streams: tuple[int, ...]
    heartbeats: int
    muted: int
    hidden: int
    late: int
    body_bytes: int
    body_root: bytes


@dataclass(frozen=True, slots=True)
class GapEntry:
    """Measurement was degraded from tick `first` to tick `last`.

    `clock`: its ticks cannot be the peak. `loss`: its numbers are lower bounds. `lag`: only what was
    shown meanwhile was affected.
    """

    type: ClassVar[str] = "gap"
    kind: str
    reason: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ExcludeEntry:
    """From the next tick on, what these viewers send is in bodies but in no count."""

    type: ClassVar[str] = "exclude"
    pseudonyms: Pseudonyms
    reason: str


@dataclass(frozen=True, slots=True)
class NoteEntry:
    """What whoever may administer the event wrote down: an incident, a remark, a name."""

    type: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, slots=True)
class EndEntry:
    """The event closes: `close` is the last tick in which a heartbeat counts."""

    type: ClassVar[str] = "end"
    close: int


Entry = (
    EventEntry
    | EpochEntry
    | TickEntry
    | GapEntry
    | PlatformEntry
    | ExcludeEntry
    | NoteEntry
    | EndEntry
    | ClaimEntry
)
_TYPES: Final[dict[str, type[Entry]]] = {
    kind.type: kind
    for kind in (
        EventEntry,
        EpochEntry,
        TickEntry,
        GapEntry,
        PlatformEntry,
        ExcludeEntry,
        NoteEntry,
        EndEntry,
        ClaimEntry,
    )
}


def encode(entry: Entry) -> bytes:
    """Return the bytes of an entry.

    Raises:
        EntryError: they are more than 65,535.
    """
    plain: dict[str, Any] = {"type": entry.type}
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        plain[field.name] = value.as_dict() if isinstance(value, Event) else values.plain(value)
    data = canonical.dump(plain)
    if len(data) > ENTRY_BYTES_MAX:
        msg = f"{entry.type} entry: {len(data)} bytes, {ENTRY_BYTES_MAX} is the most"
        raise EntryError(msg)
    return data


def decode(data: bytes) -> Entry:
    """Return the entry these bytes are.

    Raises:
        EntryError: they are none.
    """
    if len(data) > ENTRY_BYTES_MAX:
        msg = f"an entry of {len(data)} bytes, {ENTRY_BYTES_MAX} is the most"
        raise EntryError(msg)
    try:
        plain = canonical.load(data)
    except canonical.NotCanonicalError as error:
        msg = f"not canonical JSON: {error}"
        raise EntryError(msg) from error
    name = plain.pop("type", None)
    kind = _TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        msg = f"an entry of unknown type {name!r:.40}"
        raise EntryError(msg)
    fields = {field.name: field.type for field in dataclasses.fields(kind)}
    if plain.keys() != fields.keys():
        odd = min(plain.keys() ^ fields.keys())
        msg = f"{name} entry: key {odd:.40} is missing or has no place there"
        raise EntryError(msg)
    read: dict[str, Any] = {
        key: _READERS[str(fields[key])](value, f"{name} entry: {key}")
        for key, value in plain.items()
    }
    entry = kind(**read)
    _check(entry)
    return entry


def _check(entry: Entry) -> None:
    """Check what single keys do not tell."""
    if isinstance(entry, EventEntry) and entry.format != FORMAT:
        msg = f"event entry: format {entry.format!r:.60} where this program reads {FORMAT}"
        raise EntryError(msg)
    limit = entry.first if isinstance(entry, EpochEntry) else 0
    limit = entry.close if isinstance(entry, EndEntry) else limit
    if limit > TICK_MAX:
        msg = f"{entry.type} entry: tick {limit}, {TICK_MAX} is the last there can be"
        raise EntryError(msg)
    if isinstance(entry, EpochEntry):
        buckets = len(entry.offsets_us)
        if not 1 <= buckets <= BUCKETS_MAX or len(entry.run_ids) != buckets:
            msg = f"epoch entry: must have 1 to {BUCKETS_MAX} offsets_us, and as many run_ids"
            raise EntryError(msg)
    if isinstance(entry, GapEntry) and (entry.kind not in GAP_KINDS or entry.last < entry.first):
        msg = f"gap entry: must have a kind of {', '.join(GAP_KINDS)} and last not before first"
        raise EntryError(msg)
    if isinstance(entry, PlatformEntry) and (rule := broken_rule(entry)):
        raise EntryError(f"platform entry: {rule}")
    if isinstance(entry, ClaimEntry) and (rule := broken_rule_of_claim(entry)):
        raise EntryError(f"claim entry: {rule}")
    if isinstance(entry, ExcludeEntry) and len(entry.reason) > EXCLUDE_REASON_CHARACTERS_MAX:
        msg = f"exclude entry: reason: at most {EXCLUDE_REASON_CHARACTERS_MAX} characters"
        raise EntryError(msg)
    if isinstance(entry, NoteEntry) and not 1 <= len(entry.text) <= NOTE_CHARACTERS_MAX:
        msg = f"note entry: text: must be 1 to {NOTE_CHARACTERS_MAX} characters"
        raise EntryError(msg)


def _pseudonyms(value: Any, place: str) -> Pseudonyms:
    if not isinstance(value, list) or not 1 <= len(value) <= EXCLUDED_PER_ENTRY_MAX:
        msg = f"{place}: must be a list of 1 to {EXCLUDED_PER_ENTRY_MAX} pseudonyms"
        raise EntryError(msg)
    if not all(isinstance(item, str) and PSEUDONYM_TEXT.fullmatch(item) for item in value):
        msg = f"{place}: each must be 32 lower-case hexadecimal digits"
        raise EntryError(msg)
    return tuple(value)


def _counts(value: Any, place: str) -> Counts:
    counts = values.lists(values.optional(values.natural))(value, place)
    if any(count is not None and count > COUNT_MAX for count in counts):
        raise EntryError(f"{place}: each must be at most {COUNT_MAX}, or null")
    return counts


def _event(value: Any, place: str) -> Event:
    try:
        event = parse_event(value)
    except EventError as error:
        raise EntryError(f"{place}: {error}") from error
    if event.as_dict() != value:
        msg = f"{place}: leaves fields to their defaults; an entry states all of them"
        raise EntryError(msg)
    return event


_READERS: Final[dict[str, values.Reader]] = (
    values.READERS
    | CLAIM_READERS
    | {
        "Pseudonyms": _pseudonyms,
        "Counts": _counts,
        "Event": _event,
    }
)
