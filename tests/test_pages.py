"""The pages people read: links lead somewhere, Arabic and English belong together, commands exist."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from pathlib import Path

import pytest
import typer.main

from streamcount.cli import app
from streamcount.core.event import check_texts, parse_event

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for folder in (ROOT, ROOT / "docs", ROOT / "streamcount", ROOT / ".github")
    for page in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
)
ARABIC_PAGES = [page for page in PAGES if page.name.endswith(".ar.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app)


def named(page):
    return str(page.relative_to(ROOT))


def prose(text):
    """A page without its blocks of code."""
    return FENCE.sub("", text)


def anchors(page):
    """The names under which GitHub links a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


def links(text):
    """Where a page's links and pictures lead, but for other sites."""
    text = re.sub(r"`[^`\n]*`", "", prose(text))
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(
        r"<(?:img|a)[^>]+(?:src|href)=\"([^\"]+)", text
    )
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def leads_nowhere(page, link):
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


def unknown(line):
    """What of a command line the program does not have; None if all of it is there."""
    words = shlex.split(line.partition(" # ")[0], posix=True)
    command, rest = COMMANDS, words[words.index("streamcount") + 1 :]
    while rest and hasattr(command, "commands"):
        if rest[0] not in command.commands:
            return rest[0]
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name for option in command.params for name in option.opts} | {"--help"}
    return next((one for one in rest if re.match(r"--?[a-z]", one) and one not in options), None)


def commands(text):
    """Every call of the program on a page, in blocks and in the middle of sentences."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(r"\s*(?:\.venv/bin/)?(streamcount [a-z].*)", line):
                yield found[1]
    for call in re.findall(r"`((?:\.venv/bin/)?streamcount [a-z][^`\n]*)`", prose(text)):
        yield call.removeprefix(".venv/bin/")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_inside_the_pages_leads_somewhere(page):
    assert [link for link in links(page.read_text("utf-8")) if leads_nowhere(page, link)] == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Some heading\n\n[a](#some-heading) [b](#other) ![c](none.png) [d](https://x.example)\n"
    )
    wrong = [link for link in links(page.read_text()) if leads_nowhere(page, link)]
    assert wrong == ["#other", "none.png"]


# --- Arabic pages ---


def test_there_are_arabic_pages():
    assert {named(page) for page in ARABIC_PAGES} >= {
        "README.ar.md",
        "docs/embed.ar.md",
        "docs/before-the-event.ar.md",
    }


@pytest.mark.parametrize("page", ARABIC_PAGES, ids=named)
def test_an_arabic_page_and_its_english_one_link_to_each_other(page):
    english = page.with_name(page.name.replace(".ar.md", ".md"))
    assert english.name in links(page.read_text("utf-8"))
    assert page.name in links(english.read_text("utf-8"))


@pytest.mark.parametrize("page", ARABIC_PAGES, ids=named)
def test_an_arabic_page_has_the_blocks_of_code_of_its_english_one(page):
    """What is typed or pasted is the same in both; but for the language asked for, and words in them."""
    if page.name == "README.ar.md":
        return  # shorter than the English one
    english = page.with_name(page.name.replace(".ar.md", ".md"))
    blocks = [
        [
            (kind, re.sub(r'--lang \w\w|title="[^"]*"', "", block))
            for kind, block in FENCE.findall(one.read_text("utf-8"))
        ]
        for one in (english, page)
    ]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("page", ARABIC_PAGES, ids=named)
def test_an_arabic_page_runs_from_right_to_left(page):
    """A paragraph's direction is that of its first letter; heading anchors hold no marks that links lose."""
    text = prose(page.read_text("utf-8"))
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:- |\d+\. |#+ ))", text):
        plain = re.sub(r"<[^>]*>|^\s*-? ?\[ \]", "", paragraph.strip())
        plain = re.sub(r"\]\([^)]*\)", "]", plain).replace("!", "")
        first = next((c for c in plain if unicodedata.bidirectional(c) in {"L", "R", "AL"}), "ا")
        assert unicodedata.bidirectional(first) == "AL", paragraph
    for heading in re.findall(r"^## (.+)$", text, re.MULTILINE):
        assert not any(unicodedata.combining(c) for c in heading), heading


@pytest.mark.parametrize("page", ARABIC_PAGES, ids=named)
def test_code_in_an_arabic_sentence_stays_in_one_piece(page):
    """Signs at its edges would go to the other side; between letters they stay."""
    for before, code in re.findall(r"(.{0,16})`([^`\n]+)`", prose(page.read_text("utf-8"))):
        whole = code[0].isalnum() and code[-1].isalnum()
        assert whole or before.endswith('<span dir="ltr">'), code


@pytest.mark.parametrize("page", ARABIC_PAGES, ids=named)
def test_an_arabic_page_says_that_no_native_reader_has_read_it(page):
    assert "لم يراجع متحدثٌ أصليٌّ بالعربية هذه النصوص بعد" in page.read_text("utf-8")


def test_what_comes_before_the_event_begins_with_what_is_not_proven():
    first = [
        (ROOT / "docs" / f"before-the-event{lang}.md").read_text("utf-8").splitlines()[0]
        for lang in ("", ".ar")
    ]
    assert first == [
        "**Viewers outside your page are not proven; send them to your page.**",
        "**من يشاهد خارج صفحتك لا يُثبت عدّه؛ أرسل المشاهدين إلى صفحتك.**",
    ]


# What the pages quote of the program, by its key in the catalogue.
QUOTED = {
    "embed": """test_begin watch_play check_sum_counted check_sum_ready check_player_no_player check_connection_blocked
        check_code_4403 check_code_4404 check_beat_paused check_noted_no_progress""",
    "before-the-event": "create test_begin open_event close_event not_reached stage_final",
}


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("name", QUOTED)
def test_what_a_page_quotes_of_the_program_is_what_it_says(name, language):
    words = json.loads((ROOT / "streamcount" / "words" / f"{language}.json").read_text("utf-8"))
    page = ROOT / "docs" / (f"{name}.md" if language == "en" else f"{name}.ar.md")
    text = page.read_text("utf-8").lower()
    for key in QUOTED[name].split():
        pieces = re.split(r"\{\w+\}", words[key].rstrip(".").lower())
        assert all(piece.strip() in text for piece in pieces), key


# --- What is typed ---


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_on_a_page_exists_with_its_options(page):
    assert [call for call in commands(page.read_text("utf-8")) if unknown(call)] == []


def test_commands_are_found_and_unknown_ones_seen():
    text = "```sh\n.venv/bin/streamcount verify a.zip --lang ar  # so\n```\nor `streamcount evnt open x`\n"
    assert [unknown(call) for call in commands(text)] == [None, "evnt"]
    assert unknown("streamcount verify a.zip --nothing 3") == "--nothing"
    assert unknown("streamcount event exclude a --viewer x --reason y") is None
    page = (ROOT / "docs" / "before-the-event.md").read_text("utf-8")
    assert len(list(commands(page))) > 15


def test_the_definitions_on_the_pages_are_ones():
    for page in PAGES:
        if page.name.startswith("before-the-event"):
            ((_, block),) = [
                found for found in FENCE.findall(page.read_text("utf-8")) if found[0] == "json"
            ]
            event = parse_event(json.loads(block) | {"id": "lesson"})
            check_texts(event)
            assert event.kind == "attempt"
