"""Witnesses of an event as its key's owner may have named them: both verifiers take, and refuse, the same."""

from __future__ import annotations

import pytest

from streamcount.core import canonical
from streamcount.tlog import note
from tests.evidence.forging import Forger, Made, make
from tests.evidence.test_second import NODE, Cases

pytestmark = pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")


@pytest.fixture
def cases(tmp_path):
    (tmp_path / "cases").mkdir()
    return Cases(tmp_path / "cases")


def witness(name, seed):
    public = note.Signer("w", bytes([seed]) * 32).verifier.public
    return {"key": note.Verifier(name, public, note.COSIGNATURE).vkey(), "url": ""}


def test_one_key_is_one_witness_under_whatever_names(cases, tmp_path):
    """A cosignature does not say its witness's name: under another one it would be counted again."""
    made = make(tmp_path, ticks=3, people=3)
    named = [
        [witness("w1", 1), witness("w2", 2)],  # holds
        [witness("w1", 1), witness("w2", 1)],
        [witness("w1", 1), witness("w1", 2)],
        [witness("w1", 1), witness("w2", 2), witness("w3", 1)],
    ]
    for number, witnesses in enumerate(named):
        forger = Forger(made)
        event = canonical.load(forger.entries[0])["event"]
        trust = event["trust"] | {"witnesses": witnesses, "quorum": 1}
        forger.change(0, event=event | {"trust": trust})
        # A claim that repeats the definition, or states the root before it, is put right by whoever forges.
        forger.entries = forger.entries[:1]
        forger.stored, forger.stage = forger.stored[:1], "interim"
        folder = tmp_path / str(number)
        folder.mkdir()
        forged = Made(forger.write(folder), made.signer, made.checkpoint)
        # What holds both verifiers read alike in test_second.py; here it is what neither may take.
        if number:
            cases.add(forged)
        else:
            assert forged.verify().wrong is None
    assert cases.compare() == 0
    assert [report.wrong is None for report in cases.ours] == [False, False, False]
