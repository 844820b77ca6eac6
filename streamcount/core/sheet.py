"""The sheet of what was agreed: a text for people, of few forms of line, so that a page can be set from it.

    streamcount.sheet/v1
    <the log's verifier key>
                                then for each language, English first:
    # title of the part
    ! what must not be overlooked
    ## heading
    - label: text               a row; its text is BLANK where somebody writes by hand
    anything else               a paragraph

One text has one value and the other way round: `read(write(sheet))` is the sheet. A verifier reads the key
from a sheet that was kept outside, and nothing else; the rest is for people (docs/evidence-format.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEAD: Final = "streamcount.sheet/v1"
NAME: Final = "sheet.txt"
# Bound of the format: docs/evidence-format.md states it.
SHEET_BYTES_MAX: Final = 65_536
BLANK: Final = "_" * 24


class SheetError(ValueError):
    """The bytes are no sheet; the message says why."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A section begins."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What must not be overlooked."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A label, which has no colon and space in it, and what belongs to it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or several."""

    text: str


Block = Heading | Notice | Row | Paragraph


@dataclass(frozen=True, slots=True)
class Part:
    """All of it in one language."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: the log's key, and the parts, English first."""

    key: str
    parts: tuple[Part, ...]


def write(sheet: Sheet) -> str:
    """Return the text of a sheet."""
    lines = [HEAD, sheet.key]
    for part in sheet.parts:
        lines += ["", f"# {part.title}", ""]
        for block in part.blocks:
            match block:
                case Heading(text):
                    lines += ["", f"## {text}", ""]
                case Notice(text):
                    lines.append(f"! {text}")
                case Row(label, text):
                    lines.append(f"- {label}: {text}")
                case Paragraph(text):
                    lines.append(text)
    return "\n".join(lines) + "\n"


def read(text: str) -> Sheet:
    """Read a text that `write` wrote.

    Raises:
        SheetError: it is another one.
    """
    lines = text.split("\n")
    parts: list[tuple[str, list[Block]]] = []
    for line in (line for line in lines[2:] if line):
        if line.startswith("# "):
            parts.append((line[2:], []))
        elif parts:
            parts[-1][1].append(_block(line))
    sheet = Sheet(key_line(text), tuple(Part(title, tuple(found)) for title, found in parts))
    if write(sheet) != text:
        raise SheetError("a sheet in another form than this program writes")
    return sheet


def _block(line: str) -> Block:
    if line.startswith("## "):
        return Heading(line[3:])
    if line.startswith("! "):
        return Notice(line[2:])
    label, colon, text = line[2:].partition(": ")
    if line.startswith("- ") and colon:
        return Row(label, text)
    return Paragraph(line)


def decode(data: bytes) -> str:
    """Return a sheet's bytes as text.

    Raises:
        SheetError: they are too many, or not UTF-8.
    """
    if len(data) > SHEET_BYTES_MAX:
        raise SheetError(f"{len(data)} bytes, {SHEET_BYTES_MAX} is the most")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SheetError("not UTF-8") from error


def key_line(text: str) -> str:
    """Return the log's verifier key as a sheet states it: the second line.

    Raises:
        SheetError: the text does not begin as a sheet does.
    """
    head, _, rest = text.partition("\n")
    key, newline, _ = rest.partition("\n")
    if head != HEAD or not newline:
        raise SheetError(f"does not begin with a line {HEAD} and one with the log's key")
    return key
