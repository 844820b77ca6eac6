"""Documents as PDF: blocks and a template, set by typst; and the proofs that are attached to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Final

from streamcount.report.blocks import Document
from streamcount.report.typeset import FAMILY, typeset

_TEMPLATE: Final = "document.typ"
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
    document: Document,
    *,
    dated: int,
    arabic_digits: bool = False,
    attached: Sequence[Attachment] = (),
) -> bytes:
    """Return a document as PDF, the same bytes for the same document.

    `dated`: the date in the file's description, Unix seconds.

    Raises:
        TypesetError: a character has no glyph.
        ModuleNotFoundError: a package of the extra `report` is not installed.
    """
    template = (resources.files(__package__) / "templates" / _TEMPLATE).read_text("utf-8")
    arabic = arabic_digits and document.language == "ar"
    values = document.as_dict() | {
        "family": FAMILY,
        "size": _SIZE_OF_FORMS if document.columns_from is None else _SIZE_OF_CLAIM,
        "numerals": "١" if arabic else "1",
        "attached": [asdict(one) | {"data": [*one.data]} for one in attached],
    }
    return typeset(template, values, dated=dated)
