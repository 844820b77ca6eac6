"""What comes by itself to the public port: cosignatures of witnesses, and proof of another history.

Workers take it, check it and lay it here; the notary takes it from here. Nothing is written that no witness
of the event, nor the log's own key, has signed: a stranger can make a worker check, and no more.

    wanted                    the checkpoint that witnesses are asked to cosign now
    incoming/<size>.<n>       a checkpoint with the cosignature of witness n
    incoming/fork.<digest>    a checkpoint that the log's key signed, and that is not of this history
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from streamcount.core.entries import EventEntry
from streamcount.core.trust import WITNESSES_MAX
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note

if TYPE_CHECKING:
    # Who only reads an archive may do so on Windows, which has none of its locks.
    from streamcount.notary.disk import Disk

# Behind the address of the log.
PATH: Final = "cosignatures"
WANTED: Final = "wanted"
INCOMING: Final = "incoming"
# That wait for the notary; it takes them every second or so.
WAITING_MAX: Final = 200
FORKS_MAX: Final = 4
_LINE = re.compile(r"([1-9][0-9]{0,15})\.([0-9])")


class HasLog(Protocol):
    """A reader of the log, as far as it is needed here."""

    folder: Path
    signer: note.Signer

    def refresh(self) -> cp.Checkpoint: ...  # noqa: D102
    def root(self, size: int) -> bytes: ...  # noqa: D102
    def event(self) -> EventEntry: ...  # noqa: D102


class RefusedError(Exception):
    """It is not taken; `status` is HTTP's, the message says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def wanted(folder: Path) -> bytes | None:
    """Return the checkpoint that witnesses are asked for; None while there is none."""
    try:
        return (folder / WANTED).read_bytes()
    except OSError:
        return None


def of_this_history(log: HasLog, point: cp.Checkpoint) -> bool:
    """Tell whether a checkpoint states a root that this log had."""
    return point.size <= log.refresh().size and log.root(point.size) == point.root


def take(log: HasLog, posted: bytes) -> None:
    """Take what was posted, and lay it where the notary finds it.

    Raises:
        RefusedError: nobody signed it who may, or there is no room.
        OSError, ArchiveError: it could not be checked or written.
    """
    try:
        text, by_log, lines = _split(posted, log.signer.verifier)
        point = cp.open_checkpoint(by_log, log.signer.verifier)
    except note.NoteError as error:
        raise RefusedError(400, f"not a checkpoint of this log: {error}") from error
    if not of_this_history(log, point):
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        _lay(log.folder, f"fork.{digest}", posted, "fork.*", FORKS_MAX)
        raise RefusedError(409, "of another history, by this log's own key: the notary was told")
    witnesses = [note.parse_witness(one.key) for one in log.event().event.trust.witnesses]
    found = {}
    for line in lines:
        for number, witness in enumerate(witnesses):
            if cosignature.wrote(witness, line):
                try:
                    cosignature.time_in(witness, line, text)
                except note.NoteError as error:
                    raise RefusedError(403, str(error)) from error
                found[number] = line
    if not found or not point.size:
        raise RefusedError(403, "no cosignature by a witness that was agreed on for this event")
    for number, line in found.items():
        data = by_log + note.line_of(*line)
        _lay(log.folder, f"{point.size}.{number}", data, "[0-9]*", WAITING_MAX)


def _split(posted: bytes, log: note.Verifier) -> tuple[str, bytes, list[note.Signature]]:
    """Return the text, the note as the log alone signed it, and all lines; nothing is verified yet.

    A stranger can make us verify no more than one signature by the log, whatever is posted.

    Raises:
        NoteError: it is no note, or has not one line by the log, or more others than there are witnesses.
    """
    bytes_max, lines_max = cosignature.POSTED_BYTES_MAX, 1 + WITNESSES_MAX
    text, lines = note.split(posted, bytes_max=bytes_max, signatures_max=lines_max)
    logs = [line for line in lines if line[:2] == (log.name, log.key_id)]
    if len(logs) != 1:
        raise note.NoteError(f"{len(logs)} signatures by {log.vkey()}, where one is to be")
    return text, f"{text}\n".encode() + note.line_of(*logs[0]), lines


def _lay(folder: Path, name: str, data: bytes, those: str, most: int) -> None:
    """Put a file in place whole, unless so many of its kind wait already."""
    place = folder / INCOMING
    place.mkdir(mode=0o700, exist_ok=True)
    if not (place / name).exists() and sum(1 for _ in place.glob(those)) >= most:
        raise RefusedError(503, "too many wait to be kept; try again later")
    new = place / f".{name}.{secrets.token_hex(4)}"
    try:
        new.write_bytes(data)
        new.replace(place / name)
    finally:
        new.unlink(missing_ok=True)


def waiting(folder: Path) -> Iterator[tuple[Path, int | None]]:
    """Yield what was laid down: the file, and which witness it is of; None for another history, first."""
    place = folder / INCOMING
    if not place.is_dir():
        return
    # What stops the event waits for nothing else.
    for path in sorted(place.iterdir(), key=lambda one: (one.name[:5] != "fork.", one.name)):
        match = _LINE.fullmatch(path.name)
        if match is not None:
            yield path, int(match[2])
        elif path.name.startswith("fork."):
            yield path, None


def want(folder: Path, signed: bytes, disk: Disk) -> None:
    """Ask witnesses that come by themselves for a checkpoint.

    Raises:
        DiskFullError, OSError: it could not be written.
    """
    disk.swap(folder / WANTED, signed)
