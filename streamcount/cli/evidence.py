"""`streamcount export` and `streamcount verify`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from streamcount.cli.parquet import export_parquet
from streamcount.cli.report import LangOption, chosen, phases, report
from streamcount.cli.show import bar, bar_of_phases
from streamcount.cli.terminal import (
    DataOption,
    JsonOption,
    err,
    fail,
    load_settings,
    out,
    shown,
)
from streamcount.config import PackLimits, Settings
from streamcount.core.event import EVENT_ID
from streamcount.evidence.bundle import export
from streamcount.evidence.verify import verify
from streamcount.evidence.witnessed import Outside
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.tlog import note
from streamcount.words import Catalogue


class Format(StrEnum):
    """What an event can be exported as."""

    PACK = "pack"
    PARQUET = "parquet"


def export_command(
    event_id: Annotated[str, typer.Argument(metavar="EVENT")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The pack or the folder to write.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="An evidence pack, or Parquet files for SQL.")
    ] = Format.PACK,
    data: DataOption = None,
) -> None:
    """Write an evidence pack of an event's log, from the data directory; no service needs to run.

    Before the event is closed and final, the pack is interim and carries no claim.
    """
    folder = load_settings(Settings, data=data).data / "events" / event_id
    pack = output or Path(f"{event_id}.zip")
    try:
        if not EVENT_ID.fullmatch(event_id) or not folder.is_dir():
            fail(f"there is no event {event_id} in {folder.parent}")
        if form is Format.PARQUET:
            made = output or Path(f"{event_id}.parquet")
            export_parquet(ArchiveReader(folder), made)
            out.print(f"Parquet files written to {made}")
            return
        if pack.is_dir():
            fail(
                f"--output: {pack} is a folder; name the file to write, such as {pack / event_id}.zip"
            )
        with bar(err, "exporting") as progress:
            stage = export(ArchiveReader(folder), pack, progress)
    except (ArchiveError, OSError) as error:
        fail(error)
    out.print(f"{stage} pack written to {pack}")


def verify_command(  # noqa: PLR0913, PLR0917 (options)
    pack: Annotated[Path, typer.Argument(help="The pack, a ZIP file.")],
    key: Annotated[
        str | None,
        typer.Option(help="The log's key as agreed beforehand, or a file that holds it."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="The file sheet.txt as it was kept when it was signed; it names the key."
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint kept during the event; may be repeated.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Whose cosignatures were agreed to be enough: a C2SP tlog-policy file."),
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(help="An authority's root certificate (PEM) from elsewhere; may be repeated."),
    ] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check an evidence pack, offline: signatures, tree, every body, every tick's counts, the claim.

    Exit status 0: it holds. 1: it does not, and the first thing wrong is named. 2: it cannot be read.
    """
    words = chosen(lang)
    given = key_text(key, words)
    agreed = None if sheet is None else read_kept(sheet, words)
    kept = [read_kept(path, words) for path in checkpoint or []]
    outside = Outside(
        None if policy is None else read_kept(policy, words),
        [read_kept(path, words) for path in root or []],
    )
    limits = load_settings(PackLimits)
    with bar_of_phases(err) as progress:
        tell = phases(progress, words)
        findings = verify(
            pack,
            key=given,
            sheet=agreed,
            checkpoints=kept,
            outside=outside,
            limits=limits,
            progress=tell,
        )
    if as_json:
        print(json.dumps(findings.as_dict()))
    else:
        for line in report(findings, words):
            out.print(line, soft_wrap=True)
    raise typer.Exit(findings.exit_code)


def key_text(key: str | None, words: Catalogue) -> str | None:
    """Return the key that was given, or that the file that was given holds."""
    if key is None or "+" in key:
        return key
    try:
        return Path(key).read_text("utf-8", "replace")
    except OSError as error:
        said = words.say("verify_no_key", name=words.ltr("--key"), detail=_why(error, words))
        fail(Text(said, style="bold red"), 2)


def read_kept(path: Path, words: Catalogue) -> bytes:
    """Return a file that was kept, or its beginning if it is longer than anything of ours."""
    try:
        with path.open("rb") as file:
            return file.read(note.NOTE_BYTES_MAX + 1)
    except OSError as error:
        name = words.ltr(shown(path))
        said = words.say("verify_wrong_file", name=name, detail=_why(error, words))
        fail(Text(said, style="bold red"), 2)


def _why(error: OSError, words: Catalogue) -> str:
    return words.ltr(shown(error.strerror or error))
