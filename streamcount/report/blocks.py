"""What a document is made of, before it is a page or a text: blocks of words, in the order of reading.

The same blocks become a PDF (`templates/document.typ`) and a text that can be edited (`plain.py`), so
that both say the same. Everything is a finished string in the document's language; no block knows digits,
time zones or the log.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from streamcount.report.curve import Picture


@dataclass(frozen=True, slots=True)
class Heading:
    """A section begins."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; a `loud` one must not be overlooked."""

    text: str
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list without order."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Labels, each with what belongs to it."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `numbers` says from which column on they are numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: int


@dataclass(frozen=True, slots=True)
class Code:
    """A label, and what is read from left to right in any language: a key, a command."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Blank:
    """A label, and so many lines to write on by hand."""

    label: str
    lines: int


@dataclass(frozen=True, slots=True)
class Signature:
    """Lines to sign on, side by side."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hero:
    """The number, and what it is, large."""

    number: str
    caption: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """The curve, its labels in words: places as in `Picture`, texts at them."""

    picture: Picture
    seconds: tuple[str, ...]
    counts: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]
    described: str


Block = Heading | Paragraph | Bullets | Rows | Table | Code | Blank | Signature | Hero | Figure


@dataclass(frozen=True, slots=True)
class Document:
    """A document in one language.

    `marks` stand on every page: that it is a rehearsal, or interim. `page_of` has braces for the page's
    number and how many there are. Blocks from number `columns_from` on stand in two columns.
    """

    name: str
    language: str
    title: str
    subtitle: str
    marks: tuple[str, ...]
    footer: str
    page_of: str
    blocks: tuple[Block, ...]
    columns_from: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the document as plain values, each block with its kind."""
        plain = asdict(self)
        plain["blocks"] = [
            {"kind": type(block).__name__.lower()} | values
            for block, values in zip(self.blocks, plain["blocks"], strict=True)
        ]
        return plain
