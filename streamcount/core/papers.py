"""What lies beside an event's log and is bound to its first entry: the sheet, and authorities' roots.

    sheet.txt           what was agreed, in words; its SHA-256 is the entry's
    trust/<name>.pem    an authority's root certificate; the SHA-256 of its DER is the definition's

Certificates are in PEM (RFC 7468) with everything optional decided: one of them, base64 in lines of 64
characters, newlines of one byte, nothing in front of it or behind. So one certificate is one file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from streamcount.core.entries import EventEntry
from streamcount.core.event import Event
from streamcount.core.sheet import NAME, SHEET_BYTES_MAX

TRUST: Final = "trust"
# Bounds of the format: docs/evidence-format.md states them.
PEM_BYTES_MAX: Final = 65_536
PAPER_BYTES_MAX: Final = max(SHEET_BYTES_MAX, PEM_BYTES_MAX)
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----\n"
_END: Final = b"-----END CERTIFICATE-----\n"
_LINE: Final = 64


class PemError(ValueError):
    """The bytes are no certificate, or not in that spelling; the message says which."""


def root_name(authority: str) -> str:
    """Return the name of the file with an authority's root certificate."""
    return f"{TRUST}/{authority}.pem"


def names(event: Event) -> list[str]:
    """Return the names of all papers of an event, as a pack has them, in its order."""
    return [NAME, *(root_name(one.name) for one in event.trust.authorities)]


def is_right(name: str, data: bytes, entry: EventEntry) -> bool:
    """Tell whether a paper is the one that the first entry commits to."""
    if name == NAME:
        return len(data) <= SHEET_BYTES_MAX and hashlib.sha256(data).digest() == entry.sheet_sha256
    roots = {root_name(one.name): one.root_sha256 for one in entry.event.trust.authorities}
    try:
        return hashlib.sha256(read_pem(data)).digest() == roots.get(name)
    except PemError:
        return False


def write_pem(der: bytes) -> bytes:
    """Return a certificate in PEM."""
    text = base64.b64encode(der)
    lines = [text[n : n + _LINE] + b"\n" for n in range(0, len(text), _LINE)]
    return b"".join([_BEGIN, *lines, _END])


def read_pem(data: bytes) -> bytes:
    """Return the DER of a certificate; whether it is one is not looked at.

    Raises:
        PemError: it is spelt another way, or too long.
    """
    if len(data) > PEM_BYTES_MAX:
        raise PemError(f"{len(data)} bytes, {PEM_BYTES_MAX} is the most")
    inner = data.removeprefix(_BEGIN).removesuffix(_END).replace(b"\n", b"")
    try:
        der = base64.b64decode(inner, validate=True)
    except binascii.Error:
        der = b""
    if not der or write_pem(der) != data:
        raise PemError("not one certificate in PEM, in lines of 64 characters and nothing else")
    return der
