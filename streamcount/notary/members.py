"""Who was counting when the store was last read: a hint beside the log, no evidence.

When notary and store are lost at once, nobody else knows which workers may still hold ticks. Those that the
hint names are waited for, each until it has said what it has, or the hold is over; what one of them lost is
logged as long as it was. Without a hint every tick would wait for the whole hold, and nobody would know
what is missing.

The file has a line a node, with the name of its life. It may be behind by a look of the notary, or gone:
then the hold is waited for.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from streamcount.core.bucket import LOST_MEMBER
from streamcount.notary.disk import Disk, DiskFullError

FILE: Final = "members"
_LINE: Final = re.compile(r"[!-~]{1,200} [!-~]{1,100}")


class MembersHint:
    """The hint of one event."""

    def __init__(self, folder: Path, disk: Disk, members_max: int) -> None:
        self._path = folder / FILE
        self._disk = disk
        self._members_max = members_max
        # What the file says; None while that is not known.
        self._written: frozenset[str] | None = None

    def recall(self) -> dict[str, str] | None:
        """Return the members the file names, as arming takes them; None when it is not there or none."""
        try:
            lines = self._disk.read(self._path).decode("ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            return None
        if len(lines) > self._members_max or not all(map(_LINE.fullmatch, lines)):
            return None
        return {node: f"{boot} 0" for node, boot in (line.split(" ") for line in lines)}

    def instead_of(self, nobody: list[dict[str, str]]) -> list[dict[str, str]] | None:
        """Return who counted last, for each bucket of a store that knows nobody; None without a hint."""
        hint = self.recall()
        return None if hint is None else [hint] * len(nobody)

    def differs(self, members: Iterable[dict[str, str]]) -> bool:
        """Tell whether others count than the file says."""
        return _lines(members) != self._written

    def remember(self, members: Iterable[dict[str, str]]) -> None:
        """Write down who counts; a disk that does not take it is no trouble."""
        lines = _lines(members)
        with contextlib.suppress(OSError, DiskFullError):
            self._disk.swap(self._path, "".join(f"{line}\n" for line in sorted(lines)).encode())
        self._written = lines


def _lines(members: Iterable[dict[str, str]]) -> frozenset[str]:
    lines = {
        f"{node} {seen.partition(' ')[0]}" for found in members for node, seen in found.items()
    }
    return frozenset(
        line for line in lines if _LINE.fullmatch(line) and not line.endswith(f" {LOST_MEMBER}")
    )
