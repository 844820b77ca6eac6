"""The papers of a new event: made and written with its archive, before the first entry, and never again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from streamcount.core import papers
from streamcount.core.entries import EntryError
from streamcount.core.event import Event
from streamcount.core.sheet import NAME, SHEET_BYTES_MAX
from streamcount.notary.agreed import sheet_text
from streamcount.notary.disk import Disk
from streamcount.notary.reading import ArchiveError


def of_new(
    event: Event, origin: str, key: str, software: str, roots: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the papers of a new event, by their names.

    `roots`: its authorities' root certificates, by their names, as `core/papers.py` spells them.

    Raises:
        EntryError: the definition is too long for a sheet.
        ArchiveError: there are not as many roots as authorities, or not theirs.
    """
    sheet = sheet_text(event, origin, key, software).encode()
    if len(sheet) > SHEET_BYTES_MAX:
        raise EntryError(f"a sheet of {len(sheet)} bytes, {SHEET_BYTES_MAX} is the most")
    digests = {name: hashlib.sha256(papers.read_pem(root)).digest() for name, root in roots.items()}
    if digests != {one.name: one.root_sha256 for one in event.trust.authorities}:
        raise ArchiveError(f"event {event.id}: its authorities need their own root certificates")
    return {NAME: sheet, **{papers.root_name(name): root for name, root in roots.items()}}


def put(folder: Path, found: Mapping[str, bytes], disk: Disk) -> None:
    """Write papers into the folder of an archive, durably, but for the folder's own names.

    Raises:
        OSError: they cannot be written.
    """
    inside = folder / papers.TRUST
    for name, data in found.items():
        if name.startswith(f"{papers.TRUST}/"):
            inside.mkdir(mode=0o700, exist_ok=True)
        disk.make(folder / name, data)
    if inside.exists():
        disk.sync_folder(inside)
