"""`streamcount verifier`: the page that judges open."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from streamcount.cli.terminal import JsonOption, fail, out
from streamcount.verifier import page


def verifier(
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path(
        "verify.html"
    ),
    as_json: JsonOption = False,
) -> None:
    """Write a verifier as one HTML file that any browser opens, without network or installation.

    It was written from the format's page alone. Agree on its SHA-256 before the event, as on the key:
    then nobody can hand over another one afterwards.
    """
    text = page().encode()
    try:
        output.write_bytes(text)
    except OSError as error:
        fail(error)
    found = hashlib.sha256(text).hexdigest()
    if as_json:
        print(json.dumps({"file": str(output), "bytes": len(text), "sha256": found}))
        return
    out.print(f"{output} written, {len(text):,} bytes")
    out.print(f"SHA-256  {found}", soft_wrap=True)
