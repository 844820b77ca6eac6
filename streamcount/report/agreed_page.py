"""The sheet as pages to print and sign, one for each language, set from the text that is in the log's pack.

So a page says what sheet.txt says, word for word, and names its hash. What is added is a QR code of the
key; what may be changed is the digits of the Arabic page.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from streamcount.core import sheet
from streamcount.core.sheet import BLANK, Block, Heading, Notice, Part, Row
from streamcount.report.typeset import FAMILY, MONO, typeset
from streamcount.words import LANGUAGES, catalogue

_TEMPLATE: Final = "agreed.typ"
_ISOLATES: Final = "\u2066\u2069"
# What runs left to right in an Arabic text stands in isolates; of that, only dates and times have digits
# that may be written in the other way.
_PIECES = re.compile("(\u2066[^\u2066\u2069]*\u2069)")
_TIME = re.compile("\u2066[0-9:/]+\u2069")
# Not those of a name such as SHA-256.
_NUMBER = re.compile(r"(?<![A-Za-z0-9-])[0-9]+(?:,[0-9]+)*")
# A number and its unit stay on one line.
_UNIT = re.compile(r"(?<=[0-9]) (?=(?:s|ث)\b)")
_ARABIC: Final = str.maketrans("0123456789,", "٠١٢٣٤٥٦٧٨٩٬")


def agreed_pages(data: bytes, languages: Sequence[str], *, arabic_digits: bool = False) -> bytes:
    """Return a sheet in these languages as one PDF; the same bytes for the same sheet.

    Raises:
        SheetError: it is no sheet, or one that another version of this program wrote in another form.
        TypesetError: a character has no glyph.
        ModuleNotFoundError: a package of the extra `report` is not installed.
    """
    read = sheet.read(sheet.decode(data))
    if len(read.parts) != len(LANGUAGES):
        raise sheet.SheetError(
            f"{len(read.parts)} parts, one for each language is what it must have"
        )
    digest = hashlib.sha256(data).hexdigest()
    parts = [
        _page(part, language, read.key, digest, arabic=arabic_digits and language == "ar")
        for language, part in zip(LANGUAGES, read.parts, strict=True)
        if language in languages
    ]
    # In the order that was asked for.
    parts.sort(key=lambda one: list(languages).index(one["language"]))
    template = (resources.files(__package__) / "templates" / _TEMPLATE).read_text("utf-8")
    values = {"family": FAMILY, "mono": MONO, "qr": _qr(read.key), "parts": parts}
    return typeset(template, values, dated=0)


def _page(part: Part, language: str, key: str, digest: str, *, arabic: bool) -> dict[str, Any]:
    words = catalogue(language)
    return {
        "language": language,
        "title": part.title,
        "qr": words.say("sheet_qr"),
        "footer": words.say("sheet_footer", name=words.ltr("sheet.txt"), hash=words.ltr(digest)),
        "blocks": [_values(block, key, arabic=arabic) for block in part.blocks],
    }


def _values(block: Block, key: str, *, arabic: bool) -> dict[str, str]:
    match block:
        case Row(label, text) if text == BLANK:
            return {"kind": "blank", "label": label}
        case Row(label, text) if text.strip(_ISOLATES) == key:
            return {"kind": "key", "label": label, "text": key}
        case Row(label, text):
            return {"kind": "row", "label": label, "text": _digits(text, arabic=arabic)}
        case Heading(text):
            return {"kind": "heading", "text": text}
        case Notice(text):
            return {"kind": "notice", "text": text}
        case _:
            return {"kind": "paragraph", "text": _digits(block.text, arabic=arabic)}


def _digits(text: str, *, arabic: bool) -> str:
    text = _UNIT.sub("\u00a0", text)
    return "".join(map(_arabic, _PIECES.split(text))) if arabic else text


def _arabic(piece: str) -> str:
    if not piece.startswith(_ISOLATES[0]):
        return _NUMBER.sub(lambda found: found[0].translate(_ARABIC), piece)
    return piece.translate(_ARABIC) if _TIME.fullmatch(piece) else piece


def _qr(key: str) -> str:
    """Return the key as a QR code, in SVG."""
    segno = importlib.import_module("segno")
    out = io.BytesIO()
    segno.make(key, error="m", micro=False).save(out, kind="svg", border=0, xmldecl=False)
    return out.getvalue().decode()
