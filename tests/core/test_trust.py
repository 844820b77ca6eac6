"""core/trust: who else was to see the log is stated strictly, and reads back to the same."""

from __future__ import annotations

import base64

import pytest

from streamcount.core.event import parse_event
from streamcount.core.fields import EventError
from streamcount.core.trust import Trust, parse_trust
from streamcount.tlog import note

POINT = note.Signer("w", bytes(32)).verifier.public
KEY = note.Verifier("witness.example/w1", POINT, note.COSIGNATURE).vkey()
OTHER = note.Verifier(
    "witness.example/w2", note.Signer("w", bytes([1]) * 32).verifier.public, note.COSIGNATURE
).vkey()
TWIN = note.Verifier("witness.example/w2", POINT, note.COSIGNATURE).vkey()
ROOT = base64.b64encode(bytes(range(32))).decode()
FULL = {
    "witnesses": [{"key": KEY, "url": "https://witness.example"}, {"key": OTHER, "url": ""}],
    "quorum": 1,
    "authorities": [{"name": "tsa-1", "root_sha256": ROOT, "url": "http://tsa.example/tsr"}],
}


def test_nobody_is_trusted_unless_named():
    assert parse_trust({}) == Trust((), 0, ())
    event = parse_event({"id": "a", "title": {"en": "A"}})
    assert event.as_dict()["trust"] == {"witnesses": [], "quorum": 0, "authorities": []}


def test_plain_values_read_back_to_an_equal_trust():
    trust = parse_trust(FULL)
    assert trust.as_dict() == FULL
    assert parse_trust(trust.as_dict()) == trust
    assert [one.name for one in trust.witnesses] == ["witness.example/w1", "witness.example/w2"]
    assert trust.authorities[0].root_sha256 == bytes(range(32))


WITNESS = FULL["witnesses"][0]
AUTHORITY = FULL["authorities"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"witnesses": {}}, "witnesses: must be a list of at most 8"),
        ({"witnesses": [WITNESS] * 9}, "witnesses: must be a list of at most 8"),
        ({"witnesses": [WITNESS] * 2}, "two witnesses have the same name"),
        ({"witnesses": [WITNESS, {"key": TWIN, "url": ""}]}, "two witnesses have the same key"),
        ({"witnesses": [7]}, r"witnesses\[0\]: must be an object"),
        ({"witnesses": [{"key": note.Verifier("w", POINT).vkey()}]}, "key of type 04"),
        ({"witnesses": [{"key": "w " + KEY}]}, "key of type 04"),
        ({"witnesses": [{"key": "w" * 100 + KEY}]}, "name at most 100 characters"),
        ({"witnesses": [{**WITNESS, "url": "x" * 201}]}, r"\[0\].url: must be text of at most 200"),
        ({"witnesses": [{**WITNESS, "weight": 1}]}, r"\[0\].weight: is not a field"),
        ({"witnesses": [], "quorum": 1}, "quorum: 1 of 0"),
        ({"quorum": 0}, "quorum: 0 of 2"),
        ({"quorum": 3}, "quorum: 3 of 2"),
        ({"quorum": True}, "quorum: must be a whole number"),
        ({"authorities": [AUTHORITY] * 5}, "authorities: must be a list of at most 4"),
        ({"authorities": [AUTHORITY] * 2}, "two authorities have the same name"),
        ({"authorities": [{**AUTHORITY, "name": "TSA"}]}, r"\[0\].name: must be lower-case"),
        ({"authorities": [{**AUTHORITY, "root_sha256": ROOT[:-1]}]}, "must be 32 bytes"),
        ({"authorities": [{**AUTHORITY, "root_sha256": None}]}, "must be 32 bytes"),
        ({"authorities": [{**AUTHORITY, "root_sha256": "AAAA"}]}, "must be 32 bytes"),
        ({"authorities": [{"name": "tsa"}]}, "must be 32 bytes"),
        ({"auditors": []}, "event.trust.auditors: is not a field"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(change, said):
    with pytest.raises(EventError, match=said):
        parse_trust({**FULL, **change})


def test_a_witnesss_key_is_read_as_one_and_as_nothing_else():
    witness = note.parse_witness(KEY)
    assert (witness.name, witness.public, witness.vkey()) == ("witness.example/w1", POINT, KEY)
    with pytest.raises(note.NoteError, match="type 01"):
        note.parse_vkey(KEY)
    name, _, rest = KEY.split("+", 2)
    with pytest.raises(note.NoteError, match="id in it does not belong"):
        note.parse_witness(f"{name}+00000000+{rest}")
    with pytest.raises(note.NoteError, match="type 04"):
        note.parse_witness(note.Verifier("w", POINT).vkey())
    with pytest.raises(note.NoteError, match="point"):
        note.parse_witness(note.Verifier("w", bytes(32), note.COSIGNATURE).vkey())
