"""Writing an event's archive, in the one order in which nothing can be claimed that is not durable.

    write   segment        entries and bodies, appended
    fsync   segment
    read    checkpoint     must be the one this notary wrote last: compare, then swap
    write   checkpoint.new
    fsync   checkpoint.new
    rename  checkpoint.new -> checkpoint
    fsync   the folder

Only then is anything published, acknowledged or shown. If the process ends anywhere in between, what is
in the segment behind the checkpoint was never told to anybody, and opening the archive cuts it off. A
full disk changes nothing, and the same entries may be tried again. Any other error in a step ends the
notary: after a failed fsync nobody knows what is on the disk, and asking again would only hide it. The
next notary reads what is really there.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

import numpy as np

from streamcount import __version__
from streamcount.core import body as bodies
from streamcount.core import entries, segment
from streamcount.core.course import Course, CourseError
from streamcount.core.entries import (
    Entry,
    EpochEntry,
    EventEntry,
    ExcludeEntry,
    TickEntry,
)
from streamcount.core.event import Event
from streamcount.core.pseudonym import key_hash
from streamcount.core.recount import Recount
from streamcount.core.sheet import NAME
from streamcount.core.timeline import Timeline
from streamcount.core.values import EntryError
from streamcount.notary import papers, reading
from streamcount.notary.disk import Disk, DiskFullError
from streamcount.notary.reading import ArchiveError, Frame
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash

_DISK: Final = Disk()


@dataclass(slots=True)
class Restored:
    """What the notary needs to go on counting, read back from the archive.

    `recent`: (tick, presence, breaks) of the latest ticks. `recount`: None before the event was
    opened. `offsets_us`: of the latest epoch.
    """

    course: Course = field(default_factory=Course)
    timeline: Timeline = field(default_factory=lambda: Timeline(1))
    recent: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    recount: Recount | None = None
    offsets_us: tuple[int, ...] = (0,)

    @property
    def pseudonyms(self) -> bytes:
        """Of all viewers, 16 bytes each, by index."""
        return b"" if self.recount is None else bytes(self.recount.pseudonyms)


def create(
    folder: Path,
    event: Event,
    origin_prefix: str,
    disk: Disk = _DISK,
    roots: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Make the archive of a new event: keys, the sheet, and a log with the event entry in it.

    The folder appears whole or not at all. The origin has 64 random bits, so it never repeats. `roots`:
    the root certificates of the event's authorities, by their names, as `core/papers.py` spells them.

    Raises:
        ArchiveError: the folder exists already or cannot be written, or a root is missing.
        EntryError: the definition is too long for an entry, or for a sheet.
    """
    signer = note.Signer(
        f"{origin_prefix}/{event.id}/{secrets.token_hex(8)}", secrets.token_bytes(32)
    )
    pseudonym_key = secrets.token_bytes(32)
    key, software = signer.verifier.vkey(), f"streamcount {__version__}"
    beside = papers.of_new(event, signer.name, key, software, roots)
    entry = EventEntry(
        event=event,
        format=entries.FORMAT,
        key=key,
        origin=signer.name,
        software=software,
        pseudonym_key_sha256=key_hash(pseudonym_key),
        sheet_sha256=hashlib.sha256(beside[NAME]).digest(),
    )
    encoded = entries.encode(entry)
    point = cp.Checkpoint(signer.name, 1, leaf_hash(encoded))
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.new")
    try:
        new.mkdir(parents=True, mode=0o700)
        disk.make(new / reading.SIGNING_KEY, signer.private_text().encode() + b"\n")
        disk.make(new / reading.PSEUDONYM_KEY, pseudonym_key.hex().encode() + b"\n")
        papers.put(new, beside, disk)
        disk.make(new / reading.SEGMENT, segment.frame(encoded, b""))
        disk.make(new / reading.CHECKPOINT, signer.sign(point.text()))
        disk.sync_folder(new)
        new.rename(folder)
        disk.sync_folder(folder.parent)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        msg = f"{folder}: cannot make the archive of event {event.id}: {error.strerror}"
        raise ArchiveError(msg) from error


