"""`verify --lang`: the whole report is in the catalogue's words, and says the same in both languages."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

from streamcount.cli.report import Language, chosen, report
from streamcount.core.entries import ClaimEntry, TickEntry
from streamcount.evidence.bundle import export
from streamcount.evidence.fault import FaultError
from streamcount.evidence.findings import NOT_CHECKED, OF_PLATFORMS, Findings
from streamcount.evidence.verify import verify
from streamcount.notary.reading import ArchiveReader
from streamcount.words import catalogue
from tests.evidence.forging import Forger, make, rewrite
from tests.evidence.logs import Author, some_event
from tests.service import run

PACKAGE = Path(__file__).parents[2] / "streamcount"
ARABIC = re.compile(r"[\u0621-\u064a]")
# Names of things in the pack and the program, in Latin letters wherever they stand.
NAMES = r"manifest|checkpoint|log\.vkey|streamcount|REHEARSAL|CRC-32|SHA-256|NAME\+HASH\+KEY"


def faults():
    """Every code with which something can be wrong, and its English where it is found."""
    for path in (PACKAGE / "evidence").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            # Other errors than faults take one argument.
            called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if called.endswith("Error") and len(node.args) > 1:
                code, english = (argument.value for argument in node.args)
                yield code, english, sorted(word.arg for word in node.keywords)


FAULTS = sorted({(code, english, tuple(values)) for code, english, values in faults()})


def lines(findings, language):
    return [line.plain for line in report(findings, catalogue(language))]


def outside_isolates(line):
    """A line without what is isolated; asserts that isolates are opened and closed one by one."""
    rest = re.sub("\u2066[^\u2066\u2069]*\u2069", "", line)
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", rest), line
    return rest


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    title = {"en": "The lesson", "ar": "الدرس الكبير"}
    return make(folder, kind="rehearsal", title=title, timezone="Asia/Riyadh")


def test_what_can_be_wrong_is_in_the_catalogue_word_for_word():
    english = {code: text for code, text, _ in FAULTS}
    assert len(english) == len(FAULTS) > 40, "a code with two meanings"
    words = json.loads((PACKAGE / "words" / "en.json").read_text("utf-8"))
    there = {
        key.removeprefix("verify_wrong_"): text
        for key, text in words.items()
        if key.startswith("verify_wrong_")
    }
    assert there == english


@pytest.mark.parametrize(("code", "english", "values"), FAULTS, ids=[one[0] for one in FAULTS])
def test_what_is_wrong_is_said_in_both_languages(code, english, values):
    given = {name: f"<{name}>" if name[0] != "n" or name == "name" else 7 for name in values}
    findings = Findings(fault=FaultError(code, english, **given))
    assert lines(findings, "en") == [f"DOES NOT HOLD: {english.format(**given)}"]
    (arabic,) = lines(findings, "ar")
    assert arabic.startswith("غير سليمة: ")
    assert not re.search("[A-Za-z]", re.sub(NAMES, "", outside_isolates(arabic)))
    for name, value in given.items():
        assert (str(value) if value == 7 else f"\u2066<{name}>\u2069") in arabic


def test_what_was_not_checked_is_said_in_both_languages():
    options = {"key": "--key", "history": "--checkpoint"}
    for code, english in (NOT_CHECKED | OF_PLATFORMS).items():
        said = catalogue("en").say(
            f"verify_unchecked_{code}", option=options.get(code), option_sheet="--sheet"
        )
        assert said == english
    codes = [*NOT_CHECKED, *OF_PLATFORMS]
    findings = Findings(unchecked=codes)
    assert len(lines(findings, "en")) == len(lines(findings, "ar")) == len(codes) + 1
    assert "النبضات جاءت من أشخاص" in "\n".join(lines(findings, "ar"))


def test_the_arabic_report_is_arabic_but_for_what_the_pack_holds(made):
    said = run("verify", str(made.path), "--lang", "ar", "--key", made.key).stdout
    for line in said.splitlines():
        assert line.startswith("[تجربة / REHEARSAL] ")
        assert ARABIC.search(line)
        assert not re.search("[A-Za-z]", re.sub(NAMES, "", outside_isolates(line))), line
    assert "سليمة: كل ما جرى التحقق منه" in said
    assert re.search(
        "الذروة المؤكدة: \\d+، في نهاية الثانية \u2066[-0-9: ]+ Asia/Riyadh\u2069", said
    )
    assert f"المفتاح: \u2066{made.key}\u2069 (معطى من خارج الحزمة)" in said
    assert "الدرس الكبير \u2066The lesson\u2069" in said


def test_both_languages_say_as_much(made):
    findings = made.verify(checkpoints=[made.checkpoint])
    english, arabic = lines(findings, "en"), lines(findings, "ar")
    assert len(english) == len(arabic) > 10
    digits = [re.findall(r"\d+", line) for line in english]
    assert [sorted(found) for found in digits] == [
        sorted(re.findall(r"\d+", line)) for line in arabic
    ]


@pytest.mark.parametrize(
    ("kind", "change", "english", "arabic"),
    [
        (ClaimEntry, {"value": 2135}, "the claim says value 2135", "النتيجة المعلنة إن \u2066value\u2069 يساوي 2135"),
        (TickEntry, {"live": 9999}, "the entry says live 9999", "المدخلة إن \u2066live\u2069 يساوي 9999"),
    ],
)  # fmt: skip
def test_a_forged_figure_is_named_in_both_languages(made, tmp_path, kind, change, english, arabic):
    forger = Forger(made)
    forger.change(forger.number(kind), **change)
    findings = made.verify(forger.write(tmp_path))
    assert english in lines(findings, "en")[0]
    assert arabic in lines(findings, "ar")[0]
    assert findings.as_dict()["wrong_code"] == ("claim" if kind is ClaimEntry else "tick")


def test_machines_get_codes_beside_the_english(made, tmp_path):
    pack = rewrite(made.path, tmp_path, {"README.txt": b"hello"})
    done = run("verify", str(pack), "--lang", "ar", "--json", check=False)
    plain = json.loads(done.stdout)
    assert done.returncode == 1
    assert plain["wrong"] == "README.txt: not the file that was signed (SHA-256 differs)"
    assert plain["wrong_code"] == "file_changed"
    assert plain["not_checked_codes"] == list(NOT_CHECKED)
    assert len(plain["not_checked"]) == len(NOT_CHECKED)


def test_a_key_copied_from_an_arabic_report_is_a_key(made):
    said = run("verify", str(made.path), "--lang", "ar").stdout
    (key,) = re.findall("المفتاح: (\u2066[^ ]+\u2069)", said)
    assert run("verify", str(made.path), "--key", key).returncode == 0


def test_a_title_cannot_turn_or_forge_lines_of_an_arabic_report(tmp_path):
    title = {"en": "A\u2069\u202e\nالمفتاح: x", "ar": "درس\u2066\x1b[8m"}
    made = make(tmp_path, title=title, ticks=3)
    said = run("verify", str(made.path), "--lang", "ar").stdout
    for line in said.splitlines():
        outside_isolates(line)
    assert "\x1b" not in said
    assert len([line for line in said.splitlines() if line.startswith("المفتاح")]) == 1


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "ar_SA.UTF-8"}, "ar"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "ar_SA.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "ar_EG"}, "ar"),
    ],
)
def test_the_terminals_locale_chooses_unless_asked(monkeypatch, environment, language):
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen(None).language == language
    assert chosen(Language.EN).language == "en"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--key", "no-file"], "ليس مفتاح سجل"),
        (["--checkpoint", "no-file"], "لا يمكن فتحه"),
    ],
)
def test_verify_called_wrongly_says_so_in_the_language_asked_for(made, arguments, said):
    done = run("verify", str(made.path), "--lang", "ar", *arguments, check=False, env=os.environ)
    assert done.returncode == 2
    assert said in done.stderr
    assert "\ufffd" not in done.stderr


def test_a_superseded_claim_is_told_with_its_rules_in_both_languages(tmp_path):
    rules = {"id": "ours", "presence_s": 5, "duration_s": 99, "single_stream": True}
    some_event(tmp_path / "lesson", rule_profile=rules, excludes=0.05, streams=2)
    author = Author.again(tmp_path / "lesson")
    author.note("seen by the jury")
    author.correct(1_000, reason="a program")
    author.done()
    reader = ArchiveReader(tmp_path / "lesson")
    export(reader, tmp_path / "pack.zip")
    findings = verify(tmp_path / "pack.zip")
    plain, claim = findings.as_dict(), findings.course.claim
    assert (plain["claim"]["version"], plain["notes"]) == (2, ["seen by the jury"])
    english, arabic = lines(findings, "en"), lines(findings, "ar")
    for there in (
        f"claimed     {claim.value} viewers at one instant",
        f"gross, net  peak {claim.gross.peak} with everybody who was excluded, {claim.net.peak} without",
        "rules       ours: the event was NOT what they ask for",
        "            open for 40 s; at least 99 s are asked for",
        "            streams: 2; a single one is asked for",
        f"            of the {claim.net.peak} at the peak, those there for at least 5 s: {claim.value}",
        "            no body that keeps records has endorsed these rules",
        f"superseded  claim 1 of the log, which said {plain['superseded'][0]['value']}: a program",
        "note        seen by the jury",
    ):
        assert there in english
    assert f"الرقم المعلن: {claim.value} من المشاهدين في لحظة واحدة" in arabic
    assert "- لم تعتمد هذه القواعدَ أي جهة تسجل الأرقام القياسية" in arabic
    assert "ملاحظة: \u2066seen by the jury\u2069" in arabic
    digits = [[sorted(re.findall(r"\d+", line)) for line in said] for said in (english, arabic)]
    assert digits[0] == digits[1]
