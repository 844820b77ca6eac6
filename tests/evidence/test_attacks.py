"""The rows of docs/attacks.md: each made as an operator with all files and all keys would.

A row that is caught asserts the check that catches it; and where nothing can, that a pack made so holds, so
that the page does not promise what is not there. What is kept outside is taken from the true event, before
the attack.
"""

from __future__ import annotations

import contextlib
import random
import re
import shutil
from pathlib import Path

import pytest

from streamcount.core import canonical, segment, values
from streamcount.core.claim import ClaimEntry
from streamcount.core.entries import TickEntry
from streamcount.evidence.bundle import export
from streamcount.evidence.witnessed import Outside
from streamcount.notary.reading import ArchiveReader
from streamcount.tlog import cosignature, note
from streamcount.tlog.merkle import block_root
from tests.evidence.authority import OPENSSL, Authority, faketime_library
from tests.evidence.forging import Forger, Made, contents, make
from tests.evidence.logs import FIRST, Author, definition
from tests.evidence.resigning import resigned
from tests.evidence.test_second import CASES, ODD, mutate
from tests.evidence.trusted import Witnessed

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"
stamping = pytest.mark.skipif(
    OPENSSL is None or faketime_library() is None, reason="needs openssl and libfaketime"
)


class Operator:
    """Whoever runs the event: begins one log, and can write on from its beginning as often as they like."""

    def __init__(self, folder, **change):
        self.folder = folder
        Author(folder / "begun", definition(**change)).done()

    def history(self, name, *, people=5, ticks=20, left_out=()):
        """A history from the same first entry, under the same key: so many people for so many seconds."""
        folder = self.folder / name
        shutil.copytree(self.folder / "begun", folder)
        author = Author.again(folder)
        author.open()
        for number in range(ticks):
            here = set(range(people)) - set(left_out)
            author.tick(here, new=[0] * people if number == 0 else [])
        author.finish()
        author.done()
        return pack_of(folder)


def pack_of(folder):
    reader = ArchiveReader(folder)
    reader.refresh()
    out = folder.with_suffix(".zip")
    export(reader, out)
    return Made(out, reader.signer, reader.signed)


@pytest.fixture
def operator(tmp_path):
    return Operator(tmp_path)


def number_of(findings):
    assert findings.wrong is None
    return findings.as_dict()["claim"]["value"]


def another_history(true, forged):
    """The verdict on a forged pack: alone it holds; beside what was kept of the true one it does not."""
    assert number_of(forged.verify()) != number_of(true.verify())
    return forged.verify(checkpoints=[true.checkpoint])


