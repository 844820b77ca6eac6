"""core/sheet and core/papers: one sheet is one text, one certificate one file."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import papers, sheet
from streamcount.core.sheet import BLANK, Heading, Notice, Paragraph, Part, Row, Sheet

WORDS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" :"), max_size=20)
LINES = WORDS.map(lambda text: f"x{text}")
LABELS = LINES.filter(lambda text: ": " not in text and not text.endswith(":"))
BLOCKS = (
    LINES.map(Heading)
    | LINES.map(Notice)
    | LINES.map(Paragraph)
    | st.builds(Row, LABELS, WORDS | st.just(BLANK))
)
SHEETS = st.builds(
    Sheet,
    LINES,
    st.lists(st.builds(Part, LINES, st.lists(BLOCKS, max_size=8).map(tuple)), max_size=3).map(
        tuple
    ),
)


@given(SHEETS)
def test_what_is_written_is_read_back(made):
    text = sheet.write(made)
    assert sheet.read(text) == made
    assert sheet.key_line(text) == made.key


GOOD = sheet.write(Sheet("name+00+key", (Part("Agreed", (Heading("The event"), Row("a", "b"))),)))


def test_a_sheet_is_plain_to_read():
    assert GOOD == ("streamcount.sheet/v1\nname+00+key\n\n# Agreed\n\n\n## The event\n\n- a: b\n")


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "x",
        f"{sheet.HEAD}\nkey",
        GOOD[1:],
        GOOD + "\n",
        GOOD.replace("\n\n#", "\n#", 1),
        GOOD.replace("\n", "\r\n"),
    ],
)
def test_another_text_is_not_read(odd):
    with pytest.raises(sheet.SheetError):
        sheet.read(odd)


def test_bytes_that_are_no_text_or_too_many_are_refused():
    assert sheet.decode(b"x" * sheet.SHEET_BYTES_MAX)
    with pytest.raises(sheet.SheetError, match="65537 bytes"):
        sheet.decode(b"x" * (sheet.SHEET_BYTES_MAX + 1))
    with pytest.raises(sheet.SheetError, match="UTF-8"):
        sheet.decode(b"\xff")


@given(st.binary(min_size=1, max_size=200))
def test_a_certificate_has_one_spelling(der):
    assert papers.read_pem(papers.write_pem(der)) == der


DER = bytes(range(100))
PEM = papers.write_pem(DER)


@pytest.mark.parametrize(
    "odd",
    [
        b"", PEM[:-1], PEM + b"\n", b"\n" + PEM, PEM * 2, PEM.replace(b"\n", b"\r\n"), DER,
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(DER) + b"\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        PEM.replace(b"CERTIFICATE", b"X509 CRL"), PEM.replace(b"\nA", b"\n A"),
        papers.write_pem(bytes(papers.PEM_BYTES_MAX)),
    ],
)  # fmt: skip
def test_another_spelling_is_refused(odd):
    with pytest.raises(papers.PemError):
        papers.read_pem(odd)
