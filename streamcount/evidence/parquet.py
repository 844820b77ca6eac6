"""An event's log as Parquet files, for those who would rather count with a database.

What is in which file, and a statement that counts again from them, is in docs/parquet.md. The files are
no evidence: nothing in them is signed. Whoever doubts them makes them anew from the pack.
"""

from __future__ import annotations

import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from streamcount.config import ParquetLimits
from streamcount.core import body as bodies
from streamcount.core import canonical
from streamcount.core.audit import AuditError, BeyondBoundsError, open_body
from streamcount.core.body import BLOCK_BYTES
from streamcount.core.entries import (
    ClaimEntry,
    EndEntry,
    Entry,
    EntryError,
    EpochEntry,
    EventEntry,
    ExcludeEntry,
    GapEntry,
    TickEntry,
    decode,
)
from streamcount.core.presence import positions
from streamcount.core.pseudonym import PSEUDONYM_BYTES
from streamcount.core.segment import SegmentError
from streamcount.evidence.bundle import bundles
from streamcount.evidence.columns import Columns, Tables
from streamcount.evidence.pack import PackReader, body_path, decode_bodies
from streamcount.tlog import tiles
from streamcount.tlog.merkle import block_root

_TOLD: Final = (
    "tick", "epoch", "viewers", "new", "moves", "present", "breaks", "live", "heartbeats", "muted",
    "hidden", "late",
)  # fmt: skip


class ParquetError(Exception):
    """The files cannot be made; the message says why."""


