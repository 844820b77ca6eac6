"""report: each document in both languages, as pages and as text; and what may never stand in one."""

from __future__ import annotations

import io
import re

import pypdf
import pytest

from streamcount.core import canonical
from streamcount.evidence.findings import NOT_CHECKED, OF_PLATFORMS
from streamcount.report.blocks import Blank, Bullets, Hero
from streamcount.report.claim import claim_document
from streamcount.report.content import content
from streamcount.report.figures import Figures
from streamcount.report.letters import cover_letter, specialist_statement, witness_statement
from streamcount.report.logbook import ROWS_MAX, incident_list, log_book
from streamcount.report.pages import Attachment, pages
from streamcount.report.plain import markdown
from streamcount.words import catalogue
from tests.report.logs_told import KEY, OPENED, claim_of, definition, entries, findings

MAKERS = {
    "claim": claim_document,
    "cover": cover_letter,
    "witness_1": lambda c, f: witness_statement(c, f, 1),
    "witness_2": lambda c, f: witness_statement(c, f, 2),
    "specialist": specialist_statement,
    "logbook": log_book,
    "incidents": incident_list,
}
ALL = [(name, language) for name in MAKERS for language in ("en", "ar")]


def made(name, language, told_content=None, **options):
    given = told_content or content(findings(), entries())
    return MAKERS[name](
        given, Figures(catalogue(language), given.definition["timezone"], **options)
    )


def read(pdf):
    return pypdf.PdfReader(io.BytesIO(pdf))


def text_of(pdf):
    return "\n".join(page.extract_text() for page in read(pdf).pages)


def squeezed(text):
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize(("name", "language"), ALL)
def test_a_document_is_the_same_bytes_each_time_and_carries_the_fingerprint(name, language):
    given = content(findings(), entries())
    one, two = (pages(made(name, language, given), dated=given.dated) for _ in range(2))
    assert one == two
    assert given.fingerprint.root in squeezed(text_of(one))
    assert "\ufffd" not in text_of(one)


def test_the_claim_has_its_number_and_its_instants_in_both_zones():
    text = text_of(pages(made("claim", "en"), dated=OPENED))
    for part in (
        "2,138",
        "20 November 2026, 15:07:31 (UTC+03:00)",
        "20 November 2026, 12:07:31 (UTC)",
    ):
        assert part in text
    assert KEY in squeezed(text)
    assert "no record body has endorsed this profile" in " ".join(text.split())


def test_a_key_can_be_copied_from_the_page_without_what_is_not_in_it():
    text = text_of(pages(made("claim", "ar"), dated=OPENED))
    assert KEY in text.replace("\n", "")


def test_whatever_verifying_leaves_unchecked_is_said_in_both_languages():
    codes = [*NOT_CHECKED, *OF_PLATFORMS]
    given = content(findings(unchecked=codes), entries(ticks=60))
    for language in ("en", "ar"):
        lists = [
            block.items
            for block in made("claim", language, given).blocks
            if isinstance(block, Bullets)
        ]
        assert len(lists[0]) == len(codes)


def test_every_page_of_what_is_no_attempt_says_so_in_both_languages():
    event = definition(kind="rehearsal")
    notes = [(n, {"type": "note", "text": "x " * 400}) for n in range(1, 13)]
    given = content(findings(), entries(event, told=notes, ticks=100))
    for name, language in ALL:
        found = read(pages(made(name, language, given), dated=given.dated))
        assert all("REHEARSAL" in page.extract_text() for page in found.pages), name
        assert "تجربة" in markdown(made(name, language, given))
    assert len(found.pages) > 3


def test_what_is_interim_says_so_and_has_no_number():
    given = content(findings(stage="interim"), entries(claim=False))
    for name, language in ALL:
        document = made(name, language, given)
        assert catalogue(language).say("report_interim") in document.marks
        assert "2,138" not in markdown(document)
    assert all(
        block.number == "INTERIM, no claim"
        for block in made("claim", "en", given).blocks
        if isinstance(block, Hero)
    )


def test_a_key_from_the_pack_alone_is_said_on_the_claim():
    said = catalogue("en").say("report_key_inside")
    inside = content(findings(key_from_outside=False), entries())
    assert said in [getattr(block, "text", "") for block in made("claim", "en", inside).blocks]
    assert said not in [getattr(block, "text", "") for block in made("claim", "en").blocks]


