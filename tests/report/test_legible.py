"""report/legible: what no page can show is replaced where it stands, visibly, and said; nothing else changes."""

from __future__ import annotations

from streamcount.report.content import content
from streamcount.report.legible import TRIES_MAX, Odd, legible, without_glyph
from streamcount.report.pages import pages, shows
from tests.report.logs_told import definition, entries, findings
from tests.report.test_documents import MAKERS, made, text_of

HOSTILE = "a 🎉 漢 \u202eb\x07"


def hostile():
    title = {"en": HOSTILE, "ar": "عنوان 🎉"}
    told = [
        (3, {"type": "note", "text": "note 🧑"}),
        (4, {"type": "exclude", "pseudonyms": ["0" * 32], "reason": "漢"}),
    ]
    return content(findings(), entries(definition(title=title), told=told, ticks=60))


def test_what_can_be_shown_stays_as_it_is():
    plain = content(findings(), entries(ticks=60))
    assert legible(plain, lambda _: True) == (plain, [])
    assert legible(plain, shows) == (plain, [])


def test_a_character_without_a_glyph_becomes_its_number_and_is_said_with_its_place():
    found, odd = legible(hostile(), shows)
    assert found.definition["title"]["en"] == "a [U+1F389] [U+6F22] \ufffdb\ufffd"
    assert found.of("note")[0].entry["text"] == "note [U+1F9D1]"
    places = {(one.place, one.number) for one in odd}
    assert {
        ("event.title.en", "U+1F389"),
        ("event.title.ar", "U+1F389"),
        ("event.title.en", "U+202E"),
    } <= places
    assert {one.character for one in odd if one.place.startswith("entry ")} == {"🧑", "漢"}
    assert found.claim_bytes == hostile().claim_bytes


def test_every_document_of_a_hostile_log_can_be_made_and_says_what_was_replaced():
    found, _ = legible(hostile(), shows)
    for name in MAKERS:
        for language in ("en", "ar"):
            assert "U+1F389" in text_of(pages(made(name, language, found), dated=found.dated))
    assert "stand as their numbers" in " ".join(
        text_of(pages(made("claim", "en", found), dated=1)).split()
    )


def test_few_tries_are_needed_and_many_are_not_made():
    tries = []

    def has(text):
        tries.append(text)
        return not set(text) & set("xyz")

    assert without_glyph([chr(n) for n in range(0x61, 0x7B)], has) == set("xyz")
    assert len(tries) < 26
    tries.clear()
    lots = [chr(n) for n in range(0x4E00, 0x5E00)]
    assert without_glyph(lots, tries.append) == set(lots)
    assert len(tries) == TRIES_MAX
    assert Odd("a", "é").number == "U+00E9"
