"""Taking an event over from a followed copy: an archive for a notary on another host.

The copy was made from outside, with bodies; the keys come from a backup. Nothing is adopted that was not
counted again here from the first entry on, nor anything that is behind what was published: heartbeats
that somebody was told are counted would be missing, and the next checkpoint would be a fork.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from streamcount.config import PackLimits
from streamcount.core import segment
from streamcount.core.audit import Audit, AuditError, BeyondBoundsError, Bounds, Means
from streamcount.core.body import BLOCK_BYTES
from streamcount.core.entries import EventEntry, TickEntry, decode
from streamcount.core.papers import PAPER_BYTES_MAX, is_right, names
from streamcount.core.pseudonym import key_hash
from streamcount.follow import copy as copies
from streamcount.notary import papers, reading
from streamcount.notary.disk import Disk
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import Frontier, LogTree, leaf_hash


class AdoptError(Exception):
    """The copy cannot be adopted; the message says why, and what would do."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken over: the event's id, entries, its peak so far, and which papers were missing."""

    event_id: str
    size: int
    peak: int
    missing: tuple[str, ...] = ()


def adopt(copy: Path, published: bytes, keys: Path, data: Path, limits: PackLimits) -> Adopted:
    """Make the archive of an event in `data` from a copy of its log.

    `published`: the latest signed checkpoint that was shown. `keys`: a folder with both keys.

    Raises:
        AdoptError: it does not hold, is behind, has no bodies, has other keys, or is there already.
        OSError: a file cannot be read or written.
    """
    try:
        signer = reading.read_signer(keys)
    except reading.ArchiveError as error:
        raise AdoptError(f"--keys: {error}") from error
    signed = (copy / copies.CHECKPOINT).read_bytes()
    point = _open(signed, signer.verifier, f"{copy / copies.CHECKPOINT}: --keys are of another log")
    shown = _open(published.strip() + b"\n", signer.verifier, "--published")
    if shown.size > point.size:
        raise AdoptError(
            f"{copy}: has {point.size} entries, and {shown.size} were published. What is missing was "
            f"acknowledged to viewers: find a copy that has reached it"
        )
    new = data / "events" / f".adopted.{secrets.token_hex(4)}.new"
    new.mkdir(parents=True, mode=0o700)
    disk = Disk()
    try:
        with (new / reading.SEGMENT).open("wb", buffering=0) as out:
            (new / reading.SEGMENT).chmod(0o600)
            audit = _take_over(copy, point, shown, signer, limits, disk, out)
        event = audit.course.event
        if event is None:
            raise AdoptError(f"{copy}: has no entries")
        pseudonym_key = _pseudonym_key(keys, event.pseudonym_key_sha256)
        folder = data / "events" / event.event.id
        if folder.exists():
            raise AdoptError(f"{folder}: is there already, and is never written over")
        disk.make(new / reading.SIGNING_KEY, signer.private_text().encode() + b"\n")
        disk.make(new / reading.PSEUDONYM_KEY, pseudonym_key)
        found = _papers(event, copy, keys)
        papers.put(new, found, disk)
        disk.make(new / reading.CHECKPOINT, signed)
        disk.sync_folder(new)
        new.rename(folder)
        disk.sync_folder(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    missing = tuple(name for name in names(event.event) if name not in found)
    return Adopted(event.event.id, point.size, audit.course.peak.count, missing)


def _papers(entry: EventEntry, *folders: Path) -> dict[str, bytes]:
    """Return the sheet and roots that one of the folders has. Counting does not wait for the others."""
    found = {}
    for name in names(entry.event):
        for folder in folders:
            try:
                with (folder / name).open("rb") as file:
                    data = file.read(PAPER_BYTES_MAX + 1)
            except OSError:
                continue
            if is_right(name, data, entry):
                found[name] = data
    return found


def _open(signed: bytes, verifier: note.Verifier, what: str) -> cp.Checkpoint:
    try:
        return cp.open_checkpoint(signed, verifier)
    except note.NoteError as error:
        raise AdoptError(f"{what}: {error}") from error


def _take_over(  # noqa: PLR0913, PLR0917 (one step of one act)
    copy: Path,
    point: cp.Checkpoint,
    shown: cp.Checkpoint,
    signer: note.Signer,
    limits: PackLimits,
    disk: Disk,
    out: BinaryIO,
) -> Audit:
    """Count the copy again, entry by entry, and write what was counted."""
    bounds = Bounds(
        limits.viewers_max,
        limits.ticks_max,
        limits.body_bytes_max,
        limits.window_present_max,
    )
    means = Means(LogTree(BLOCK_BYTES), note.parse_witness)
    audit = Audit(signer.name, signer.verifier.vkey(), bounds, means)
    tree, root_then = Frontier(), Frontier().root()
    path = copy / copies.SEGMENT
    with path.open("rb") as file:
        for number in range(point.size):
            try:
                entry, stored = segment.read_frame(file)
                audit.take(entry, stored)
            except AuditError as error:
                raise AdoptError(_why(path, number, entry, stored, error)) from error
            except (segment.SegmentError, BeyondBoundsError) as error:
                raise AdoptError(f"{path}: entry {number} of {point.size}: {error}") from error
            tree.append(leaf_hash(entry))
            if tree.size == shown.size:
                root_then = tree.root()
            _write(out, segment.frame(entry, stored))
    if tree.root() != point.root:
        raise AdoptError(f"{path}: not the entries that its checkpoint was signed over")
    if root_then != shown.root:
        raise AdoptError(
            f"{copy}: another history than the one published: its first {shown.size} entries have "
            f"another root. Keep both: together they prove a fork"
        )
    try:
        audit.finish(lambda: _again(path, point.size))
    except (AuditError, segment.SegmentError) as error:
        raise AdoptError(f"{path}: {error}") from error
    disk.append(out, b"")
    return audit


def _again(path: Path, count: int) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        for _ in range(count):
            yield segment.read_frame(file)


def _why(path: Path, number: int, entry: bytes, stored: bytes, error: AuditError) -> str:
    said = f"{path}: entry {number}: {error}"
    try:
        found = decode(entry)
    except ValueError:
        return said
    if isinstance(found, TickEntry) and found.body_bytes and not stored:
        return (
            f"{path}: entry {number} has no body: this copy was followed without --operator, so nobody "
            f"can go on counting from it"
        )
    return said


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def _pseudonym_key(keys: Path, expected: bytes) -> bytes:
    path = keys / reading.PSEUDONYM_KEY
    text = path.read_bytes().strip()
    try:
        right = key_hash(bytes.fromhex(text.decode("ascii"))) == expected
    except ValueError:
        right = False
    if not right:
        raise AdoptError(
            f"{path}: not the key this event began with: viewers would be counted as others than before"
        )
    return text + b"\n"
