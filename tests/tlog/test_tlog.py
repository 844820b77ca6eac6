"""tlog: trees, tiles, notes, checkpoints, against RFC 6962 read literally and published vectors."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.tlog import checkpoint, merkle, note, tiles


def literal_root(leaves):
    """RFC 6962 section 2.1, word for word, over leaf data."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    left, right = literal_root(leaves[:k]), literal_root(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


leaves = st.lists(st.binary(max_size=5), max_size=70)


@given(leaves)
def test_root_is_that_of_rfc_6962(data):
    assert merkle.root(map(merkle.leaf_hash, data)) == literal_root(data)


def test_certificate_transparency_roots():
    """The eight leaves that implementations of RFC 6962 share; roots as they print them."""
    data = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    hashes = [merkle.leaf_hash(bytes.fromhex(d)) for d in data]
    heads = {n: merkle.root(hashes[:n]).hex()[:8] for n in (1, 3, 8)}
    assert heads == {1: "6e340b9c", 3: "aeb6bcfe", 8: "5dc9da79"}


@given(st.binary(max_size=2000))
def test_block_root_is_the_root_over_the_blocks(data):
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)]
    assert merkle.block_root(data, 64) == literal_root(blocks)


@given(leaves, leaves)
def test_a_copied_tree_grows_on_its_own(data, more):
    tree = merkle.Frontier()
    for leaf in data:
        tree.append(merkle.leaf_hash(leaf))
    other = tree.copy()
    for leaf in more:
        other.append(merkle.leaf_hash(leaf))
    assert tree.root() == literal_root(data)
    assert other.root() == literal_root(data + more)
    assert (tree.size, other.size) == (len(data), len(data) + len(more))


def test_tile_numbers():
    assert [tiles.number_path(n) for n in (0, 5, 999, 1000, 1234067)] == [
        "000", "005", "999", "x001/000", "x001/x234/067",
    ]  # fmt: skip


def test_tiles_of_a_tree_of_70000():
    """The widths C2SP tlog-tiles gives as its example."""
    paths = [path for path, _ in tiles.tree_tiles([bytes(32)] * 70_000)]
    assert sum(path.startswith("tile/0/") for path in paths) == 274
    assert "tile/0/273.p/112" in paths
    assert [path for path in paths if path.startswith(("tile/1/", "tile/2/"))] == [
        "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1",
    ]  # fmt: skip


def test_a_hash_of_level_one_is_the_root_of_256_leaves():
    hashes = [merkle.leaf_hash(bytes([i % 256])) for i in range(600)]
    made = dict(tiles.tree_tiles(hashes))
    assert made["tile/1/000.p/2"] == merkle.root(hashes[:256]) + merkle.root(hashes[256:512])


@given(st.integers(0, 10**12), st.integers(1, 256), st.sampled_from(["0", "1", "63", "entries"]))
def test_path_of_a_tile_reads_back(number, width, level):
    assert tiles.parse_path(tiles.tile_path(level, number, width)) == (level, number, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/00", "tile/0/1000", "tile/0/x000/001", "tile/0/001.p/0", "tile/0/001.p/256",
        "tile/0/001.p/257", "tile/0/001.p/01", "tile/0/../001", "tile/x/001", "tile/00/001",
        "tile/0/001/", "tile/0", "", "tile/0/٠٠١", "checkpoint", "tile/64/001", "tile/99/001", "tile/100/001",
    ],
)  # fmt: skip
def test_another_path_is_refused(path):
    with pytest.raises(tiles.TileError):
        tiles.parse_path(path)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundle_reads_back(entries):
    assert tiles.decode_bundle(tiles.encode_bundle(entries), len(entries)) == entries


@pytest.mark.parametrize(
    ("bundle", "width"), [(b"", 1), (b"\0\2a", 1), (b"\0\1a\0", 1), (b"\0\1a", 2), (b"\0", 1)]
)
def test_a_bundle_of_another_length_is_refused(bundle, width):
    with pytest.raises(tiles.TileError):
        tiles.decode_bundle(bundle, width)


def test_an_entry_too_long_for_a_bundle_is_refused():
    with pytest.raises(tiles.TileError):
        tiles.encode_bundle([bytes(65_536)])


# --- Notes ---

SIGNER = note.Signer("streamcount.invalid/lesson/0123456789abcdef", bytes(range(32)))


