"""`streamcount backup`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from streamcount.cli.terminal import DataOption, JsonOption, err, fail, load_settings, out
from streamcount.config import Settings


def backup(
    to: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy all events, with their keys, while they go on. Keep the copy as secret as the keys in it.

    What is put back, and how: docs/runbook.md. An event that was still going on is taken from a backup by
    `streamcount adopt` alone.
    """
    settings = load_settings(Settings, data=data)
    from streamcount.notary.backup import BackedUp, back_up
    from streamcount.notary.reading import ArchiveError

    def tell(event: BackedUp) -> None:
        if not as_json:
            kind = "final" if event.final else "going on"
            out.print(f"{event.event:<24}{event.entries:>10,} entries  {kind}", highlight=False)

    left_out: dict[str, str] = {}

    def leave_out(event: str, error: Exception) -> None:
        left_out[event] = str(error)
        err.print(f"event {event} is NOT in the backup: {error}", style="bold red", highlight=False)

    try:
        done = back_up(settings.data, to, tell, leave_out)
    except (ArchiveError, OSError) as error:
        fail(error)
    if as_json:
        print(json.dumps([asdict(event) for event in done]))
    else:
        out.print(f"{len(done)} events in {to}/", highlight=False)
    if left_out:
        fail(f"{len(left_out)} events could not be copied: see above")