def test_every_row_of_the_page_is_here():
    rows = [
        line.split("|") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")
    ]
    named = {
        name for row in rows for name in re.findall(r"`(\w+)`", row[4]) if row[4].strip() != "test"
    }
    assert named == {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - {
        "every_row_of_the_page_is_here", "no_pack_changed_and_signed_by_another_holds_under_the_key_agreed_on"
    }  # fmt: skip


# --- Figures ----------------------------------------------------------------------------------------


def test_claim_raised(operator):
    made = operator.history("true")
    forger = Forger(made)
    number = forger.number(ClaimEntry)
    plain = canonical.load(forger.entries[number])
    more = plain["net"] | {
        "peak": plain["net"]["peak"] + 1,
        "qualified": plain["net"]["qualified"] + 1,
    }
    for change in ({"value": plain["value"] + 1}, {"net": more}, {"net": more, "gross": more, "value": plain["value"] + 1}):  # fmt: skip
        forger = Forger(made)
        forger.change(number, **change)
        findings = made.verify(forger.write(operator.folder))
        assert (findings.exit_code, findings.fault.code) == (1, "claim")


def test_tick_raised(operator):
    made = operator.history("true")
    for name in ("live", "proven", "present"):
        forger = Forger(made)
        number = forger.number(TickEntry, 15)
        forger.change(number, **{name: canonical.load(forger.entries[number])[name] + 1})
        findings = made.verify(forger.write(operator.folder))
        assert findings.exit_code == 1
        assert f"tick {FIRST + 15}" in findings.wrong


def test_registered_twice(operator):
    made = operator.history("true", people=2)
    forger = Forger(made)
    number = forger.number(TickEntry, 0)
    length = canonical.load(forger.entries[number])["body_bytes"]
    body = bytearray(segment.inflate(forger.stored[number], length))
    body[18:34] = body[:16]
    forger.stored[number] = segment.deflate(bytes(body))
    forger.change(number, body_root=values.plain(block_root(bytes(body), 64)))
    assert "registered twice" in made.verify(forger.write(operator.folder)).wrong


# --- Histories --------------------------------------------------------------------------------------


def test_viewers_added_later(operator):
    true, forged = operator.history("true"), operator.history("forged", people=500)
    assert another_history(true, forged).fault.code == "fork"


def test_viewers_removed_later(operator):
    true, forged = operator.history("true"), operator.history("forged", left_out={1, 2})
    assert another_history(true, forged).fault.code == "fork"


def test_ticks_removed_later(operator):
    true = operator.history("true")
    forged = operator.history("forged", ticks=18)
    assert number_of(forged.verify()) == number_of(true.verify())
    assert forged.verify(checkpoints=[true.checkpoint]).fault.code == "kept_longer"
    forger = Forger(true)
    gone = forger.number(TickEntry, 9)
    del forger.entries[gone], forger.stored[gone]
    assert f"{FIRST + 9} is next" in true.verify(forger.write(operator.folder)).wrong


def test_cut_off(operator):
    """A log that ends where it suits, with everything signed anew, is shorter than what was shown."""
    true = operator.history("true")
    forger = Forger(true)
    forger.entries, forger.stored = forger.entries[:15], forger.stored[:15]
    forger.stage = "interim"
    cut = forger.write(operator.folder)
    assert true.verify(cut).wrong is None
    assert true.verify(cut, checkpoints=[true.checkpoint]).fault.code == "kept_longer"


def test_fork(operator):
    """Each of the two that were shown something convicts the other one's pack. Services: tests/notary/test_witnessing."""
    one, other = operator.history("one"), operator.history("other", people=6)
    for pack, kept in ((one, other), (other, one)):
        findings = pack.verify(checkpoints=[kept.checkpoint])
        assert findings.fault.code == "fork"
        assert "together they prove a fork" in findings.wrong


def test_second_log(operator, tmp_path):
    """The same event counted in two logs, to show the better one; the sheet has the key of the first."""
    agreed = operator.history("true")
    better = Operator(tmp_path / "again").history("better", people=9)
    sheet = contents(agreed.path)["sheet.txt"]
    assert better.verify(key=agreed.key).fault.code == "other_key"
    assert better.verify(key=None, sheet=sheet).exit_code == 1
    assert better.verify(key=None).wrong is None
    assert "key" in better.verify(key=None).unchecked


# --- What was agreed --------------------------------------------------------------------------------


def test_sheet_exchanged(operator):
    made = operator.history("true")
    sheet = contents(made.path)["sheet.txt"].replace(b"lesson", b"lessen")
    assert made.verify(resigned(made, operator.folder, {"sheet.txt": sheet})).fault.code == "paper"
    assert made.verify(key=None, sheet=sheet).exit_code == 1


def test_definition_changed(operator):
    """A friendlier definition afterwards needs another first entry, which is under every checkpoint."""
    true = operator.history("true")
    forger = Forger(true)
    forger.define(target=3)
    findings = true.verify(forger.write(operator.folder), checkpoints=[true.checkpoint])
    assert findings.fault.code == "fork"


def test_exclusions_seen(tmp_path):
    """Who is left out can be read, with and without them is counted, and both stand in the claim."""
    author = Author(tmp_path / "lesson", definition())
    author.open()
    for number in range(20):
        author.tick(set(range(7)), new=[0] * 7 if number == 0 else [])
        if number == 10:
            author.exclude(5, 6, reason="a script")
    author.finish()
    author.done()
    plain = pack_of(tmp_path / "lesson").verify().as_dict()["claim"]
    assert (plain["gross"]["peak"], plain["net"]["peak"], plain["value"]) == (7, 5, 5)
    assert plain["exclusions"] == [{"reason": "a script", "viewers": 2}]


def test_claim_replaced(operator):
    """A superseded claim stays; taking it out is another history."""
    true = operator.history("true")
    author = Author.again(operator.folder / "true")
    author.correct(0, reason="a helper of ours")
    author.done()
    corrected = pack_of(operator.folder / "true")
    findings = corrected.verify(checkpoints=[true.checkpoint])
    assert number_of(findings) == 4
    assert findings.as_dict()["claim"]["version"] == 2
    forger = Forger(corrected)
    gone = forger.number(ClaimEntry)
    del forger.entries[gone], forger.stored[gone]
    last = forger.number(ClaimEntry)
    forger.change(last, version=1, supersedes=None, reason="")
    hidden = forger.write(operator.folder)
    assert number_of(corrected.verify(hidden)) == 4
    assert corrected.verify(hidden, checkpoints=[true.checkpoint]).exit_code == 1


# --- Witnesses and time -----------------------------------------------------------------------------


@stamping
def test_written_in_advance(tmp_path):
    authority = Authority(tmp_path / "authority")
    event = Witnessed(tmp_path, {"first": authority}).finish()
    size = event.reader.checkpoint.size
    token = authority.token(event.text(), now=FIRST - 3600)
    made = event.stamp("first").made()
    forged = resigned(made, tmp_path, {f"time/{size}.first.tsr": token})
    assert made.verify(forged).fault.code == "token_early"


@stamping
def test_dated_back(tmp_path):
    """An event that says it was yesterday: the token is from today, and how late it is is said."""
    authority = Authority(tmp_path / "authority")
    event = Witnessed(tmp_path, {"first": authority}).finish()
    findings = event.stamp("first", when=FIRST + 25 + 86_400).verify()
    assert findings.wrong is None
    assert findings.as_dict()["time_lag_s"]["claim"] == 86_400


@stamping
def test_proofs_left_out(tmp_path):
    authority = Authority(tmp_path / "authority")
    event = Witnessed(tmp_path, {"first": authority}).finish().keep(0, 1).stamp("first")
    made = event.made()
    assert made.verify().as_dict()["levels"] == ["L1", "L2", "L3"]
    names = [name for name in contents(made.path) if name.startswith(("checkpoints/", "time/"))]
    bare = resigned(made, tmp_path, dict.fromkeys(names))
    findings = made.verify(bare)
    assert findings.as_dict()["levels"] == ["L1"]
    assert {"witnessed", "timed"} <= set(findings.unchecked)


def test_own_witnesses(tmp_path):
    """A stranger's line has no place; and witnesses that one policy trusts need not be those of another."""
    event = Witnessed(tmp_path).finish().keep(0, 1)
    made, size = event.made(), event.reader.checkpoint.size
    puppet = note.Signer("puppet.example", bytes(range(32)))
    line = cosignature.cosign(puppet, event.text(), FIRST + 40)
    forged = resigned(made, tmp_path, {f"checkpoints/{size}": event.point() + line})
    assert made.verify(forged).fault.code == "kept_point"
    asked = f"witness mine {cosignature.witness_of(puppet).vkey()}\nquorum mine\n".encode()
    log = f"log {made.key}\n".encode()
    assert made.verify(outside=Outside(log + asked)).as_dict()["levels"] == ["L1"]


@stamping
def test_own_authority(tmp_path):
    agreed, own = Authority(tmp_path / "agreed"), Authority(tmp_path / "own")
    event = Witnessed(tmp_path, {"first": agreed}).finish().stamp("first")
    made, size = event.made(), event.reader.checkpoint.size
    token = own.token(event.text(), now=FIRST + 60)
    forged = resigned(made, tmp_path, {f"time/{size}.first.tsr": token})
    assert made.verify(forged).fault.code == "token"
    forged = resigned(made, tmp_path, {f"time/{size}.first.tsr": token, "trust/first.pem": own.pem})
    assert made.verify(forged).fault.code == "paper"
    assert made.verify(outside=Outside(roots=[own.pem])).exit_code == 1


# --- By others ---------------------------------------------------------------------------------------


def test_no_pack_changed_and_signed_by_another_holds_under_the_key_agreed_on(tmp_path):
    """Whoever changes a pack without the key can sign it with one of their own, of the same name."""
    made = make(tmp_path, streams=2, ticks=20, people=15, excludes=0.1)
    stranger = note.Signer(made.signer.name, bytes(32))
    draw = random.Random(7)
    told = 0
    for _ in range(CASES):
        forger = Forger(made, stranger)
        forger.rooted = draw.random() < 0.9
        with contextlib.suppress(*ODD):
            mutate(forger, draw)
        # As a forger would who knows the format: the first entry names the key that signs.
        with contextlib.suppress(*ODD, IndexError):
            forger.change(0, key=stranger.verifier.vkey())
        if forger.entries:
            forged = forger.write(tmp_path)
            findings = made.verify(forged)
            assert (findings.exit_code, findings.fault.code) == (1, "other_key")
            told += made.verify(forged, key=None).wrong is None
    assert told > 0
