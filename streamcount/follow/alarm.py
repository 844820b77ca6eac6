"""What is an alarm: what the log's key signed, and nothing that whoever is in between could have made.

    origin   the key signed a checkpoint of another log
    fork     two signed checkpoints contradict each other
    body     twice, what the operators' API sent is not what a signed entry commits to
    entry    a signed entry is none that this program can read
    count    a signed entry has no place, or its counts do not follow from the bodies

Everything else (a signature that does not hold, entries that no signed root covers) proves nothing
about the log, and is only asked for again.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from streamcount.core.segment import frame
from streamcount.follow.copy import Copy
from streamcount.follow.source import AwayError, Source
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash

_HISTORY: Final = ".history.new"


class AlarmError(Exception):
    """The log broke its word. `kind`: as above; `folder`: where the proof is."""

    def __init__(self, kind: str, what: str, folder: Path) -> None:
        super().__init__(what)
        self.kind = kind
        self.folder = folder


def raise_alarm(
    copy: Copy, kind: str, shown: bytes, size: int, what: str, history: Path | None = None
) -> NoReturn:
    """Keep the proof, and raise the alarm.

    `shown`: the signed checkpoint; `history`: a segment of all entries it covers, if it is not kept.

    Raises:
        AlarmError: always.
    """
    try:
        folder = copy.keep_fork(shown, size, f"{kind}: {what}", history)
        copy.drop_pending()
    except OSError as error:
        # Louder than any disk.
        what += f" (and the proof could not be written: {error}; what was shown: {shown!r:.1000})"
        folder = copy.folder
    raise AlarmError(kind, what, folder)


def open_shown(copy: Copy, url: str, signed: bytes, verifier: note.Verifier) -> cp.Checkpoint:
    """Return the checkpoint that the log's key signed.

    Raises:
        AwayError: it is none, or not signed so, which anybody in between can bring about.
        AlarmError: it is signed, and of another log.
    """
    try:
        point = cp.parse(note.open_note(signed, verifier))
    except note.NoteError as error:
        raise AwayError(
            f"{url}: shows no checkpoint that the log's key signed: {error}. That proves nothing against "
            f"the log; if it stays, look at what is in between, and whether it is the right key"
        ) from error
    if point.origin != verifier.name:
        raise_alarm(copy, "origin", signed, 0, f"a checkpoint of {point.origin:.200} by this key")
    return point


async def judge_entries(source: Source, copy: Copy, signed: bytes, point: cp.Checkpoint) -> None:
    """Read the whole log again, since what came last does not extend the copy to a larger checkpoint.

    Raises:
        AlarmError: all its entries are those that were signed, and do not begin with the copy's.
        AwayError: not all could be had.
    """
    path = copy.folder / _HISTORY
    try:
        before, whole = await _read_again(source, point.size, copy.size, path)
        if whole == point.root and before != copy.root_at(copy.size):
            raise_alarm(
                copy,
                "fork",
                signed,
                point.size,
                f"a checkpoint of {point.size} entries: its first {copy.size} have another root than "
                f"those that are kept",
                path,
            )
    finally:
        path.unlink(missing_ok=True)


async def _read_again(source: Source, size: int, at: int, path: Path) -> tuple[bytes, bytes]:
    """Write all entries to a segment; return the root over the first `at`, and that over all."""
    tree, before = Frontier(), EMPTY_ROOT
    with path.open("wb") as file:
        while tree.size < size:
            entries = await source.entries(tree.size, size)
            # Cut here: another history need never have had a bundle that ends at `at`.
            for some in (entries[: max(0, at - tree.size)], entries[max(0, at - tree.size) :]):
                await asyncio.to_thread(_append, file, tree, some)
                if tree.size == at:
                    before = tree.root()
    return before, tree.root()


def _append(file: BinaryIO, tree: Frontier, entries: list[bytes]) -> None:
    for entry in entries:
        file.write(frame(entry, b""))
        tree.append(leaf_hash(entry))
