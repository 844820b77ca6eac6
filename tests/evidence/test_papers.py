"""evidence/papers: sheet and roots in a pack are those of the first entry; a sheet from outside names the key."""

from __future__ import annotations

import hashlib

import pytest

from streamcount.core import canonical
from streamcount.evidence.bundle import export
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.tlog import note
from tests.evidence.certificates import certificate, trust, witness_key
from tests.evidence.forging import Forger, contents, make
from tests.evidence.test_second import NODE, Cases

NAMES = ["README.txt", "log.vkey", "sheet.txt", "trust/tsa-1.pem", "trust/tsa-2.pem", "checkpoint"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"), **trust("tsa-1", "tsa-2", witnesses=("w",)))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return make(tmp_path_factory.mktemp("other"), seed=2)


def test_a_pack_has_its_papers_in_their_places(made):
    files = contents(made.path)
    assert list(files)[:6] == NAMES
    findings = made.verify()
    assert findings.exit_code == 0
    assert findings.sheet == files["sheet.txt"].decode()
    assert findings.sheet_sha256 == hashlib.sha256(files["sheet.txt"]).hexdigest()


CHANGED = {
    "sheet.txt": lambda data: data.replace(b"11 s", b"12 s"),
    "trust/tsa-1.pem": lambda data: data + b"\n",
    "trust/tsa-2.pem": lambda _: b"",
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_paper_does_not_hold_whoever_signed_the_manifest(made, tmp_path, name):
    forger = Forger(made)
    changed = CHANGED[name](forger.papers[name])
    assert changed != forger.papers[name]
    forger.papers[name] = changed
    path = forger.write(tmp_path)
    findings = made.verify(path)
    assert findings.wrong == f"{name}: not the file that the log was begun with"
    assert findings.exit_code == 1


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
def test_both_verifiers_judge_papers_alike(made, tmp_path):
    cases = Cases(tmp_path)
    cases.add(made)
    for name, change in CHANGED.items():
        forger = Forger(made)
        forger.papers[name] = change(forger.papers[name])
        cases.add(made, forger.write(tmp_path))
        forger.order = tuple(one for one in forger.order if one != name)
        cases.add(made, forger.write(tmp_path))
    forger = Forger(made)
    forger.order = (*forger.order, "trust/tsa-3.pem")
    forger.papers["trust/tsa-3.pem"] = forger.papers["trust/tsa-1.pem"]
    cases.add(made, forger.write(tmp_path))
    for change in WRONG_TRUST.values():
        forger = Forger(made)
        agreed = canonical.load(forger.entries[0])["event"]
        change(agreed["trust"])
        forger.change(0, event=agreed)
        cases.add(made, forger.write(tmp_path))
    assert cases.compare() == 1


@pytest.mark.parametrize("name", NAMES[2:5])
def test_a_missing_paper_does_not_hold(made, tmp_path, name):
    forger = Forger(made)
    forger.order = tuple(one for one in forger.order if one != name)
    path = forger.write(tmp_path)
    assert made.verify(path).wrong == f"{name}: missing, or a file that has no place in a pack"


def test_a_root_that_nobody_agreed_on_has_no_place(made, tmp_path):
    forger = Forger(made)
    forger.papers["trust/tsa-3.pem"] = forger.papers["trust/tsa-1.pem"]
    forger.order = (*forger.order, "trust/tsa-3.pem")
    path = forger.write(tmp_path)
    assert "trust/tsa-3.pem: missing, or a file that has no place" in made.verify(path).wrong


def test_the_sheet_that_was_kept_gives_the_key(made, other):
    kept = contents(made.path)["sheet.txt"]
    findings = made.verify(key=None, sheet=kept)
    assert findings.exit_code == 0
    assert findings.key_from_outside
    assert findings.as_dict()["sheet_from_outside"] is True
    assert "key" not in findings.unchecked
    assert made.verify(sheet=kept).exit_code == 0
    assert made.verify(key=f"\u2066{made.key}\u2069\n", sheet=kept).exit_code == 0
    # Another log's sheet names another key, whatever the pack says of itself.
    assert other.verify(key=None, sheet=kept).fault.code == "other_key"
    assert made.verify(key=other.key, sheet=kept).fault.code == "sheet_key"


def test_without_key_or_sheet_it_is_said_where_the_key_stands(made):
    findings = made.verify(key=None)
    assert "key" in findings.unchecked
    said = dict(zip(findings.unchecked, findings.not_checked, strict=True))["key"]
    assert "the sheet that was signed before the opening" in said


def test_a_sheet_with_another_word_in_it_is_not_the_one(made):
    kept = contents(made.path)["sheet.txt"]
    findings = made.verify(key=None, sheet=kept.replace(b"11 s", b"12 s"))
    assert findings.fault.code == "other_sheet"
    assert findings.exit_code == 1


@pytest.mark.parametrize("odd", [b"", b"\xff", b"x" * 70_000, b"streamcount.sheet/v1\n"])
def test_what_is_no_sheet_is_refused(made, odd):
    findings = made.verify(key=None, sheet=odd)
    assert findings.fault.code == "sheet"
    assert findings.exit_code == 1


def test_a_sheet_with_a_key_that_is_none_is_refused(made):
    assert made.verify(key=None, sheet=b"streamcount.sheet/v1\nx\n").fault.code == "key_given"


def test_a_damaged_archive_is_not_exported(tmp_path):
    made = make(tmp_path)
    (tmp_path / "lesson" / "sheet.txt").unlink()
    with pytest.raises(ArchiveError, match="sheet.txt: No such file"):
        export(ArchiveReader(tmp_path / "lesson"), tmp_path / "again.zip")
    assert not (tmp_path / "again.zip").exists()
    assert made.verify().exit_code == 0


def spoilt(key):
    name, _, rest = key.split("+", 2)
    return f"{name}+00000000+{rest}"


WRONG_TRUST = {
    "id": lambda trust: trust["witnesses"][0].update(key=spoilt(witness_key("w"))),
    "type": lambda trust: trust["witnesses"][0].update(key=note.Verifier("w", bytes(32)).vkey()),
    "point": lambda trust: trust["witnesses"][0].update(
        key=note.Verifier("w", bytes(32), note.COSIGNATURE).vkey()
    ),
    "name": lambda trust: trust["witnesses"][0].update(key=witness_key("w" * 101)),
    "quorum": lambda trust: trust.update(quorum=2),
    "none": lambda trust: trust.update(witnesses=[]),
    "root": lambda trust: trust["authorities"][0].update(root_sha256="A" * 43 + "="),
    "twice": lambda trust: trust["authorities"][1].update(name="tsa-1"),
    "url": lambda trust: trust["authorities"][1].update(url="x" * 201),
}


@pytest.mark.parametrize("change", WRONG_TRUST.values(), ids=WRONG_TRUST)
def test_a_trust_that_breaks_a_rule_does_not_hold(made, tmp_path, change):
    forger = Forger(made)
    agreed = canonical.load(forger.entries[0])["event"]
    change(agreed["trust"])
    forger.change(0, event=agreed)
    assert made.verify(forger.write(tmp_path)).exit_code == 1


def test_a_root_of_another_certificate_does_not_hold(made, tmp_path):
    forger = Forger(made)
    forger.papers["trust/tsa-1.pem"] = trust("tsa-9")["roots"]["tsa-9"]
    assert certificate("tsa-9") != certificate("tsa-1")
    assert made.verify(forger.write(tmp_path)).fault.code == "paper"
