"""report/typeset: the same bytes each time, all fonts inside, and no character without a glyph."""

from __future__ import annotations

import io

import pypdf
import pytest

from streamcount.report.typeset import FAMILY, MONO, TypesetError, typeset

TEMPLATE = """
#let given = json(bytes(sys.inputs.given))
#set document(title: given.text)
#set text(font: "IBM Plex Sans Arabic", lang: "ar")
#given.text
#text(font: "DejaVu Sans Mono", dir: ltr, given.key)
"""
KEY = "log.example/lesson/0011223344556677+89abcdef+AbCd/=="


def page(text, key=KEY):
    return typeset(TEMPLATE, {"text": text, "key": key}, dated=1_795_175_673)


def test_the_same_input_gives_the_same_bytes():
    assert page("درس 2,135") == page("درس 2,135") != page("درس 2,136")


def test_a_page_carries_its_text_and_every_font_it_uses():
    read = pypdf.PdfReader(io.BytesIO(page("A lesson، درسٌ ١٢٣")))
    text = read.pages[0].extract_text()
    assert "A lesson" in text
    assert KEY in text
    fonts = [font.get_object() for font in read.pages[0]["/Resources"]["/Font"].values()]
    assert {font["/BaseFont"][8:] for font in fonts} == {
        FAMILY.replace(" ", "") + "-Regular",
        MONO.replace(" ", ""),
    }
    for font in fonts:
        described = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert any(name.startswith("/FontFile") for name in described)


def test_what_arabic_needs_has_its_glyphs():
    page("أإآءئؤىةًٌٍَُِّْ ٠١٢٣٤٥٦٧٨٩ ٪٫٬ ،؛؟ «» – — … ✓ \u200c\u200d\u2066abc\u2069 ﷺ")


@pytest.mark.parametrize("odd", ["漢", "🎉"])
def test_a_character_that_no_font_has_is_an_error(odd):
    with pytest.raises(TypesetError, match=f"cannot be made: .*{odd}"):
        page(f"text {odd}")


def test_a_template_that_does_not_compile_is_an_error():
    with pytest.raises(TypesetError, match="unknown variable: nothing"):
        typeset("#nothing", {}, dated=0)
    with pytest.raises(TypesetError, match="unknown font family"):
        typeset('#set text(font: "Nowhere Sans")\nx', {}, dated=0)


def test_a_template_reads_no_file_of_the_machine():
    with pytest.raises(TypesetError, match="cannot be made"):
        typeset('#read("/etc/hostname")', {}, dated=0)
