"""What was made fast for large packs says what the slow way says; tests/core/test_presence.py has the count itself."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from streamcount.config import PackLimits
from streamcount.core import body as bodies
from streamcount.core import entries, segment, values
from streamcount.core.body import MOVE, REGISTRATION, Body
from streamcount.core.entries import TickEntry
from streamcount.core.presence import bitmap_of, positions
from streamcount.tlog.merkle import block_root
from tests.evidence.forging import Forger, make


@pytest.mark.parametrize("density", [0, 0.0005, 0.01, 0.02, 0.1, 0.9, 1])
def test_positions_are_those_of_the_bits_however_many_there_are(density):
    bits = np.random.default_rng(7).random(40_000) < density
    assert positions(np.packbits(bits)).tolist() == np.flatnonzero(bits).tolist()


@pytest.mark.parametrize(
    ("same", "wrong"), [(16, "a viewer is registered twice"), (15, None), (8, None)]
)
def test_pseudonyms_with_one_half_in_common_are_two_viewers(tmp_path, same, wrong):
    made = make(tmp_path, people=9, seed=4)
    forger = Forger(made)
    number, entry = next(
        (n, one)
        for n, one in enumerate(map(entries.decode, forger.entries))
        if isinstance(one, TickEntry) and one.new >= 2
    )
    body = bytearray(segment.inflate(forger.stored[number], entry.body_bytes))
    body[18 : 18 + same] = body[:same]
    forger.stored[number] = segment.deflate(bytes(body))
    forger.change(number, body_root=values.plain(block_root(bytes(body), 64)))
    assert made.verify(forger.write(tmp_path)).wrong == wrong


@pytest.mark.parametrize("index", [0, 7, 8, 9, 4_000_000_000])
def test_a_move_is_looked_up_in_the_bitmap_of_those_present(index):
    """Viewers 0, 8 and 9 of ten are present."""
    nobody = np.zeros(2, np.uint8)
    here = bitmap_of(np.array([0, 8, 9]), 10)
    moves = np.array([(index, 1)], MOVE)
    data = bodies.encode(Body(np.zeros(0, REGISTRATION), moves, here, nobody))
    figures = {"new": 0, "moves": 1, "viewers": 10, "breaks": 0, "streams": 2}
    if index in {0, 8, 9}:
        assert bodies.decode(data, **figures).moves["index"].tolist() == [index]
    else:
        with pytest.raises(bodies.BodyError, match="not present"):
            bodies.decode(data, **figures)


@pytest.mark.parametrize("density", [0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5])
def test_a_stored_bitmap_is_about_as_short_as_a_search_for_matches_makes_it(density):
    bitmap = np.packbits(np.random.default_rng(5).random(200_000) < density).tobytes()
    searched = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    slow = searched.compress(bitmap) + searched.flush()
    assert len(segment.deflate(bitmap)) <= len(slow) + 8
    if density == 0.1:
        # 0.586 is what chance leaves: no code has less on average.
        assert len(segment.deflate(bitmap)) < 0.62 * 200_000 * density


def test_pairs_are_held_up_to_a_bound_and_only_where_a_rule_asks_for_them(tmp_path):
    """Else a small pack could ask for more memory than there is: all viewers, in every tick of 600."""
    most = 40
    limits = PackLimits(window_present_max=most)
    profile = {
        "id": "stays",
        "duration_s": 0,
        "presence_s": 5,
        "single_stream": False,
        "count": "net",
    }
    for name, change in (("asked", {"rule_profile": profile}), ("unasked", {})):
        (tmp_path / name).mkdir()
        made = make(tmp_path / name, seed=3, **change)
        assert made.verify().wrong is None
        report = made.verify(limits=limits)
        if change:
            assert report.exit_code == 2
            assert "more heartbeats in one window" in report.wrong
        else:
            assert report.wrong is None
