"""`streamcount event sheet`: what was agreed, as the text that is in the pack and as pages to sign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streamcount.cli.documents import Digits, Languages
from streamcount.cli.terminal import DataOption, fail, load_settings, out, shown
from streamcount.config import Settings
from streamcount.core.event import EVENT_ID
from streamcount.core.sheet import NAME, SHEET_BYTES_MAX, SheetError, decode
from streamcount.notary.reading import ArchiveError, ArchiveReader


def event_sheet(
    event_id: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .pdf to print, a page for each language; or a .txt, the file to keep.",
            show_default="the text, here",
        ),
    ] = None,
    lang: Annotated[Languages, typer.Option(help="Languages of the pages.")] = Languages.BOTH,
    digits: Annotated[Digits, typer.Option(help="Digits of the Arabic page.")] = Digits.WESTERN,
    kept: Annotated[
        Path | None,
        typer.Option("--from", help="A sheet.txt that was kept, in the place of an event here."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Show or print what was agreed, to be read and signed before the event opens.

    It is made once, with the event; its hash is in the log. No service needs to run.
    """
    if (event_id is None) == (kept is None):
        fail("name an event, or a sheet that was kept with --from", 2)
    text = _of_event(event_id, data) if event_id is not None else _kept(kept)
    if output is None:
        sys.stdout.write(text.decode("utf-8"))
        return
    if output.suffix not in {".pdf", ".txt"}:
        fail(f"--output {output}: must end in .pdf or .txt", 2)
    made = text if output.suffix == ".txt" else _pages(text, lang, digits)
    try:
        output.write_bytes(made)
    except OSError as error:
        fail(f"--output {output}: {error.strerror}")
    out.print(f"written to {shown(output)}", soft_wrap=True)


def _of_event(event_id: str, data: Path | None) -> bytes:
    folder = load_settings(Settings, data=data).data / "events" / event_id
    if not EVENT_ID.fullmatch(event_id) or not folder.is_dir():
        fail(f"there is no event {event_id} in {folder.parent}")
    try:
        return ArchiveReader(folder).papers()[NAME]
    except (ArchiveError, OSError) as error:
        fail(error)


def _kept(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        with path.open("rb") as file:
            text = file.read(SHEET_BYTES_MAX + 1)
        decode(text)
    except OSError as error:
        fail(f"--from {path}: {error.strerror}", 2)
    except SheetError as error:
        fail(f"--from {path}: {error}", 2)
    return text


def _pages(text: bytes, lang: Languages, digits: Digits) -> bytes:
    from streamcount.report.agreed_page import agreed_pages
    from streamcount.report.typeset import TypesetError

    languages = ["ar", "en"] if lang is Languages.BOTH else [lang.value]
    try:
        return agreed_pages(text, languages, arabic_digits=digits is Digits.ARABIC)
    except (SheetError, TypesetError) as error:
        fail(f"{error}. The text itself is the sheet: name a .txt as --output, and print that")