def is_locked(folder: Path, disk: Disk = _DISK) -> bool:
    """Tell whether a notary has this archive open."""
    try:
        disk.unlock(disk.lock(folder / reading.LOCK))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Archive:
    """The archive of one event, open for writing by the one notary that holds its lock."""

    def __init__(
        self, folder: Path, recent_ticks: Callable[[int], int], disk: Disk = _DISK
    ) -> None:
        """Open it: take the lock, cut off what no checkpoint covers, read back what it holds.

        `recent_ticks` tells, for a window, how many of the latest ticks' bitmaps to keep at hand.

        Raises:
            ArchiveError: it is locked by another process, damaged, or cannot be read or written.
        """
        if (folder / reading.COPIED).exists():
            raise ArchiveError(
                f"{folder}: a backup of an event that was going on; the original may have gone on from "
                f"there. `streamcount adopt` takes it, given the latest checkpoint that was published"
            )
        self.folder = folder
        self.signer = reading.read_signer(folder)
        self.restored = Restored()
        self._tree = Frontier()
        self.disk = disk
        # Where the last entry that the checkpoint covers ends in the segment.
        self._end = 0
        self._lock = self._take_lock()
        self._file: BinaryIO | None = None
        try:
            self._signed = disk.read(folder / reading.CHECKPOINT)
            self._file = disk.open(folder / reading.SEGMENT)
            self._restore(self._file, recent_ticks)
        except OSError as error:
            self.close()
            raise ArchiveError(f"{folder}: cannot be opened: {error}") from error
        except ArchiveError:
            self.close()
            raise

    @property
    def size(self) -> int:
        """How many entries the log has."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """The root over them."""
        return self._tree.root() if self._tree.size else EMPTY_ROOT

    def root_with(self, more: Iterable[Entry]) -> bytes:
        """Return the root there would be with more entries."""
        tree = self._tree.copy()
        for entry in more:
            tree.append(leaf_hash(entries.encode(entry)))
        return tree.root()

    def pseudonym_key(self) -> bytes:
        """Return the key that turns viewer ids into pseudonyms.

        Raises:
            ArchiveError: the file holds none.
        """
        path = self.folder / reading.PSEUDONYM_KEY
        try:
            return bytes.fromhex(self.disk.read(path).decode().strip())
        except ValueError as error:
            raise ArchiveError(f"{path}: not a key of 64 hexadecimal digits") from error

    def append(self, items: Sequence[tuple[Entry, bytes]]) -> None:
        """Make entries with their bodies durable, under a new signed checkpoint.

        Raises:
            ArchiveError: another notary has written here.
            DiskFullError: there is no room; nothing was changed.
            OSError: a step failed; what is on the disk is unknown, and the process has to end.
        """
        tree = self._tree.copy()
        parts = []
        for entry, data in items:
            encoded = entries.encode(entry)
            tree.append(leaf_hash(encoded))
            parts.append(segment.frame(encoded, segment.deflate(data) if data else b""))
        file = self.check()
        point = cp.Checkpoint(self.signer.name, tree.size, tree.root())
        signed = self.signer.sign(point.text())
        try:
            self.disk.append(file, b"".join(parts))
            try:
                self._swap_checkpoint(signed)
            except DiskFullError:
                self.disk.cut(file, self._end)
                raise
        except DiskFullError:
            raise
        except BaseException:
            # What is on the disk is unknown, so nothing may follow it, whoever asks. The next notary
            # finds out when it opens the archive; until this one has ended it keeps the lock.
            file.close()
            self._file = None
            raise
        self._tree, self._signed = tree, signed
        self._end = file.tell()

    def check(self) -> BinaryIO:
        """Return the segment, open for writing.

        Raises:
            ArchiveError: it is closed, or an earlier write failed: nothing can be written any more.
        """
        if self._file is None:
            raise ArchiveError(f"{self.folder}: closed, or an earlier write failed")
        return self._file

    def close(self) -> None:
        """Let go of the files and the lock; nothing can be appended any more."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock >= 0:
            self.disk.unlock(self._lock)
            self._lock = -1

    def _swap_checkpoint(self, signed: bytes) -> None:
        path = self.folder / reading.CHECKPOINT
        if self.disk.read(path) != self._signed:
            msg = f"{path}: written by somebody else, though this notary holds the lock; stopping"
            raise ArchiveError(msg)
        self.disk.swap(path, signed)

    def _take_lock(self) -> int:
        try:
            return self.disk.lock(self.folder / reading.LOCK)
        except BlockingIOError as error:
            msg = f"{self.folder}: another notary has it open; two must never write one log"
            raise ArchiveError(msg) from error
        except OSError as error:
            raise ArchiveError(f"{self.folder}: cannot be written: {error.strerror}") from error

    # --- Reading back -----------------------------------------------------------------------------

    def _restore(self, file: BinaryIO, recent_ticks: Callable[[int], int]) -> None:
        try:
            point = cp.open_checkpoint(self._signed, self.signer.verifier)
        except note.NoteError as error:
            raise ArchiveError(f"{self.folder / reading.CHECKPOINT}: {error}") from error
        state = _Restoring(self.restored, recent_ticks)
        end = 0
        for frame in reading.frames(file, point.size):
            try:
                state.take(frame)
            except (
                EntryError,
                CourseError,
                bodies.BodyError,
                segment.SegmentError,
            ) as error:
                msg = f"{self.folder / reading.SEGMENT}: at offset {frame.start}: {error}"
                raise ArchiveError(msg) from error
            self._tree.append(leaf_hash(frame.entry))
            end = frame.end
        if self._tree.root() != point.root:
            msg = (
                f"{self.folder / reading.SEGMENT}: not the entries that its checkpoint was signed "
                f"over; restore both files from the same copy"
            )
            raise ArchiveError(msg)
        state.finish()
        self._check_pseudonym_key()
        # The one before may have been killed after the rename: what is told from here on must stay true
        # when power is lost.
        self.disk.sync_folder(self.folder)
        # Behind the checkpoint: written, but never told to anybody.
        self.disk.cut(file, end)
        self._end = end

    def _check_pseudonym_key(self) -> None:
        # Another key would register every viewer again, as somebody else.
        event = self.restored.course.event
        path = self.folder / reading.PSEUDONYM_KEY
        if event is not None and key_hash(self.pseudonym_key()) != event.pseudonym_key_sha256:
            msg = f"{path}: not the key that this event began with; restore it from the same copy"
            raise ArchiveError(msg)


