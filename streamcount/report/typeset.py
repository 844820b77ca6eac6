"""Pages from a typst template and values: the same bytes for the same input, wherever it is done.

    typeset(template, values, dated=...)    template: typst source, which reads the values by
                                                #let given = json(bytes(sys.inputs.given))

Fonts are those that come with the packages of the extra `report`, never the machine's: FAMILY for text in
both scripts, MONO for keys. A page is PDF/A-3a: all fonts are in it, it carries its text in the order of
reading, and a character that no font has is an error, not a box. Files of the machine cannot be read from a
template, nor packages be fetched by one.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FAMILY: Final = "IBM Plex Sans Arabic"
MONO: Final = "DejaVu Sans Mono"
_FONTS: Final = "fontpkg_ibm_plex_sans_arabic"
_STANDARD: Final = "a-3a"


class TypesetError(Exception):
    """The pages cannot be made; the message says why, and what to do."""


def typeset(template: str, values: Mapping[str, Any], *, dated: int) -> bytes:
    """Return the PDF that a template makes of these values, which JSON must be able to carry.

    `dated`: the date in the file's description, in Unix seconds; the clock's would be another each time.

    Raises:
        TypesetError: a character has no glyph, or the template does not compile.
        ModuleNotFoundError: a package of the extra `report` is not installed.
    """
    typst = importlib.import_module("typst")
    folder = Path(importlib.import_module(_FONTS).ROOT) / "files"
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(folder)]
    )
    missing = {FAMILY, MONO} - set(fonts.families())
    if missing:
        raise TypesetError(
            f"{folder}: has no font {', '.join(sorted(missing))}; "
            f"install it anew: pip install --force-reinstall 'streamcount[report]'"
        )
    with tempfile.TemporaryDirectory(prefix="streamcount-") as empty:
        try:
            pages, warnings = typst.compile_with_warnings(
                template.encode(),
                root=empty,
                package_path=empty,
                package_cache_path=empty,
                font_paths=fonts,
                ignore_system_fonts=True,
                format="pdf",
                sys_inputs={"given": json.dumps(values, ensure_ascii=False)},
                pdf_standards=[_STANDARD],
                timestamp=dated,
            )
        except typst.TypstError as error:
            hints = "".join(f"; {hint}" for hint in error.hints)
            raise TypesetError(f"the page cannot be made: {error.message}{hints}") from error
    if warnings:
        raise TypesetError(f"the page cannot be made: {warnings[0].message}")
    return bytes(pages)
