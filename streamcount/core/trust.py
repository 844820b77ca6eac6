"""Who else was to see an event's log: witnesses that cosign it, authorities that say how early it was.

Part of the agreed definition (docs/evidence-format.md, sections 7 and 12). A witness's key is held to its
shape here; whether its id is its own, and the point means anything, `tlog/note.py` can tell.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from streamcount.core.fields import EventError, Fields

# Bounds of the format: docs/evidence-format.md states them.
WITNESSES_MAX: Final = 8
AUTHORITIES_MAX: Final = 4
URL_CHARACTERS_MAX: Final = 200
# How much earlier than its latest tick a log may be timed: clocks disagree by seconds, not by minutes.
EARLY_S_MAX: Final = 60
# 33 bytes, the first of them 04, in base64 without padding: there is one spelling.
WITNESS_KEY = re.compile(r"[^+\s\x00-\x1f]{1,100}\+[0-9a-f]{8}\+B[A-P][A-Za-z0-9+/]{42}")
AUTHORITY_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Witness:
    """One that cosigns checkpoints. `url`: where it is asked; empty when it comes by itself."""

    key: str
    url: str

    @property
    def name(self) -> str:
        """The name of its key."""
        return self.key.partition("+")[0]


@dataclass(frozen=True, slots=True)
class Authority:
    """A timestamping authority (RFC 3161), and which root certificate its tokens lead to."""

    name: str
    root_sha256: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Trust:
    """The witnesses, how many of them make a checkpoint witnessed, and the authorities."""

    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    authorities: tuple[Authority, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, which `parse_trust` reads back to an equal one."""
        return {
            "witnesses": [asdict(one) for one in self.witnesses],
            "quorum": self.quorum,
            "authorities": [
                asdict(one) | {"root_sha256": base64.b64encode(one.root_sha256).decode()}
                for one in self.authorities
            ],
        }

    def texts(self) -> list[tuple[str, str]]:
        """Return the texts in it that people read, with their places in the definition."""
        found = []
        for n, witness in enumerate(self.witnesses):
            found += [(f"trust.witnesses[{n}].key", witness.name)]
            found += [(f"trust.witnesses[{n}].url", witness.url)]
        found += [
            (f"trust.authorities[{n}].url", one.url) for n, one in enumerate(self.authorities)
        ]
        return found


def parse_trust(given: object) -> Trust:
    """Check that part of a definition and fill in the defaults: nobody.

    Raises:
        EventError: a field is missing, unknown, of another type, or breaks a rule.
    """
    fields = Fields(given, "event.trust")
    witnesses = tuple(
        _witness(item, f"event.trust.witnesses[{number}]")
        for number, item in enumerate(_list(fields, "witnesses", WITNESSES_MAX))
    )
    quorum = fields.integer("quorum", 0, WITNESSES_MAX, 0)
    authorities = tuple(
        _authority(item, f"event.trust.authorities[{number}]")
        for number, item in enumerate(_list(fields, "authorities", AUTHORITIES_MAX))
    )
    fields.done()
    if len({one.name for one in witnesses}) != len(witnesses):
        raise EventError("event.trust.witnesses: two witnesses have the same name")
    # What a witness signs does not say its name, so one key under two names would be counted as two.
    if len({one.key.split("+", 2)[2] for one in witnesses}) != len(witnesses):
        raise EventError("event.trust.witnesses: two witnesses have the same key")
    if len({one.name for one in authorities}) != len(authorities):
        raise EventError("event.trust.authorities: two authorities have the same name")
    if quorum > len(witnesses) or (quorum == 0) != (not witnesses):
        raise EventError(
            f"event.trust.quorum: {quorum} of {len(witnesses)} witnesses; it must be from 1 to as many as "
            f"there are, and 0 when there are none"
        )
    return Trust(witnesses, quorum, authorities)


def _list(fields: Fields, name: str, most: int) -> list[Any]:
    given = fields.take(name, [])
    if not isinstance(given, list) or len(given) > most:
        raise EventError(f"event.trust.{name}: must be a list of at most {most}")
    return given


def _witness(given: object, place: str) -> Witness:
    fields = Fields(given, place)
    told = "a witness's key, NAME+ID+KEY with a key of type 04, the name at most 100 characters"
    witness = Witness(
        key=fields.text("key", WITNESS_KEY, told),
        url=fields.plain("url", URL_CHARACTERS_MAX, ""),
    )
    fields.done()
    return witness


def _authority(given: object, place: str) -> Authority:
    fields = Fields(given, place)
    told = "lower-case letters, digits and hyphens, at most 32"
    authority = Authority(
        name=fields.text("name", AUTHORITY_NAME, told),
        root_sha256=_sha256(fields.take("root_sha256", ""), f"{place}.root_sha256"),
        url=fields.plain("url", URL_CHARACTERS_MAX, ""),
    )
    fields.done()
    return authority


def _sha256(given: object, place: str) -> bytes:
    try:
        data = base64.b64decode(str(given).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        data = b""
    if len(data) != 32 or base64.b64encode(data).decode() != given:
        raise EventError(f"{place}: must be 32 bytes in canonical base64")
    return data