class _Restoring:
    """Reads an archive back. Bodies of old ticks matter only for who registered and who moved."""

    def __init__(self, restored: Restored, recent_ticks: Callable[[int], int]) -> None:
        self._restored = restored
        self._recent_ticks_for = recent_ticks
        self._recent_ticks = 0
        # The tick that an exclusion came in front of (0: the first), and whom it named.
        self._exclusions: list[tuple[int, ExcludeEntry]] = []
        self._pseudonyms = bytearray()
        # The latest ticks, with stored bodies; two windows of them are enough to count on exactly.
        self._latest: deque[tuple[TickEntry, bytes]] = deque()
        # By index: the stream of each viewer when the oldest of these began; grows by doubling.
        self._streams = np.zeros(1024, np.uint16)
        self._viewers = 0

    def take(self, frame: Frame) -> None:
        """Take the next frame."""
        restored = self._restored
        entry = entries.decode(frame.entry)
        restored.course.take(entry)
        if isinstance(entry, EventEntry):
            restored.timeline = Timeline(entry.event.window)
            self._recent_ticks = self._recent_ticks_for(entry.event.window)
        elif isinstance(entry, EpochEntry):
            restored.offsets_us = entry.offsets_us
        elif isinstance(entry, ExcludeEntry):
            self._exclusions.append((restored.course.next_tick or 0, entry))
        elif isinstance(entry, TickEntry):
            restored.timeline.take(entry)
            self._latest.append((entry, frame.stored))
            if len(self._latest) > max(self._recent_ticks, 2 * restored.course.window):
                self._settle_oldest()

    def finish(self) -> None:
        """Count the latest ticks again, so that the next one can be counted."""
        restored = self._restored
        course = restored.course
        if course.event is None or course.first is None:
            return
        first = self._latest[0][0].tick if self._latest else course.first
        recount = restored.recount = Recount(course.event.event, first=first)
        recount.restore(self._streams[: self._viewers], self._pseudonyms)
        exclusions = deque(self._exclusions)

        def exclude(tick: int) -> None:
            while exclusions and exclusions[0][0] <= tick:
                recount.exclude(exclusions.popleft()[1].pseudonyms)

        for entry, stored in self._latest:
            exclude(entry.tick)
            body = self._body(entry, stored)
            recount.count(body)
            restored.recent.append((entry.tick, body.presence.tobytes(), body.breaks.tobytes()))
        exclude(course.next_tick or 0)
        del restored.recent[: -self._recent_ticks]

    def _settle_oldest(self) -> None:
        entry, stored = self._latest.popleft()
        if entry.new or entry.moves:
            body = self._body(entry, stored)
            self._pseudonyms += body.registrations["pseudonym"].tobytes()
            if entry.viewers > len(self._streams):
                more = np.zeros(2 * entry.viewers - len(self._streams), np.uint16)
                self._streams = np.concatenate([self._streams, more])
            self._streams[self._viewers : entry.viewers] = body.registrations["stream"]
            self._streams[body.moves["index"]] = body.moves["stream"]
            self._viewers = entry.viewers

    def _body(self, entry: TickEntry, stored: bytes) -> bodies.Body:
        event = self._restored.course.event
        data = segment.inflate(stored, entry.body_bytes) if entry.body_bytes else b""
        return bodies.decode(
            data,
            new=entry.new,
            moves=entry.moves,
            viewers=entry.viewers,
            breaks=entry.breaks,
            streams=len(event.event.streams) if event else 0,
        )
