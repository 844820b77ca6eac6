"""A copy of all events of a data directory, taken while they go on.

Of each event the checkpoint is read first, and of the segment what that covers: so the copy is whole, as of
one moment. A copy of an event that was going on is marked: the original may have gone on from there, and a
notary that went on from the copy would write a second history. `streamcount adopt` takes it when it has
reached what was published. No mark when the event was final: what was written down or corrected since is
missing in the copy, and then nothing more must be written into it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamcount.core.claim import ClaimEntry
from streamcount.core.entries import NoteEntry, decode
from streamcount.core.papers import TRUST
from streamcount.core.sheet import NAME
from streamcount.notary import papers, reading
from streamcount.notary.disk import Disk
from streamcount.notary.reading import ArchiveError, ArchiveReader

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BackedUp:
    """One event in a backup; `final`: it may be put back as it is."""

    event: str
    entries: int
    final: bool


def back_up(
    data: Path,
    to: Path,
    tell: Callable[[BackedUp], None],
    leave_out: Callable[[str, Exception], None],
) -> list[BackedUp]:
    """Copy every event to a folder that is not there yet; it appears whole or not at all.

    `tell` is called with each that is copied, `leave_out` with one that cannot be, and why.

    Raises:
        ArchiveError: the folder is there, or there is nothing to copy.
        OSError: the folder cannot be written.
    """
    if to.exists():
        raise ArchiveError(f"{to}: is there already; a backup is never written over. Name another")
    folders = sorted(f for f in (data / "events").glob("*") if not f.name.startswith("."))
    if not folders:
        raise ArchiveError(f"{data}: has no events. Name the data directory with --data")
    new = to.with_name(f".{to.name}.{secrets.token_hex(4)}.new")
    done = []
    try:
        (new / "events").mkdir(parents=True, mode=0o700)
        for folder in folders:
            try:
                done.append(_copy(folder, new / "events" / folder.name))
            except (ArchiveError, FileNotFoundError) as error:
                # One that is damaged is no reason to leave the others without a copy.
                shutil.rmtree(new / "events" / folder.name, ignore_errors=True)
                leave_out(folder.name, error)
            else:
                tell(done[-1])
        Disk().sync_folder(new)
        new.rename(to)
        Disk().sync_folder(to.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return done


def _is_final(reader: ArchiveReader, size: int) -> bool:
    """Tell whether nothing but notes came after the latest claim."""
    for number in reversed(range(size)):
        (frame,) = reader.frames(number, number + 1)
        entry = decode(frame.entry)
        if not isinstance(entry, NoteEntry):
            return isinstance(entry, ClaimEntry)
    return False


def _copy(folder: Path, to: Path) -> BackedUp:
    disk = Disk()
    to.mkdir(parents=True, mode=0o700)
    reader = ArchiveReader(folder)
    size = reader.refresh().size
    last = next(iter(reader.frames(size - 1, size)), None)
    final = _is_final(reader, size)
    for name in (reading.SIGNING_KEY, reading.PSEUDONYM_KEY):
        disk.make(to / name, (folder / name).read_bytes())
    # As they are: a copy of what is damaged is better than none, and exporting says so.
    beside = [path for path in [folder / NAME, *(folder / TRUST).glob("*.pem")] if path.is_file()]
    papers.put(to, {str(path.relative_to(folder)): path.read_bytes() for path in beside}, disk)
    if not final:
        disk.make(to / reading.COPIED, b"Take it with: streamcount adopt\n")
    disk.make(to / reading.SEGMENT, b"")
    left = last.end if last is not None else 0
    with (folder / reading.SEGMENT).open("rb") as source, disk.open(to / reading.SEGMENT) as copy:
        while left:
            chunk = source.read(min(left, _CHUNK_BYTES))
            left -= len(chunk)
            disk.append(copy, chunk)
    for name, data in reader.kept().items():
        _put(to / name, data, disk)
    disk.make(to / reading.CHECKPOINT, reader.signed)
    disk.sync_folder(to)
    return BackedUp(folder.name, size, final)


def _put(path: Path, data: bytes, disk: Disk) -> None:
    """Write a file of a folder that may not be there yet."""
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700)
    disk.make(path, data)
    disk.sync_folder(path.parent)
