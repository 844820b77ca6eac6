"""Another history under the log's own key: proof is kept, and the event stops for good.

    fork-<size>-<digest>/shown    the checkpoint that was shown, signed by the log's key
    fork-<size>-<digest>/kept     the latest one of this archive
    fork-<size>-<digest>/why.txt  what contradicts what, in words

Somebody has signed two logs, or this archive is an older copy of one that went on. Whichever it is, nobody
can mend it by counting on, so nothing is published any more: not now, and not by the next notary.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Protocol

from streamcount.notary.disk import Disk
from streamcount.notary.incoming import HasLog, of_this_history
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note

_NAME: Final = "fork-"


class HasSignedLog(HasLog, Protocol):
    """A reader of the log that knows its latest checkpoint as it was signed."""

    signed: bytes


def judge(log: HasSignedLog, shown: bytes, disk: Disk) -> str | None:
    """Return why an event has to stop, with the proof on the disk; None when this is no such proof.

    Raises:
        OSError, ArchiveError: it could not be judged or written.
    """
    try:
        point = cp.open_checkpoint(shown, log.signer.verifier)
    except note.NoteError:
        return None  # anybody can make that
    if of_this_history(log, point):
        return None
    size = log.refresh().size
    what = (
        f"a checkpoint of {point.size} entries, signed by this log's key, and this archive has only {size}"
        if point.size > size
        else f"a checkpoint of {point.size} entries, signed by this log's key, with another root than the "
        f"first {point.size} entries of this archive"
    )
    folder = log.folder / f"{_NAME}{point.size}-{hashlib.sha256(shown).hexdigest()[:12]}"
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
    why = f"another history was shown: {what}"
    for name, data in (("shown", shown), ("kept", log.signed), ("why.txt", f"{why}\n".encode())):
        disk.swap(folder / name, data)
    disk.sync_folder(log.folder)
    return f"{why}. The proof is in {folder}"


def found(folder: Path) -> str | None:
    """Return what an archive's folder holds as proof of another history, None when there is nothing."""
    for place in sorted(folder.glob(f"{_NAME}*")):
        try:
            why = (place / "why.txt").read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            why = "another history was shown"
        return (
            f"{place}: {why}. Nothing is published under this key any more; see docs/witnesses.md"
        )
    return None
