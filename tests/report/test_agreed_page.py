"""report/agreed_page: a page for each language that says what the sheet says, and names its hash."""

from __future__ import annotations

import hashlib
import io

import pypdf
import pytest

from streamcount.core import sheet
from streamcount.core.sheet import SheetError
from streamcount.notary.agreed import sheet_text, spoken
from streamcount.report.agreed_page import agreed_pages
from streamcount.report.typeset import TypesetError
from streamcount.tlog import note
from tests.evidence.certificates import trust
from tests.evidence.logs import definition

KEY = note.Signer("streamcount.example/lesson/0011223344556677", bytes(range(32))).verifier.vkey()
FULL = trust("tsa-1", "tsa-2", witnesses=("w.example/one", "w.example/two", "w.example/three"))
ORDINARY = {
    "kind": "rehearsal",
    "target": 21_350,
    "organiser": {"en": "A school", "ar": "مدرسة"},
    "planned_start": 1_796_490_000,
    "planned_end": 1_796_500_000,
    "streams": [{"id": f"hall-{n}", "source": f"https://cdn.example/{n}.m3u8"} for n in range(3)],
    "rule_profile": {
        "id": "mine", "duration_s": 600, "presence_s": 60, "single_stream": False, "count": "net",
    },
    "trust": FULL["trust"],
}  # fmt: skip


def text_of(**change):
    event = definition(**ORDINARY | change)
    return sheet_text(event, KEY.partition("+")[0], KEY, "streamcount 1").encode()


def pages(data):
    return pypdf.PdfReader(io.BytesIO(data)).pages


def packed(page):
    """A page's text without spaces: long strings are broken, and Arabic is in the order of the eye."""
    return "".join(page.extract_text().split())


def test_each_language_is_one_page_with_the_key_the_title_and_the_hash():
    text = text_of()
    found = pages(agreed_pages(text, ["ar", "en"]))
    assert len(found) == 2
    for page in found:
        said = packed(page)
        assert KEY in said
        assert "Alesson" in said
        assert hashlib.sha256(text).hexdigest() in said
        assert "".join(spoken(KEY).split()) in said
        assert "REHEARSAL" in said
        assert "21,350" in said
    assert "Agreedbeforehand" in packed(found[1])
    assert "Agreedbeforehand" not in packed(found[0])


@pytest.mark.parametrize("language", ["en", "ar"])
def test_one_language_is_one_page_and_always_the_same_bytes(language):
    text = text_of()
    made = agreed_pages(text, [language])
    assert made == agreed_pages(text, [language])
    assert len(pages(made)) == 1


def test_digits_are_as_they_are_asked_for_and_names_keep_theirs():
    text = text_of()
    western = packed(pages(agreed_pages(text, ["ar"]))[0])
    arabic = packed(pages(agreed_pages(text, ["ar"], arabic_digits=True))[0])
    assert not set("٠١٢٣٤٥٦٧٨٩") & set(western)
    assert set("٢١٣٥٠") <= set(arabic)
    for kept in (KEY, "hall-0", "".join(spoken(KEY).split()), hashlib.sha256(text).hexdigest()):
        assert kept in arabic
    english = packed(pages(agreed_pages(text, ["en"], arabic_digits=True))[0])
    assert "21,350" in english


def test_more_than_fits_goes_on_over_pages():
    long = [{"id": f"s{n}", "title": {"en": "x " * 100}, "source": "y" * 500} for n in range(6)]
    found = pages(agreed_pages(text_of(streams=long), ["en"]))
    assert len(found) > 1
    assert "".join(page.extract_text() for page in found).count("y" * 20) > 6


def test_a_character_without_a_glyph_is_an_error():
    with pytest.raises(TypesetError, match="漢"):
        agreed_pages(text_of(title={"en": "漢", "ar": ""}), ["en"])


def test_what_is_no_sheet_of_ours_is_refused():
    text = text_of()
    part = sheet.write(sheet.Sheet(KEY, sheet.read(text.decode()).parts[:1])).encode()
    for odd in (b"", b"\xff", text + b"\n", part):
        with pytest.raises(SheetError):
            agreed_pages(odd, ["en"])