def test_example_of_the_go_note_package():
    """golang.org/x/mod/sumdb/note prints this key and this note in its documentation."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    message = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    signed = (
        message
        + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    verifier = note.parse_vkey(vkey)
    assert note.open_note(signed.encode(), verifier) == message
    private = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
    assert note.parse_private(private).sign(message) == signed.encode()


def test_keys_read_back():
    assert note.parse_private(SIGNER.private_text()) == SIGNER
    assert note.parse_vkey(SIGNER.verifier.vkey()) == SIGNER.verifier
    assert "seed" not in repr(SIGNER)


def test_text_with_blank_lines_splits_at_the_last():
    text = "first\n\nsecond\n\n\nthird\n"
    assert note.open_note(SIGNER.sign(text), SIGNER.verifier) == text


def test_signatures_by_unknown_keys_are_ignored():
    other = note.Signer("someone", bytes(32))
    text = "a\n"
    line = other.sign(text).decode().removeprefix("a\n\n")
    assert note.open_note(SIGNER.sign(text) + line.encode(), SIGNER.verifier) == text
    with pytest.raises(note.NoteError, match="no signature by"):
        note.open_note(other.sign(text), SIGNER.verifier)


@given(st.data())
def test_any_changed_byte_of_a_note_is_noticed(data):
    signed = bytearray(SIGNER.sign("origin\n5\nAAAA\n"))
    at = data.draw(st.integers(0, len(signed) - 1))
    signed[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != signed[at]))
    with pytest.raises(note.NoteError):
        note.open_note(bytes(signed), SIGNER.verifier)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_a_name_with_space_or_plus_is_refused(name):
    with pytest.raises(note.NoteError):
        note.check_name(name)


@pytest.mark.parametrize(
    "vkey",
    [
        "", "a", "a+b", "name+00000000+" + SIGNER.verifier.vkey().split("+", 2)[2],
        SIGNER.verifier.vkey()[:-1], SIGNER.verifier.vkey().replace("+AQ", "+Ag"),
    ],
)  # fmt: skip
def test_a_damaged_vkey_is_refused(vkey):
    with pytest.raises(note.NoteError):
        note.parse_vkey(vkey)


SMALL = [
    bytes(32), b"\1" + bytes(31), b"\1" + bytes(30) + b"\x80", b"\xee" + b"\xff" * 30 + b"\x7f", b"\xec" + b"\xff" * 30 + b"\x7f",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]  # fmt: skip


@pytest.mark.parametrize("public", SMALL, ids=lambda public: public.hex()[:8])
def test_a_key_whose_signatures_can_hold_for_every_text_is_refused(public):
    """RFC 8032 leaves points of small order and other encodings to the library, and ours lets some pass."""
    verifier = note.Verifier("name", public)
    assert not verifier.verify(b"anything", b"\1" + bytes(63))
    with pytest.raises(note.NoteError, match="mean anything"):
        note.parse_vkey(verifier.vkey())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"a\n", b"a\n\nb\n", b"a\n\n\xe2\x80\x94 n AAAA\n", b"\xff\n\n\n",
        b"a\t\n\n\xe2\x80\x94 n AAAAAAAAAAA=\n", b"a\n\n\xe2\x80\x94 n AAAAAAAAAAA=", b"a" * (1 << 20) + b"\n",
    ],
)  # fmt: skip
def test_what_is_no_note_is_refused(data):
    with pytest.raises(note.NoteError):
        note.open_note(data, SIGNER.verifier)


def test_a_thousand_signatures_are_refused():
    line = SIGNER.sign("a\n").decode().removeprefix("a\n\n")
    with pytest.raises(note.NoteError, match="more than 100"):
        note.open_note(b"a\n\n" + line.encode() * 1000, SIGNER.verifier)


# --- Checkpoints ---


def test_checkpoint_reads_back():
    point = checkpoint.Checkpoint(SIGNER.name, 70_000, bytes(range(32)))
    signed = SIGNER.sign(point.text())
    assert signed.startswith(b"streamcount.invalid/lesson/0123456789abcdef\n70000\nAAECAwQ")
    assert checkpoint.open_checkpoint(signed, SIGNER.verifier) == point


@pytest.mark.parametrize(
    "text",
    [
        "o\n05\n" + "A" * 43 + "=\n", "o\n-1\n" + "A" * 43 + "=\n", "o\n5\nAAAA\n", "o\n5\n",
        "\n5\n" + "A" * 43 + "=\n", "o\n5\n" + "A" * 43 + "=\nmore\n", "o\n5\n" + "A" * 42 + "B=\n",
    ],
)  # fmt: skip
def test_another_text_is_no_checkpoint(text):
    with pytest.raises(note.NoteError):
        checkpoint.parse(text)


def test_a_checkpoint_of_another_origin_than_its_key_is_refused():
    point = checkpoint.Checkpoint("another", 0, merkle.EMPTY_ROOT)
    with pytest.raises(note.NoteError, match="signed by the key of"):
        checkpoint.open_checkpoint(SIGNER.sign(point.text()), SIGNER.verifier)


@given(st.integers(0, 40), st.integers(0, 63), st.integers(1, 5))
def test_a_long_body_hashed_piece_by_piece_has_the_same_root(blocks, rest, power):
    data = bytes(range(256)) * 20
    data = data[: 64 * blocks + rest]
    with pytest.MonkeyPatch.context() as patch:
        whole = merkle.block_root(data, 64)
        patch.setattr(merkle, "_PIECE_BLOCKS", 1 << power)
        assert merkle.block_root(data, 64) == whole
