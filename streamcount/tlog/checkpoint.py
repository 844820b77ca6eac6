"""C2SP tlog-checkpoint v1.0.0: a signed note that states a log's origin, size and root.

    <origin>
    <size, decimal without leading zero>
    <base64 of the root>

No extension lines are written, and none are read: what a checkpoint of ours says is these three.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from streamcount.tlog import note
from streamcount.tlog.merkle import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` has `size` entries, and `root` is the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint.

    Raises:
        note.NoteError: it is none.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
        msg = "a checkpoint has three lines: origin, size, root"
        raise note.NoteError(msg)
    root = note.decode_base64(lines[2], "checkpoint root")
    if len(root) != HASH_BYTES:
        msg = f"checkpoint root: must be {HASH_BYTES} bytes"
        raise note.NoteError(msg)
    return Checkpoint(lines[0], int(lines[1]), root)


def open_checkpoint(signed: bytes, verifier: note.Verifier) -> Checkpoint:
    """Return the checkpoint in a note, signed by the log's key, whose name is the origin.

    Raises:
        note.NoteError: the note does not hold, or states another origin than its key's name.
    """
    checkpoint = parse(note.open_note(signed, verifier))
    if checkpoint.origin != verifier.name:
        msg = f"a checkpoint of {checkpoint.origin!r} signed by the key of {verifier.name!r}"
        raise note.NoteError(msg)
    return checkpoint