def pack_frames(pack: PackReader, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield entry and stored body of each of the `size` entries of a pack that was verified."""
    for path, start, end in bundles(size):
        stored = decode_bodies(pack.read(body_path(path)), end - start)
        yield from zip(tiles.decode_bundle(pack.read(path), end - start), stored, strict=True)


def write(
    frames: Iterable[tuple[bytes, bytes]],
    folder: Path,
    body_bytes_max: int,
    limits: ParquetLimits,
    progress: Callable[[int], None],
) -> None:
    """Write the files of a log, given as entries with their stored bodies, into a new folder.

    The folder appears whole or not at all. `body_bytes_max`: of one tick's body, inflated. `progress` is
    told how many entries are done.

    Raises:
        ParquetError: the folder is there already, or the log is not one that can be read.
        OSError: it cannot be written.
    """
    if folder.exists():
        raise ParquetError(f"{folder} is there already")
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.new")
    new.mkdir(parents=True)
    try:
        tables, whole = Tables(new, limits), False
        try:
            log = _Log(tables, body_bytes_max)
            for number, (data, stored) in enumerate(frames):
                log.take(number, data, stored)
                progress(number + 1)
            log.finish()
            whole = True
        finally:
            tables.close(whole=whole)
        new.rename(folder)
    except (AuditError, BeyondBoundsError, EntryError, bodies.BodyError, SegmentError) as error:
        raise ParquetError(f"the log cannot be read: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


class _Log:
    """Takes a log entry by entry, and puts what is in it into the tables."""

    def __init__(self, tables: Tables, body_bytes_max: int) -> None:
        self._tables = tables
        self._body_bytes_max = body_bytes_max
        self._event: EventEntry | None = None
        self._definition = ""
        self._first: int | None = None
        self._next: int | None = None
        self._close: int | None = None
        # Of each viewer: the stream they are on, by doubling; and the pseudonym.
        self._streams = np.zeros(1024, np.uint16)
        self._pseudonyms = bytearray()
        # The latest ticks, one window of them: their proven counts stand in later entries.
        self._open: deque[TickEntry] = deque()
        # Entry, first tick without them (None: the event's first), pseudonym, reason.
        self._excluded: list[tuple[int, int | None, bytes, str]] = []

    def take(self, number: int, data: bytes, stored: bytes) -> None:
        """Take the next entry."""
        entry = decode(data)
        match entry:
            case EventEntry():
                self._event = entry
                definition = canonical.load(data)["event"]
                self._definition = canonical.dump(definition).decode("ascii")
            case EpochEntry():
                self._first = entry.first if self._first is None else self._first
                self._next = entry.first
            case TickEntry():
                self._tick(entry, stored)
            case EndEntry():
                self._close = entry.close
            case _:
                self._other(number, entry, data)

    def _other(self, number: int, entry: Entry, data: bytes) -> None:
        match entry:
            case GapEntry():
                told = {"entry": number, "kind": entry.kind, "reason": entry.reason}
                self._row("gaps", told | {"first_tick": entry.first, "last_tick": entry.last})
            case ExcludeEntry():
                for name in entry.pseudonyms:
                    row = (number, self._next, bytes.fromhex(name), entry.reason)
                    self._excluded.append(row)
            case ClaimEntry():
                self._row("claim", {"entry": number, "claim": data.decode("ascii")})

    def finish(self) -> None:
        """Write what only the whole log tells."""
        for tick in self._open:
            self._row("ticks", {name: getattr(tick, name) for name in _TOLD} | {"proven": None})
        viewer_of = self._viewers({name for _, _, name, _ in self._excluded})
        for number, since, name, reason in self._excluded:
            first = self._first if since is None else since
            told = {"entry": number, "from_tick": first, "reason": reason}
            self._row("exclusions", told | {"pseudonym": name.hex(), "viewer": viewer_of.get(name)})
        if (entry := self._event) is not None:
            event = entry.event
            row = {
                "event": event.id,
                "kind": event.kind,
                "title_en": event.title.en,
                "title_ar": event.title.ar,
                "origin": entry.origin,
                "key": entry.key,
                "window_ticks": event.window,
                "interval_s": event.interval,
                "first_tick": self._first,
                "close_tick": self._close,
                "definition": self._definition,
            }
            self._row("event", row)

    def _tick(self, entry: TickEntry, stored: bytes) -> None:
        if self._event is None:
            raise ParquetError(f"tick {entry.tick} of an event that was not opened")
        event = self._event.event
        data = open_body(
            entry, stored, self._body_bytes_max, lambda body: block_root(body, BLOCK_BYTES)
        )
        body = bodies.decode(
            data,
            new=entry.new,
            moves=entry.moves,
            viewers=entry.viewers,
            breaks=entry.breaks,
            streams=len(event.streams),
        )
        self._register(entry, body)
        self._streams[body.moves["index"].astype(np.int64)] = body.moves["stream"]
        tables = self._tables
        if len(present := positions(body.presence)):
            tick = np.full(len(present), entry.tick)
            stream = self._streams[present]
            tables.add("presence", {"tick": tick, "viewer": present, "stream": stream})
        if len(broke := positions(body.breaks)):
            tables.add("breaks", {"tick": np.full(len(broke), entry.tick), "viewer": broke})
        self._open.append(entry)
        if len(self._open) > event.window:
            settled = self._open.popleft()
            told = {name: getattr(settled, name) for name in _TOLD}
            self._row("ticks", told | {"proven": entry.proven})
        self._next = entry.tick + 1

    def _register(self, entry: TickEntry, body: bodies.Body) -> None:
        start = entry.viewers - entry.new
        if start * PSEUDONYM_BYTES != len(self._pseudonyms):
            raise ParquetError(f"tick {entry.tick}: viewers are missing")
        if not entry.new:
            return
        packed = body.registrations["pseudonym"].tobytes()
        self._pseudonyms += packed
        if entry.viewers > len(self._streams):
            more = np.zeros(2 * entry.viewers - len(self._streams), np.uint16)
            self._streams = np.concatenate([self._streams, more])
        stream = self._streams[start : entry.viewers] = body.registrations["stream"]
        text = packed.hex()
        width = 2 * PSEUDONYM_BYTES
        columns: Columns = {
            "viewer": np.arange(start, entry.viewers),
            "pseudonym": [text[at : at + width] for at in range(0, len(text), width)],
            "stream": stream.astype(np.uint16),
            "tick": np.full(entry.new, entry.tick),
        }
        self._tables.add("viewers", columns)

    def _viewers(self, names: set[bytes]) -> dict[bytes, int]:
        """Return the numbers of those of these pseudonyms that are registered."""
        width, packed, found = PSEUDONYM_BYTES, bytes(self._pseudonyms), {}
        for number in range(len(packed) // width if names else 0):
            if (name := packed[number * width : (number + 1) * width]) in names:
                found[name] = number
        return found

    def _row(self, name: str, row: dict[str, Any]) -> None:
        self._tables.add(name, {column: [value] for column, value in row.items()})
