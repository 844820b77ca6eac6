"""Checkpoints of a log that were kept somewhere else: an archive must have reached all of them.

An archive that was put back from an old copy does not know that it is old. Whoever kept a later checkpoint
does: `streamcount follow` on any machine, an adjudicator. A setting names the folder where these arrive.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.merkle import Frontier

# A file that is longer is no checkpoint.
_CHECKPOINT_BYTES_MAX: Final = 8_192


def check_reached(folder: Path, kept: Path, files_max: int) -> None:
    """Check that an archive holds what every kept checkpoint of its log was signed over.

    Raises:
        ArchiveError: it is behind one, or another history; or what is kept cannot be read.
    """
    try:
        reader = ArchiveReader(folder)
        size = reader.refresh().size
    except OSError as error:
        raise ArchiveError(f"{folder}: cannot be read: {error}") from error
    leaves, tree = reader.leaves(size), Frontier()
    # From the smallest on, so that one pass over the log is enough, however many were kept.
    for path, point in sorted(_checkpoints(reader, kept, files_max), key=lambda one: one[1].size):
        if point.size > size:
            raise ArchiveError(
                f"{folder}: {size} entries, but {path} is a checkpoint of this log over {point.size}: this "
                f"is an older copy, and going on from it would make a second history. Put the newest copy "
                f"back (docs/runbook.md)"
            )
        for leaf in leaves[tree.size : point.size]:
            tree.append(leaf)
        if tree.root() != point.root:
            raise ArchiveError(
                f"{folder}: another history than the checkpoint {path} was signed over. Keep both: one "
                f"key has signed two logs"
            )


def _checkpoints(
    reader: ArchiveReader, kept: Path, files_max: int
) -> Iterator[tuple[Path, cp.Checkpoint]]:
    """Yield the checkpoints of this log among the files in a folder."""
    try:
        files = [path for path in sorted(kept.rglob("*")) if path.is_file()]
        if len(files) > files_max:
            msg = f"{kept}: {len(files)} files, {files_max} kept checkpoints are the most"
            raise ArchiveError(msg)
        found = [
            (path, path.read_bytes())
            for path in files
            if path.stat().st_size <= _CHECKPOINT_BYTES_MAX
        ]
        kept.stat()
    except OSError as error:
        raise ArchiveError(f"{kept}: kept checkpoints cannot be read: {error.strerror}") from error
    for path, data in found:
        try:
            yield path, cp.open_checkpoint(data, reader.signer.verifier)
        except note.NoteError:
            continue  # of another log, or something else
