"""A followed log on this disk, which no crash leaves half written.

    segment              entries, with their bodies if these are copied: frames, as in an archive
    checkpoint           the latest checkpoint that was kept; what is behind it in the segment is not yet
    checkpoints/<size>   every checkpoint that was kept
    log.vkey             the key that all of them are signed by
    sheet.txt, trust/    what was agreed, and authorities' roots, as the first entry names them
    fork-<size>-<hash>/  what proves that the log broke its word: alarm.py
    lock                 held by the one follower that writes here

A checkpoint is kept after what it covers is durable, and covers only what was read and hashed here, so
each extends all those before it. Whatever ends the follower, the next one finds the latest
checkpoint, cuts off what is behind it, and goes on.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from streamcount.core import segment
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash

if sys.platform != "win32":
    import fcntl

SEGMENT: Final = "segment"
CHECKPOINT: Final = "checkpoint"
CHECKPOINTS: Final = "checkpoints"
KEY: Final = "log.vkey"
LOCK: Final = "lock"


class CopyError(Exception):
    """The copy cannot be used; the message names the file, and says what to do."""


class Copy:
    """The copy in a folder, which is made if there is none. Methods may raise OSError."""

    def __init__(self, folder: Path) -> None:
        """Take the folder and its lock; `restore` comes next.

        Raises:
            CopyError: another follower has it.
        """
        self.folder = folder
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self.key = _read(folder / KEY).decode("utf-8", "replace").strip()
        # The latest checkpoint that is kept, and what it covers.
        self.signed = _read(folder / CHECKPOINT)
        self.size = 0
        self._kept = Frontier()
        self._kept_end = 0
        # What was read since, and is covered by none yet.
        self.pending = Frontier()
        self._end = 0
        self._file: BinaryIO = (folder / SEGMENT).open("a+b", buffering=0)

    def close(self) -> None:
        """Let go of the files and the lock."""
        self._file.close()
        os.close(self._lock)

    def restore(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries and stored bodies of what is kept; then cut off what is behind.

        Raises:
            CopyError: what is on the disk is not what was kept.
        """
        if self.signed:
            point = self._own_point()
            for entry, stored in self.frames(0, point.size):
                self._kept.append(leaf_hash(entry))
                self._end += segment.HEAD_BYTES + len(entry) + len(stored)
                yield entry, stored
            if self._kept.root() != point.root:
                raise CopyError(
                    f"{self.folder / SEGMENT}: not the entries that its checkpoint was kept for; follow "
                    f"into another folder, and keep this one"
                )
            self.size = point.size
        self.pending = self._kept.copy()
        self._kept_end = self._end
        self._file.truncate(self._end)
        os.fsync(self._file.fileno())

    def frames(self, start_offset: int, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield entry and stored body of so many frames from an offset of the segment on.

        Raises:
            CopyError: they are not there whole.
        """
        path = self.folder / SEGMENT
        with path.open("rb") as file:
            file.seek(start_offset)
            for _ in range(count):
                at = file.tell()
                try:
                    yield segment.read_frame(file)
                except segment.SegmentError as error:
                    raise CopyError(f"{path}: damaged at offset {at}: {error}") from error

    @property
    def end(self) -> int:
        """Where the segment ends that the latest checkpoint covers, in bytes."""
        return self._kept_end

    def pin(self, vkey: str) -> None:
        """Remember the key that everything here is signed by."""
        if self.key != vkey:
            self._write(self.folder / KEY, f"{vkey}\n".encode())
            self.key = vkey

    def append(self, frames: Iterable[tuple[bytes, bytes]]) -> None:
        """Write entries behind what is there; they count once a checkpoint is kept that covers them."""
        for entry, stored in frames:
            data = memoryview(segment.frame(entry, stored))
            self._end += len(data)
            while data:
                data = data[self._file.write(data) or 0 :]
            self.pending.append(leaf_hash(entry))

    def drop_pending(self) -> None:
        """Forget what no checkpoint covers."""
        self.pending = self._kept.copy()
        self._end = self._kept_end
        self._file.truncate(self._end)

    def keep(self, signed: bytes, point: cp.Checkpoint) -> None:
        """Keep a checkpoint that covers exactly what was appended: durable, in this order."""
        if (self.pending.size, self.pending.root()) != (point.size, point.root):
            raise ValueError("a checkpoint of something else")
        os.fsync(self._file.fileno())
        self._write(self.folder / CHECKPOINTS / f"{point.size}", signed)
        self._write(self.folder / CHECKPOINT, signed)
        self.signed, self.size = signed, point.size
        self._kept, self._kept_end = self.pending.copy(), self._end

    def paper(self, name: str, bytes_max: int) -> bytes:
        """Return what is kept of a file beside the log: its first bytes, one more than it may have."""
        try:
            with (self.folder / name).open("rb") as file:
                return file.read(bytes_max + 1)
        except FileNotFoundError:
            return b""

    def keep_paper(self, name: str, data: bytes) -> None:
        """Keep a file that lies beside the log, durably."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        self._write(path, data)

    def root_at(self, size: int) -> bytes:
        """Return the root over the first `size` entries, which are kept."""
        if size == self.size:
            return self._kept.root() if size else EMPTY_ROOT
        tree = Frontier()
        for entry, _ in self.frames(0, size):
            tree.append(leaf_hash(entry))
        return tree.root()

    def keep_fork(self, shown: bytes, size: int, why: str, history: Path | None = None) -> Path:
        """Keep what proves an alarm: both checkpoints, and the entries that were read; return where.

        `history`: a segment with those of `shown`, from the first; else what was read behind the kept.
        """
        name = f"fork-{size}-{hashlib.sha256(shown).hexdigest()[:12]}"
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        self._write(folder / "kept", self.signed)
        self._write(folder / "shown", shown)
        self._write(folder / "why.txt", f"{why}\n".encode())
        with (
            (history or self.folder / SEGMENT).open("rb") as read,
            (folder / SEGMENT).open("wb") as out,
        ):
            read.seek(0 if history else self._kept_end)
            while chunk := read.read(1 << 20):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        _sync_folder(folder)
        _sync_folder(self.folder)
        return folder

    def _own_point(self) -> cp.Checkpoint:
        try:
            return cp.open_checkpoint(self.signed, note.parse_vkey(self.key))
        except note.NoteError as error:
            msg = f"{self.folder / CHECKPOINT}: not signed by the key in {KEY}: {error}"
            raise CopyError(msg) from error

    def _write(self, path: Path, data: bytes) -> None:
        """Put a file in place, durably: who reads it finds the old one or the new."""
        new = path.with_name(f".{path.name}.new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)

    def _take_lock(self) -> int:
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if sys.platform != "win32":
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(lock)
                msg = f"{self.folder}: another follower writes there; give each its own --dir"
                raise CopyError(msg) from error
        return lock


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where folders can be opened."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
