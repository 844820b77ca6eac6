"""Step 9 of verifying: what lies beside the log is what its first entry was written with, and no other.

A sheet that was kept outside names the key, and is compared; the words of a sheet are for people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from streamcount.core import papers, sheet
from streamcount.core.entries import EntryError, EventEntry, decode
from streamcount.evidence.findings import DoesNotHoldError, Findings


def first_entry(data: bytes) -> EventEntry:
    """Return the first entry, which tells what the files of a pack are.

    Raises:
        DoesNotHoldError: it is none, or of another type.
    """
    try:
        entry = decode(data)
    except EntryError as error:
        raise DoesNotHoldError("entry", "entry {n}: {detail}", n=0, detail=error) from error
    if not isinstance(entry, EventEntry):
        detail = f"a log begins with its event, not with an entry of type {entry.type}"
        raise DoesNotHoldError("entry", "entry {n}: {detail}", n=0, detail=detail)
    return entry


def key_of_sheet(given: bytes, key: str | None) -> str:
    """Return the key that a sheet from outside names.

    Raises:
        DoesNotHoldError: it is no sheet, or names another key than the one that was given with it.
    """
    try:
        named = sheet.key_line(sheet.decode(given))
    except sheet.SheetError as error:
        raise DoesNotHoldError("sheet", "the sheet given: {detail}", detail=error) from error
    if key is not None and key != named:
        raise DoesNotHoldError("sheet_key", "the sheet given names another key than the one given")
    return named


def check_papers(
    entry: EventEntry, read: Callable[[str], bytes], given: bytes | None, findings: Findings
) -> None:
    """Check the papers of a pack, and the sheet from outside if there is one.

    Raises:
        DoesNotHoldError: one of them is another one.
    """
    for name in papers.names(entry.event):
        data = read(name)
        if not papers.is_right(name, data, entry):
            raise DoesNotHoldError(
                "paper", "{name}: not the file that the log was begun with", name=name
            )
        if name == sheet.NAME:
            try:
                findings.sheet = sheet.decode(data)
            except sheet.SheetError as error:
                raise DoesNotHoldError(
                    "paper_text", "{name}: {detail}", name=name, detail=error
                ) from error
    findings.sheet_sha256 = entry.sheet_sha256.hex()
    if given is not None and hashlib.sha256(given).digest() != entry.sheet_sha256:
        raise DoesNotHoldError(
            "other_sheet", "the sheet given is not the one that the log was begun with"
        )
