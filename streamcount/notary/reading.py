"""Reading an event's archive: its frames, and the log they are as C2SP tlog-tiles lays it out.

An archive is a folder:

    segment       frames (core/segment.py), one entry each with its body, only ever appended to
    checkpoint    the latest signed checkpoint; what lies behind it in the segment does not exist yet
    signing.key   the log's private key
    pseudonym.key the key that turns viewer ids into pseudonyms
    sheet.txt, trust/   what was agreed, for people, and authorities' roots (papers.py)
    members       who counted last: a hint, no evidence (members.py)
    copied        only in a backup of an event that was going on: no notary goes on from it
    lock          held by the one notary that may write

Tiles and bundles are made from the segment when they are asked for: one primary, no second copy that
could disagree.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from streamcount.core import papers, segment
from streamcount.core.entries import EntryError, EventEntry, TickEntry, decode
from streamcount.core.sheet import NAME
from streamcount.notary import incoming, keeping
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note, tiles
from streamcount.tlog.merkle import leaf_hash
from streamcount.tlog.proofs import Tree

SEGMENT: Final = "segment"
CHECKPOINT: Final = "checkpoint"
SIGNING_KEY: Final = "signing.key"
PSEUDONYM_KEY: Final = "pseudonym.key"
LOCK: Final = "lock"
COPIED: Final = "copied"


class ArchiveError(Exception):
    """An archive cannot be used; the message names file, offset where there is one, and what to do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry with its stored body, and where its frame begins and ends in the segment."""

    entry: bytes
    stored: bytes
    start: int
    end: int


def frames(file: BinaryIO, count: int) -> Iterator[Frame]:
    """Yield the next `count` frames of an open segment.

    Raises:
        ArchiveError: one of them is damaged or missing.
    """
    for number in range(count):
        start = file.tell()
        head = file.read(segment.HEAD_BYTES)
        try:
            entry_bytes, stored_bytes = segment.read_head(head)
            segment.check_lengths(file, entry_bytes, stored_bytes)
            rest = file.read(entry_bytes + stored_bytes)
            if len(rest) < entry_bytes + stored_bytes:
                raise segment.SegmentError("a frame that is cut off")
            segment.check(head, rest)
        except segment.SegmentError as error:
            msg = (
                f"{_name(file)}: damaged at offset {start}, entry {number} of {count} read there: "
                f"{error}. A signed checkpoint covers it, so it must not be mended by hand: restore "
                f"the file from a copy"
            )
            raise ArchiveError(msg) from error
        yield Frame(rest[:entry_bytes], rest[entry_bytes:], start, file.tell())


def _name(file: BinaryIO) -> str:
    return str(file.name)


def read_signer(folder: Path) -> note.Signer:
    """Return the private key of an archive's log.

    Raises:
        ArchiveError: it is missing or malformed.
    """
    path = folder / SIGNING_KEY
    try:
        return note.parse_private(path.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError, note.NoteError) as error:
        msg = f"{path}: cannot be used as a signing key: {error}"
        raise ArchiveError(msg) from error


class ArchiveReader:
    """An archive that may be growing, read without its lock. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = read_signer(folder)
        self.signed = b""
        self.checkpoint = cp.Checkpoint(self.signer.name, 0, b"")
        self._mutex = threading.Lock()
        self._spans: list[tuple[int, int]] = []
        self._tree = Tree()
        self._end = 0

    def refresh(self) -> cp.Checkpoint:
        """Read what has been added since the last call, up to the checkpoint, and return that.

        Raises:
            ArchiveError: the segment does not hold what the checkpoint says.
        """
        with self._mutex:
            signed = (self.folder / CHECKPOINT).read_bytes()
            if signed == self.signed:
                return self.checkpoint
            # It may have been put in place a moment ago: what is shown must survive the loss of power.
            _sync(self.folder)
            try:
                point = cp.open_checkpoint(signed, self.signer.verifier)
            except note.NoteError as error:
                msg = f"{self.folder / CHECKPOINT}: {error}"
                raise ArchiveError(msg) from error
            with (self.folder / SEGMENT).open("rb") as file:
                file.seek(self._end)
                for frame in frames(file, point.size - self._tree.size):
                    self._tree.extend([leaf_hash(frame.entry)])
                    self._spans.append((frame.start, frame.end))
                    self._end = frame.end
            if self._tree.root(point.size) != point.root:
                msg = (
                    f"{self.folder / SEGMENT}: not the entries that its checkpoint was signed over"
                )
                raise ArchiveError(msg)
            self.signed, self.checkpoint = signed, point
            return point

    def frames(self, start: int, end: int) -> Iterator[Frame]:
        """Yield the frames of entries `start` to `end - 1`, which `refresh` has seen."""
        if start >= end:
            return
        with (self.folder / SEGMENT).open("rb") as file:
            file.seek(self._spans[start][0])
            yield from frames(file, end - start)

    def papers(self) -> dict[str, bytes]:
        """Return the sheet and the authorities' roots, by their names, in a pack's order.

        Raises:
            ArchiveError: one of them is missing, or not the one of the first entry. What the log says could
                be shown without it, and what was signed could not.
        """
        entry = self.event()
        return {name: self._paper(name, entry) for name in papers.names(entry.event)}

    def event(self) -> EventEntry:
        """Return the first entry.

        Raises:
            ArchiveError: it is none of an event.
        """
        self.refresh()
        for frame in self.frames(0, 1):
            try:
                entry = decode(frame.entry)
            except EntryError as error:
                raise ArchiveError(f"{self.folder / SEGMENT}: entry 0: {error}") from error
            if isinstance(entry, EventEntry):
                return entry
        raise ArchiveError(f"{self.folder / SEGMENT}: does not begin with an event")

    def _paper(self, name: str, entry: EventEntry) -> bytes:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                data = file.read(papers.PAPER_BYTES_MAX + 1)
        except OSError as error:
            raise ArchiveError(
                f"{path}: {error.strerror}; it belongs to what was agreed. Restore it from a copy"
            ) from error
        if not papers.is_right(name, data, entry):
            raise ArchiveError(
                f"{path}: not the file that the first entry of the log was written with. Restore it "
                f"from a copy"
            )
        return data

    def raw(self, start: int, end: int, bytes_max: int) -> bytes:
        """Return frames `start` to `end - 1` as they are: as many as fit, but one at least if there is."""
        size = self.refresh().size
        end = min(end, size)
        if not 0 <= start < end:
            return b""
        first = self._spans[start][0]
        last = start + 1
        while last < end and self._spans[last][1] - first <= bytes_max:
            last += 1
        with (self.folder / SEGMENT).open("rb") as file:
            file.seek(first)
            return file.read(self._spans[last - 1][1] - first)

    def leaves(self, size: int) -> list[bytes]:
        """Return the leaf hashes of the first `size` entries."""
        return list(self._tree.leaves[:size])

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` entries, which `refresh` has seen."""
        return self._tree.root(size)

    def proof(self, old: int, new: int) -> list[bytes]:
        """Return the consistency proof between two sizes that `refresh` has seen."""
        return self._tree.proof(old, new)

    def tick_at(self, size: int) -> int | None:
        """Return the latest tick in the first `size` entries; None when there is none."""
        for number in range(size - 1, -1, -1):
            for frame in self.frames(number, number + 1):
                if isinstance(entry := decode(frame.entry), TickEntry):
                    return entry.tick
        return None

    def kept(self) -> dict[str, bytes]:
        """Return the kept checkpoints and tokens, by their paths in the archive."""
        return keeping.read(self.folder)

    def file(self, path: str) -> bytes | None:
        """Return a file of the log by its tlog-tiles path or a paper by its name; None if there is none."""
        size = self.refresh().size
        if path == CHECKPOINT:
            return self.signed
        if path == NAME or path.startswith(f"{papers.TRUST}/"):
            entry = self.event()
            return self._paper(path, entry) if path in papers.names(entry.event) else None
        if path == incoming.PATH:
            return incoming.wanted(self.folder)
        try:
            level, number, width = tiles.parse_path(path)
        except tiles.TileError:
            return None
        if level == "entries":
            start, end = number * tiles.WIDTH, number * tiles.WIDTH + width
            if end > size:
                return None
            return tiles.encode_bundle(frame.entry for frame in self.frames(start, end))
        return self._tile(int(level), number, width, size)

    def _tile(self, level: int, number: int, width: int, size: int) -> bytes | None:
        span = tiles.WIDTH**level  # leaves under one hash of this tile
        start = number * tiles.WIDTH * span
        end = start + width * span
        if end > size:
            return None
        hashes = list(self._tree.leaves[start:end])
        for _ in range(level):
            hashes = tiles.next_level(hashes)
        return b"".join(hashes)


def _sync(folder: Path) -> None:
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
