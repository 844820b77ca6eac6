"""A document as a text that can be edited: Markdown, in the document's language.

Nothing of a pack is markup in it: characters that Markdown reads are escaped. In Arabic the page's
direction is left to whoever opens it, as a plain text has none; what runs from left to right is isolated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from streamcount.report import blocks as b

_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#+!|~$-])")
_LINE: Final = "\\_" * 60


def markdown(document: b.Document) -> str:
    """Return the document as Markdown."""
    lines = [f"**{_safe(mark)}**\n" for mark in document.marks]
    lines += [f"# {_safe(document.title)}\n", f"{_safe(document.subtitle)}\n"]
    for block in document.blocks:
        lines += [*_block(block), ""]
    lines.append(f"---\n\n{_safe(document.footer)}")
    return "\n".join(lines) + "\n"


def _block(block: b.Block) -> Iterator[str]:
    match block:
        case b.Heading():
            yield f"## {_safe(block.text)}"
        case b.Paragraph():
            yield f"**{_safe(block.text)}**" if block.loud else _safe(block.text)
        case b.Bullets():
            yield from (f"- {_safe(item)}" for item in block.items)
        case b.Rows():
            yield from (f"- **{_safe(label)}:** {_safe(value)}" for label, value in block.rows)
        case b.Table():
            yield _cells(block.head)
            yield "|" + " --- |" * len(block.head)
            yield from (_cells(row) for row in block.rows)
        case _:
            yield from _form(block)


def _form(block: b.Block) -> Iterator[str]:
    match block:
        case b.Code():
            yield f"{_safe(block.label)}:\n\n    {block.text}"
        case b.Blank():
            yield f"{_safe(block.label)}:\n"
            yield from [f"{_LINE}\n"] * block.lines
        case b.Signature():
            yield from (f"{_safe(label)}: {_LINE}\n" for label in block.labels)
        case b.Hero():
            yield f"**{_safe(block.number)}** {_safe(block.caption)}\n"
            yield from (f"{_safe(line)}\n" for line in block.lines)
        case _:  # a picture
            return


def _cells(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_safe(cell) for cell in cells) + " |"


def _safe(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text).replace("\n", " · ")
