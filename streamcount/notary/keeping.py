"""What witnesses and authorities gave, beside an event's log: kept checkpoints, and tokens for them.

    checkpoints/<size>        signed by the log, with the witnesses' lines behind, in the definition's order
    time/<size>.<name>.tsr    an authority's token for the text of that checkpoint, as it came

Each file is put in place whole, durably, and only after it was checked; a token before the checkpoint it
belongs to. One task writes here, that of `witnessing.py`. No promise of the log depends on these: if one is
lost or damaged, an export leaves it out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamcount.tlog import cosignature, note, timestamp

if TYPE_CHECKING:
    # Who only reads an archive may do so on Windows, which has none of its locks.
    from streamcount.notary.disk import Disk

POINTS: Final = "checkpoints"
TIMES: Final = "time"
_POINT = re.compile(r"[1-9][0-9]{0,15}")
_TOKEN = re.compile(r"([1-9][0-9]{0,15})\.([a-z0-9-]{1,32})\.tsr")
# A checkpoint with all its lines, and a token: what is longer is none.
FILE_BYTES_MAX: Final = timestamp.TOKEN_BYTES_MAX


def read(folder: Path) -> dict[str, bytes]:
    """Return all kept files of an archive by their paths in it; what has no right name is no such file."""
    found = {}
    for name, shape in ((POINTS, _POINT), (TIMES, _TOKEN)):
        if not (folder / name).is_dir():
            continue
        for path in sorted((folder / name).iterdir()):
            if shape.fullmatch(path.name) and path.stat().st_size <= FILE_BYTES_MAX:
                found[f"{name}/{path.name}"] = path.read_bytes()
    return found


@dataclass(slots=True)
class Kept:
    """What is there of one event."""

    folder: Path
    verifier: note.Verifier
    witnesses: Sequence[note.Verifier]
    disk: Disk
    # Size -> who has cosigned it, by number; and the authorities whose tokens there are for it.
    points: dict[int, cosignature.Cosigned] = field(default_factory=dict)
    tokens: dict[int, set[str]] = field(default_factory=dict)

    def load(self) -> None:
        """Take up what is on the disk; what does not hold is as if it were not there."""
        for path, data in read(self.folder).items():
            name = path.partition("/")[2]
            if match := _TOKEN.fullmatch(name):
                self.tokens.setdefault(int(match[1]), set()).add(match[2])
                continue
            try:
                found = cosignature.open_cosigned(data, self.verifier, self.witnesses)
            except note.NoteError:
                continue
            if found.point.size == int(name):
                self.points[found.point.size] = found

    def cosigned(self, witness: int) -> int:
        """Return the largest size that a witness has cosigned, 0 without any."""
        # Copies here and below: a thread may be writing, while the loop asks.
        points = list(self.points.items())
        return max((size for size, one in points if witness in one.times), default=0)

    def timed(self, authority: str) -> int:
        """Return the largest size that an authority has timed, 0 without any."""
        tokens = list(self.tokens.items())
        there = (n for n, names in tokens if authority in names and n in self.points)
        return max(there, default=0)

    def add_line(self, signed: bytes, witness: int, line: note.Signature) -> None:
        """Keep a witness's cosignature of a checkpoint that the log alone has signed.

        Raises:
            NoteError: it does not hold.
            DiskFullError, OSError: it could not be written.
        """
        point = cosignature.open_cosigned(signed, self.verifier, ()).point
        kept = self.points.get(point.size)
        if kept is not None and witness in kept.lines:
            return  # the earlier one says more
        lines = {witness: line} if kept is None else kept.lines | {witness: line}
        self._write_point(cosignature.write_cosigned(signed, lines), point.size)

    def add_token(self, signed: bytes, authority: str, token: bytes) -> None:
        """Keep a token, which was checked, for a checkpoint that the log alone has signed.

        Raises:
            DiskFullError, OSError: it could not be written.
        """
        size = cosignature.open_cosigned(signed, self.verifier, ()).point.size
        self._swap(TIMES, f"{size}.{authority}.tsr", token)
        self.tokens.setdefault(size, set()).add(authority)
        if size not in self.points:
            self._write_point(signed, size)

    def _write_point(self, data: bytes, size: int) -> None:
        found = cosignature.open_cosigned(data, self.verifier, self.witnesses)
        self._swap(POINTS, str(size), data)
        self.points[size] = found

    def _swap(self, kind: str, name: str, data: bytes) -> None:
        folder = self.folder / kind
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            self.disk.sync_folder(self.folder)
        self.disk.swap(folder / name, data)
