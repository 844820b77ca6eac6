"""A verified pack, opened again for its report: its entries, and the proofs that go along with the claim.

What is attached keeps its bytes. Names get a suffix that Windows opens (`log.vkey.txt`), and no folders:
viewers of PDF show attachments as one list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from streamcount.config import PackLimits
from streamcount.evidence.bundle import bundles
from streamcount.evidence.pack import PackReader
from streamcount.report.content import Content
from streamcount.report.pages import Attachment
from streamcount.tlog import tiles

# What a claim carries along: the pack has the rest.
ATTACHED_BYTES_MAX: Final = 2 * 2**20
_KEPT = re.compile(r"checkpoints/([0-9]{1,16})|time/([0-9]{1,16})\.([a-z0-9-]+)\.tsr")
_TEXT: Final = "text/plain"
_FIRST: Final[tuple[str, ...]] = ("log.vkey", "sheet.txt", "checkpoint")


class VerifiedPack:
    """A pack that was verified before; whoever opens it here says so."""

    def __init__(self, path: Path, size: int, limits: PackLimits | None = None) -> None:
        """`size`: how many entries the verification found.

        Raises:
            OSError: the file cannot be opened.
            PackError: it is not the one that was verified any more.
        """
        self._file = path.open("rb")
        self._pack = PackReader(self._file, limits or PackLimits())
        self._size = size

    def __enter__(self) -> Self:
        """Return the pack."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def entries(self) -> Iterator[bytes]:
        """Yield the entries in order."""
        for path, start, end in bundles(self._size):
            yield from tiles.decode_bundle(self._pack.read(path), end - start)

    def tokens(self) -> list[tuple[int, str]]:
        """Return size and authority of each token that is attached."""
        found = (_KEPT.fullmatch(name) for name in self._proofs())
        return [(int(match[2]), match[3]) for match in found if match and match[2]]

    def attachments(self, content: Content) -> list[Attachment]:
        """Return the claim as it is in the log, and its proofs."""
        attached = []
        if content.claim is not None:
            attached.append(
                Attachment(
                    "claim.json",
                    content.claim_bytes,
                    "application/json",
                    "the claim: the bytes of the entry in the log",
                    "source",
                )
            )
        for name in self._proofs():
            mime = "application/timestamp-reply" if name.endswith(".tsr") else _TEXT
            attached.append(
                Attachment(_flat(name), self._pack.read(name), mime, f"{name} of the pack")
            )
        return attached

    def _proofs(self) -> list[str]:
        """Return the names of the proofs, the last ones kept when there are too many."""
        members = self._pack.members
        names = [name for name in _FIRST if name in members]
        names += [name for name in members if name.startswith("trust/")]
        left = ATTACHED_BYTES_MAX - sum(members[name].size for name in names)
        kept: list[str] = []
        for name in reversed([name for name in members if _KEPT.fullmatch(name)]):
            left -= members[name].size
            if left < 0:
                break
            kept.insert(0, name)
        return [*names, *kept]


def _flat(name: str) -> str:
    flat = name.replace("/", "-")
    return flat if flat.endswith((".txt", ".pem", ".tsr")) else f"{flat}.txt"
