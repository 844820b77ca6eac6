"""Options of `event create` about what is agreed with others: who sees the log, who organises, and when."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcount.cli.terminal import fail
from streamcount.core.papers import PEM_BYTES_MAX

WitnessOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A witness's key, and behind a space the address at which it is asked; may be repeated.",
        metavar="'KEY [URL]'",
    ),
]
QuorumOption = Annotated[
    int | None,
    typer.Option(
        help="How many witnesses must have cosigned a checkpoint.",
        show_default="more than half of them",
        min=1,
    ),
]
AuthorityOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A timestamping authority (RFC 3161): its name here, its address, and a file with its root "
        "certificate in PEM; may be repeated.",
        metavar="NAME=URL,FILE",
    ),
]
StartOption = Annotated[
    str | None, typer.Option(help="Planned start, such as '2026-12-05 20:00', in --timezone.")
]
EndOption = Annotated[str | None, typer.Option(help="Planned end, likewise.")]


def trust_of(
    witnesses: list[str] | None, quorum: int | None, authorities: list[str] | None
) -> dict[str, Any]:
    """Return the `trust` of a definition as the API takes it: with certificates in it."""
    if quorum is not None and not witnesses:
        fail("--quorum: there is no --witness", 2)
    named = [_witness(given) for given in witnesses or []]
    if quorum is None:
        quorum = len(named) // 2 + 1 if named else 0
    found = [_authority(given) for given in authorities or []]
    return {"witnesses": named, "quorum": quorum, "authorities": found}


def _witness(given: str) -> dict[str, str]:
    key, *rest = given.split()
    if len(rest) > 1:
        fail(f"--witness {given}: must be a key, or a key, a space and an address", 2)
    return {"key": key, "url": rest[0] if rest else ""}


def _authority(given: str) -> dict[str, str]:
    name, equals, rest = given.partition("=")
    url, comma, where = rest.rpartition(",")
    if not equals or not comma:
        fail(f"--authority {given}: must be NAME=URL,FILE", 2)
    try:
        with Path(where).open("rb") as file:
            text = file.read(PEM_BYTES_MAX + 1).decode("ascii", "replace")
    except OSError as error:
        fail(f"--authority {given}: {where}: {error.strerror}", 2)
    return {"name": name, "url": url, "root_pem": text}


def second_of(given: str | None, zone: str, option: str) -> int | None:
    """Return a time of day at a place as a Unix second."""
    if given is None:
        return None
    try:
        at = dt.datetime.fromisoformat(given)
        if at.tzinfo is None:
            at = at.replace(tzinfo=zoneinfo.ZoneInfo(zone))
        return int(at.timestamp())
    except (ValueError, OverflowError, OSError, zoneinfo.ZoneInfoNotFoundError):
        fail(
            f"{option} {given}: must be a time such as '2026-12-05 20:00', in a zone that exists", 2
        )
