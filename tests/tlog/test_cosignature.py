"""tlog/cosignature, policy and proofs: as C2SP and the RFCs write them, made independently here."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from streamcount.tlog import cosignature, merkle, note, policy, proofs
from streamcount.tlog.checkpoint import Checkpoint
from tests.evidence.consistency import consistent

LOG = note.Signer("log.example/1", b"\x01" * 32)
WITNESSES = [note.Signer(f"witness.example/{n}", bytes([n]) * 32) for n in (2, 3, 4)]
KEYS = [cosignature.witness_of(one) for one in WITNESSES]
POINT = Checkpoint(LOG.name, 5, bytes(range(32)))


def cosigned(*numbers, text=None, time=1_795_000_000):
    text = POINT.text() if text is None else text
    lines = [cosignature.cosign(WITNESSES[n], text, time + n) for n in numbers]
    return LOG.sign(text) + b"".join(lines)


# --- Cosignatures ---


def test_a_line_is_what_c2sp_says_byte_by_byte():
    private = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    public = private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(b"witness.example/2\n\x04" + public).digest()[:4]
    said = (
        b"cosignature/v1\ntime 1795000000\nlog.example/1\n5\n"
        + base64.b64encode(POINT.root)
        + b"\n"
    )
    raw = key_id + struct.pack(">Q", 1_795_000_000) + private.sign(said)
    line = "\u2014 witness.example/2 ".encode() + base64.b64encode(raw) + b"\n"
    assert cosignature.cosign(WITNESSES[0], POINT.text(), 1_795_000_000) == line
    encoded = base64.b64encode(b"\x04" + public).decode()
    vkey = f"witness.example/2+{key_id.hex()}+{encoded}"
    assert KEYS[0].vkey() == vkey
    assert note.parse_witness(vkey) == KEYS[0]


def test_the_example_of_c2sps_witness_page_is_read():
    """Two lines of one name, told apart by their ids."""
    said = (
        "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n"
        "— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==\n"
    ).encode()
    lines = cosignature.parse_lines(said)
    assert {line[0] for line in lines} == {"witness.example/w1"}
    assert len({line[1] for line in lines}) == 2
    assert {len(line[2]) for line in lines} == {72}


@given(st.integers(0, 2**40), st.integers(0, 10**15), st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_read_back(time, size, root):
    text = Checkpoint(LOG.name, size, root).text()
    found = cosignature.open_cosigned(
        LOG.sign(text) + cosignature.cosign(WITNESSES[1], text, time), LOG.verifier, KEYS
    )
    assert (found.times, found.point.size) == ({1: time}, size)
    assert cosignature.write_cosigned(LOG.sign(text), found.lines) == LOG.sign(
        text
    ) + cosignature.cosign(WITNESSES[1], text, time)


@given(st.data())
def test_one_bit_more_or_less_and_it_does_not_hold(data):
    good = bytearray(cosigned(0, 2))
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    good[at // 8] ^= 1 << at % 8
    with pytest.raises(note.NoteError):
        cosignature.open_cosigned(bytes(good), LOG.verifier, KEYS)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_clear_error(data):
    for read in (
        lambda: cosignature.open_cosigned(data, LOG.verifier, KEYS),
        lambda: cosignature.parse_lines(data),
        lambda: note.parse_witness(data.decode("latin-1")),
    ):
        with pytest.raises(note.NoteError):
            read()


@pytest.mark.parametrize(
    ("signed", "why"),
    [
        (cosigned(1, 0), "order of the witnesses"),
        (cosigned(1, 1), "order of the witnesses"),
        (
            cosigned(0)[: len(LOG.sign(POINT.text()))].replace(
                b"log.example/1 ", b"log.example/2 "
            ),
            "first signature",
        ),
        (
            LOG.sign(POINT.text()) + LOG.sign(POINT.text()).split(b"\n\n")[1],
            "no witness of this event",
        ),
        (note.Signer("log.example/1", b"\x09" * 32).sign(POINT.text()), "first signature"),
        (
            cosigned(0, text=Checkpoint("log.example/2", 5, POINT.root).text()),
            "signed by the key of",
        ),
        (cosigned(0) + b"\xe2\x80\x94 x AAAAAAAA\n", "no witness of this event"),
        (b"x\n" * 600_000, "more than 1048576 bytes"),
    ],
)
def test_a_kept_checkpoint_has_one_form(signed, why):
    with pytest.raises(note.NoteError, match=why):
        cosignature.open_cosigned(signed, LOG.verifier, KEYS)


def test_a_signature_of_the_log_by_a_witness_key_is_no_cosignature():
    """Type 01 and type 04 sign different bytes: neither can be taken for the other."""
    raw = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32).sign(POINT.text().encode())
    line = note.line_of(KEYS[0].name, KEYS[0].key_id, bytes(8) + raw)
    with pytest.raises(note.NoteError, match="does not hold"):
        cosignature.open_cosigned(LOG.sign(POINT.text()) + line, LOG.verifier, KEYS)


def test_a_time_beyond_the_bound_is_none():
    with pytest.raises(note.NoteError, match="time"):
        cosignature.cosign(WITNESSES[0], POINT.text(), 2**40 + 1)
    late = struct.pack(">Q", 2**40 + 1)
    said = f"cosignature/v1\ntime {2**40 + 1}\n{POINT.text()}".encode()
    raw = late + Ed25519PrivateKey.from_private_bytes(b"\x02" * 32).sign(said)
    with pytest.raises(note.NoteError, match="does not hold"):
        cosignature.time_in(KEYS[0], (KEYS[0].name, KEYS[0].key_id, raw), POINT.text())


@pytest.mark.parametrize(
    "vkey",
    [
        LOG.verifier.vkey(),
        KEYS[0].vkey()[:-4],
        KEYS[0].vkey().replace("witness.example/2", "witness.example/3"),
        "x",
        note.Verifier("small", bytes(32), note.COSIGNATURE).vkey(),
    ],
)
def test_what_is_no_key_of_a_witness_is_said(vkey):
    with pytest.raises(note.NoteError, match="witness's key"):
        note.parse_witness(vkey)


def test_a_witness_who_signs_other_things_is_no_witness_of_them():
    with pytest.raises(note.NoteError, match="three lines"):
        cosignature.cosign(WITNESSES[0], "I owe you\n", 0)


# --- Policies ---

W = [one.vkey() for one in KEYS]
ONE = f"witness a {W[0]}\nwitness b {W[1]} https://w.example/x\nwitness c {W[2]}\n"


@pytest.mark.parametrize(
    ("rest", "enough"),
    [
        ("quorum a\n", [{0}, {0, 1}, {0, 2}, {0, 1, 2}]),
        ("group g any a b c\nquorum g\n", [{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}]),
        ("group g 2 a b c\nquorum g\n", [{0, 1}, {0, 2}, {1, 2}, {0, 1, 2}]),
        ("group g all a b\ngroup h any g c\nquorum h\n", [{0, 1}, {2}, {0, 2}, {1, 2}, {0, 1, 2}]),
        ("group g any a b\ngroup h all g c\nquorum h\n", [{0, 2}, {1, 2}, {0, 1, 2}]),
        ("quorum none\n", [set(), {0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}]),
    ],
)
def test_a_quorum_is_met_by_those_it_names(rest, enough):
    found = policy.parse_policy(f"# agreed\n\tlog {LOG.verifier.vkey()} \n\n{ONE}{rest}".encode())
    assert [one.vkey() for one in found.logs] == [LOG.verifier.vkey()]
    for bits in range(8):
        who = {n for n in range(3) if bits >> n & 1}
        assert found.met(KEYS[n] for n in who) == (who in enough)


def test_a_name_is_part_of_whose_cosignature_is_asked_for():
    found = policy.parse_policy(f"witness a {W[0]}\nquorum a\n".encode())
    assert not found.met([note.Verifier("somebody else", KEYS[0].public, note.COSIGNATURE)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "newline"),
        ("quorum none", "newline"),
        ("\n", "no line says"),
        (ONE, "no line says"),
        ("quorum a\n", "line 1: no line before"),
        (f"{ONE}quorum a\nquorum b\n", "line 5: a second quorum"),
        (f"{ONE}quorum a b\n", "one name"),
        (f"{ONE}group g 4 a b c\nquorum g\n", "1 to 3 of its members"),
        (f"{ONE}group g 0 a\nquorum g\n", "1 to 1 of its members"),
        (f"{ONE}group g 01 a\nquorum g\n", "1 to 1 of its members"),
        (f"{ONE}group g any a a\nquorum g\n", "in a group already"),
        (f"{ONE}group g any a\ngroup h any a\nquorum h\n", "in a group already"),
        (f"{ONE}group g any g\nquorum g\n", "no line before"),
        (f"{ONE}group g any none\nquorum g\n", "no line before"),
        (f"{ONE}group a any b\nquorum a\n", "is taken"),
        (f"{ONE}group none any b\nquorum a\n", "is taken"),
        (f"{ONE}group g any\nquorum a\n", "and members"),
        (f"witness a {W[0]}\nwitness b {W[0]}\nquorum a\n", "same witness twice"),
        (f"witness a {W[0]}\nwitness a {W[1]}\nquorum a\n", "is taken"),
        (f"witness a {LOG.verifier.vkey()}\nquorum a\n", "type 04"),
        (f"log {W[0]}\nquorum none\n", "type 01"),
        (f"log {LOG.verifier.vkey()}\n" * 2 + "quorum none\n", "same log twice"),
        ("quorum none\r\n", "control character"),
        ("Quorum none\n", "none of log"),
        ("#" * 70_000, "more than 65536"),
    ],
)
def test_what_is_no_policy_is_said(text, why):
    with pytest.raises(policy.PolicyError, match=why):
        policy.parse_policy(text.encode())


@given(st.binary(max_size=200))
def test_any_bytes_as_a_policy_are_a_clear_error_or_one(data):
    try:
        policy.parse_policy(data)
    except policy.PolicyError:
        pass


@pytest.mark.parametrize("quorum", [0, 1, 2, 3])
def test_the_policy_that_follows_from_a_definition_asks_for_its_quorum(quorum):
    keys = KEYS if quorum else []
    text = policy.write_policy(LOG.verifier, [(key, "") for key in keys], quorum)
    found = policy.parse_policy(text.encode())
    assert found.logs == [LOG.verifier]
    for bits in range(2 ** len(keys)):
        who = [key for n, key in enumerate(keys) if bits >> n & 1]
        assert found.met(who) == (len(who) >= quorum)


def test_groups_are_bounded():
    many = "".join(f"group g{n} any {'a' if not n else f'g{n - 1}'}\n" for n in range(65))
    with pytest.raises(policy.PolicyError, match="more than 64"):
        policy.parse_policy(f"{ONE}{many}quorum a\n".encode())


# --- Trees that remember ---


@given(st.integers(0, 140), st.data())
def test_roots_and_proofs_of_every_size(size, data):
    leaves = [merkle.leaf_hash(bytes([n])) for n in range(size)]
    tree = proofs.Tree()
    tree.extend(leaves)
    new = data.draw(st.integers(0, size))
    old = data.draw(st.integers(0, new))
    assert tree.root(new) == merkle.root(leaves[:new])
    ends = (old, merkle.root(leaves[:old])), (new, merkle.root(leaves[:new]))
    proof = tree.proof(old, new)
    assert consistent(*ends, proof)
    assert len(proof) <= 63
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        odd = [*proof[:at], bytes(32), *proof[at + 1 :]]
        assert not consistent(*ends, odd)
        assert not consistent(*ends, proof[:-1])
        assert not consistent(*ends, [*proof, bytes(32)])
        assert not consistent((old, bytes(32)), ends[1], proof)
        assert not consistent(ends[0], (new, bytes(32)), proof)


def test_the_proofs_of_rfc_9162s_example():
    """Section 2.1.5: seven leaves; PROOF(3), PROOF(4), PROOF(6) as it names their nodes."""
    d = [merkle.leaf_hash(bytes([n])) for n in range(7)]
    c, e = d[2], d[3]
    g, h, i, j = (merkle.node_hash(d[2 * n], d[2 * n + 1]) if n < 3 else d[6] for n in range(4))
    k, m = merkle.node_hash(g, h), merkle.node_hash(i, j)
    tree = proofs.Tree()
    tree.extend(d)
    assert tree.proof(3, 7) == [c, e, g, m]
    assert tree.proof(4, 7) == [m]
    assert tree.proof(6, 7) == [i, j, k]
