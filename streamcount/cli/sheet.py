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
from streamcount.core.sheet import NAME, SheetError
from streamcount.notary.reading import ArchiveError, ArchiveReader


def event_sheet(
    event_id: Annotated[str, typer.Argument(metavar="ID")],
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
    data: DataOption = None,
) -> None:
    """Show or print what was agreed, to be read and signed before the event opens.

    It is made once, with the event; its hash is in the log. No service needs to run.
    """
    folder = load_settings(Settings, data=data).data / "events" / event_id
    if not EVENT_ID.fullmatch(event_id) or not folder.is_dir():
        fail(f"there is no event {event_id} in {folder.parent}")
    try:
        text = ArchiveReader(folder).papers()[NAME]
    except (ArchiveError, OSError) as error:
        fail(error)
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


def _pages(text: bytes, lang: Languages, digits: Digits) -> bytes:
    from streamcount.report.agreed_page import agreed_pages
    from streamcount.report.typeset import TypesetError

    languages = ["ar", "en"] if lang is Languages.BOTH else [lang.value]
    try:
        return agreed_pages(text, languages, arabic_digits=digits is Digits.ARABIC)
    except (SheetError, TypesetError) as error:
        fail(f"{error}. The text itself is the sheet: name a .txt as --output, and print that")
