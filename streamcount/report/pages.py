"""Documents as PDF: blocks and a template, set by typst; and the proofs that are attached to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Final

from streamcount.report.blocks import Document
from streamcount.report.typeset import FAMILY, TypesetError, typeset

_TEMPLATE: Final = "document.typ"
# A page of nothing but a text: it fails when a glyph is missing.
_PROBE: Final = """
#let given = json(bytes(sys.inputs.given))
#set document(title: "-")
#set text(font: given.family)
#given.text
"""
# Points. Forms are read at arm's length and written on; the claim is dense and has columns.
_SIZE_OF_FORMS: Final = 10.0
_SIZE_OF_CLAIM: Final = 8.0


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file inside a PDF: its bytes as they are."""

    name: str
    data: bytes
    mime: str
    description: str
    relationship: str = "data"


def pages(
    *documents: Document,
    dated: int,
    arabic_digits: bool = False,
    attached: Sequence[Attachment] = (),
) -> bytes:
    """Return documents, one after another and each in its own language, as one PDF; always the same bytes.

    `dated`: the date in the file's description, Unix seconds.

    Raises:
        TypesetError: a character has no glyph.
        ModuleNotFoundError: a package of the extra `report` is not installed.
    """
    template = (resources.files(__package__) / "templates" / _TEMPLATE).read_text("utf-8")
    values = {
        "family": FAMILY,
        "documents": [_values(document, arabic_digits=arabic_digits) for document in documents],
        "attached": [asdict(one) | {"data": [*one.data]} for one in attached],
    }
    return typeset(template, values, dated=dated)


def _values(document: Document, *, arabic_digits: bool) -> dict[str, Any]:
    arabic = arabic_digits and document.language == "ar"
    return document.as_dict() | {
        "size": _SIZE_OF_FORMS if document.columns_from is None else _SIZE_OF_CLAIM,
        "numerals": "١" if arabic else "1",
    }


def shows(text: str) -> bool:
    """Tell whether the fonts have every character of a text.

    Raises:
        ModuleNotFoundError: as above.
    """
    try:
        typeset(_PROBE, {"text": text, "family": FAMILY}, dated=0)
    except TypesetError:
        return False
    return True