@pytest.mark.parametrize("name", ["witness_1", "witness_2", "specialist"])
def test_a_statement_holds_nothing_of_what_anybody_saw(name):
    """No count of any kind: neither the number claimed, nor the target, nor how many were excluded."""
    for language in ("en", "ar"):
        document = made(name, language)
        text = markdown(document)
        for number in ("2,138", "2138", "2,160", "2,000", "6,480", "6,483", "15:07:31"):
            assert number not in text
        assert sum(isinstance(block, Blank) for block in document.blocks) >= 8


def test_digits_are_the_chosen_ones_everywhere_but_in_names():
    document = made("claim", "ar", arabic_digits=True)
    text = markdown(document)
    assert "٢٬١٣٨" in text
    kept = (KEY, "L1", "L2", "L3", "SHA-256", "base64", "0.1.0", "UTC")
    for name in (*kept, document.footer):
        text = text.replace(name, "")
    told = [line for line in text.splitlines() if not line.startswith("    ")]
    found = [
        line
        for line in told
        if re.search(r"[0-9]", re.sub(r"\u2066.*?\u2069|L\d|SHA.{0,2}256|base64", "", line))
    ]
    assert found == []


def test_what_is_attached_is_there_byte_by_byte():
    given = content(findings(), entries())
    data = bytes(range(256)) * 40
    attached = [
        Attachment("claim.json", given.claim_bytes, "application/json", "the claim"),
        Attachment("checkpoint", data, "text/plain", "the checkpoint"),
    ]
    found = read(
        pages(made("claim", "ar", given), dated=given.dated, attached=attached)
    ).attachments
    assert {name: one[0] for name, one in found.items()} == {
        "claim.json": given.claim_bytes,
        "checkpoint": data,
    }


def test_streams_are_listed_by_size_and_many_of_them_as_a_sum():
    several = [
        {"id": f"s{n}", "title": {"ar": "", "en": ""}, "source": "", "platform": None}
        for n in range(60)
    ]
    given = content(findings(), entries(definition(streams=several), streams=range(60)))
    text = markdown(made("claim", "en", given))
    assert "| s59 | 59 |" in text
    assert f"| all others: 48 | {sum(range(48)):,} |" in text


def test_a_list_ends_somewhere_and_says_how_much_more_there_is():
    told = [
        (n, {"type": "gap", "kind": "loss", "reason": "x", "first": OPENED + n, "last": OPENED + n})
        for n in range(ROWS_MAX + 30)
    ]
    given = content(findings(), entries(told=told, ticks=900))
    text = markdown(made("incidents", "en", given))
    assert "and more: 30" in text


def test_markup_in_a_title_is_text():
    hostile = "#eval(1) *b* $x$ `c` <a@b> [x](y) \\ ~ _u_ @ref // no"
    event = definition(title={"en": hostile, "ar": ""})
    given = content(findings(), entries(event))
    assert squeezed(hostile) in squeezed(text_of(pages(made("claim", "en", given), dated=1)))
    assert "\\*b\\*" in markdown(made("cover", "en", given))


def test_exclusions_and_rules_that_are_not_met_stand_beside_the_number():
    event = definition()
    missed = {
        "duration_s": 60,
        "duration_ok": False,
        "streams": 1,
        "streams_ok": True,
        "pass": False,
    }
    excluded = [{"reason": "staff", "viewers": 5}, {"reason": "probes", "viewers": 2}]
    log = [*entries(event, ticks=60, claim=False)]
    log.append(canonical.dump(claim_of(event, ticks=60, profile=missed, exclusions=excluded)))
    lines = next(
        b.lines for b in made("claim", "en", content(findings(), log)).blocks if isinstance(b, Hero)
    )
    assert "Viewers excluded: 7" in lines
    assert "The rules that were agreed on are NOT met." in lines
    plain = next(b.lines for b in made("claim", "en").blocks if isinstance(b, Hero))
    assert not any("excluded" in line or "NOT" in line for line in plain)


def test_an_earlier_claim_is_on_the_page_with_why():
    event = definition()
    log = [*entries(event, ticks=60)]
    log.append(
        canonical.dump(
            claim_of(event, version=2, supersedes=len(log) - 1, reason="A tally was wrong")
        )
    )
    assert "A tally was wrong" in markdown(made("claim", "en", content(findings(), log)))
