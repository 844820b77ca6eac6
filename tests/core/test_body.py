"""core/body and core/segment: bodies and frames, taken apart strictly."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import body as b
from streamcount.core import segment
from streamcount.core.presence import bitmap_of


def make(viewers=12, new=2, here=(0, 3, 11), broke=(1,), moves=((3, 1), (11, 0))):
    return b.Body(
        np.array([(bytes([65 + i]) * 16, i % 2) for i in range(new)], b.REGISTRATION),
        np.array(list(moves), b.MOVE),
        bitmap_of(np.array(here, np.int64), viewers),
        bitmap_of(np.array(broke, np.int64), viewers),
    )


FIGURES = {"new": 2, "moves": 2, "viewers": 12, "breaks": 1, "streams": 2}


def test_layout_byte_for_byte():
    assert b.encode(make()) == (
        b"A" * 16 + b"\0\0" + b"B" * 16 + b"\0\1"
        + b"\0\0\0\3\0\1" + b"\0\0\0\x0b\0\0"
        + bytes([0b10010000, 0b00010000]) + bytes([0b01000000, 0])
    )  # fmt: skip


def test_body_reads_back():
    found = b.decode(b.encode(make()), **FIGURES)
    for field in dataclasses.fields(b.Body):
        assert np.array_equal(getattr(found, field.name), getattr(make(), field.name))


def test_breaks_are_left_out_when_there_are_none():
    data = b.encode(make(broke=()))
    assert len(data) == b.body_bytes(new=2, moves=2, viewers=12, breaks=0)
    assert not b.decode(data, **(FIGURES | {"breaks": 0})).breaks.any()


@pytest.mark.parametrize(
    ("data", "figures", "said"),
    [
        (b.encode(make())[:-1], {}, "a body of 51 bytes where its entry asks for 52"),
        (b.encode(make()), {"streams": 1}, "stream number"),
        (b.encode(make(here=(3, 11, 12))), {}, "a presence bit beyond the 12"),
        (b.encode(make(broke=(13,))), {}, "a break bit beyond the 12"),
        (b.encode(make(broke=(1, 2))), {}, "2 break bits where the entry says 1"),
        (b.encode(make(broke=(3,))), {}, "both a presence and a break"),
        (b.encode(make(moves=((11, 0), (3, 1)))), {}, "not ascending"),
        (b.encode(make(moves=((3, 0), (3, 1)))), {}, "not ascending"),
        (b.encode(make(moves=((2, 0), (3, 1)))), {}, "not present"),
        (b.encode(make(moves=((3, 0), (4_000_000_000, 1)))), {}, "not present"),
    ],
)
def test_a_broken_rule_is_named(data, figures, said):
    with pytest.raises(b.BodyError, match=said):
        b.decode(data, **(FIGURES | figures))


@given(st.binary(max_size=5000))
def test_stored_body_inflates_to_itself(body):
    assert segment.inflate(segment.deflate(body), len(body)) == body


def test_a_bomb_is_not_inflated():
    bomb = segment.deflate(bytes(50_000_000))
    with pytest.raises(segment.SegmentError, match="exactly 100000 bytes"):
        segment.inflate(bomb, 100_000)


def test_a_body_padded_with_empty_blocks_is_not_inflated():
    body = bytes(range(256)) * 20
    packed = segment.deflate(body)
    empty = b"\x00\x00\x00\xff\xff"
    assert segment.inflate(empty + packed, len(body)) == body
    with pytest.raises(segment.SegmentError, match="a stored body of"):
        segment.inflate(empty * 100 + packed, len(body))


@pytest.mark.parametrize("size", [1, 2, 63, 64, 1000, 100_000, 3_000_000])
def test_no_body_that_we_store_is_longer_than_the_format_allows(size):
    body = np.random.default_rng(size).bytes(size)
    assert segment.inflate(segment.deflate(body), size) == body


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff\xff",
        segment.deflate(b"abcd") + b"x",
        segment.deflate(b"abcd")[:-1],
        zlib.compress(b"abcd"),
    ],
)
def test_what_is_not_one_whole_body_is_refused(stored):
    with pytest.raises(segment.SegmentError):
        segment.inflate(stored, 4)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_frame_reads_back(entry, stored):
    data = segment.frame(entry, stored)
    head, rest = data[: segment.HEAD_BYTES], data[segment.HEAD_BYTES :]
    assert segment.read_head(head) == (len(entry), len(stored))
    segment.check(head, rest)
    assert rest == entry + stored


@given(st.binary(max_size=40), st.binary(max_size=40), st.data())
def test_any_flipped_bit_of_a_frame_is_noticed(entry, stored, data):
    frame = bytearray(segment.frame(entry, stored))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    head, rest = bytes(frame[: segment.HEAD_BYTES]), bytes(frame[segment.HEAD_BYTES :])
    with pytest.raises(segment.SegmentError):
        segment.read_head(head)
        segment.check(head, rest)
