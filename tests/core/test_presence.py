"""core/presence: the incremental count equals the definition read literally."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamcount.core import presence as p

# One viewer's life: for each tick, present, breaking, both or neither, and the stream it is on.
lives = st.lists(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), min_size=0, max_size=24),
    min_size=0,
    max_size=6,
)


def obvious(histories, window, length):
    """Live and proven for ticks 0 .. length-1, by the definition."""
    present = [{t for t, (here, _, _) in enumerate(life) if here} for life in histories]
    broke = [{t for t, (_, breaks, _) in enumerate(life) if breaks} for life in histories]
    live = p.tally((p.live_ticks(here, window) for here in present), range(length))
    proven = p.tally(
        (p.proven_ticks(h, b, window) for h, b in zip(present, broke, strict=True)), range(length)
    )
    return live, proven


def incremental(histories, window, length, order=None):
    """The same by RunningCount, viewers numbered in `order`, over `length` ticks and one window more."""
    order = order or list(range(len(histories)))
    count = p.RunningCount(window=window, streams=3, first=1000)
    live, proven, streams = [], [], []
    for tick in range(length + window):
        happened = [
            (index, *histories[viewer][tick])
            for index, viewer in enumerate(order)
            if tick < len(histories[viewer])
        ]
        here = [index for index, present, _, _ in happened if present]
        broke = [index for index, _, breaks, _ in happened if breaks]
        on = [stream for _, present, _, stream in happened if present]
        count.assign(np.array(here, np.int64), np.array(on, np.uint16))
        # Bitmaps as short as they can be: their lengths differ from tick to tick.
        counted = count.count(
            p.bitmap_of(np.array(here, np.int64), max(here, default=-1) + 1),
            p.bitmap_of(np.array(broke, np.int64), max(broke, default=-1) + 1),
        )
        assert counted.tick == 1000 + tick
        assert sum(counted.live_streams) == counted.live
        live.append(counted.live)
        proven.append(counted.proven)
        streams.append(list(counted.live_streams))
    return live[:length], proven[window:], streams[:length]


@given(lives, st.integers(1, 9))
@example([[(True, False, 0)] + [(False, False, 0)] * 3 + [(True, False, 0)]], 4)  # a gap of W
@example([[(True, False, 0)] + [(False, False, 0)] * 4 + [(True, False, 0)]], 4)  # a gap of W + 1
@example(
    [[(True, True, 0), (True, True, 1), (True, False, 2)]], 2
)  # presence and break in one tick
@example([[(True, False, 0), (False, True, 0), (True, False, 0)]], 3)  # a break between
@example([[], [(True, False, 1)]], 1)  # nobody, and a window of one tick
def test_incremental_count_equals_the_definition(histories, window):
    length = max((len(life) for life in histories), default=0)
    live, proven, streams = incremental(histories, window, length)
    expected_live, expected_proven = obvious(histories, window, length)
    assert live == expected_live
    assert proven == expected_proven
    on_streams = [{t: s for t, (here, _, s) in enumerate(life) if here} for life in histories]
    assert streams == [p.streams_live(on_streams, t, window, 3) for t in range(length)]


@given(lives, st.integers(1, 9), st.randoms(use_true_random=False))
def test_numbering_of_viewers_changes_nothing(histories, window, random):
    length = max((len(life) for life in histories), default=0)
    order = list(range(len(histories)))
    random.shuffle(order)
    assert incremental(histories, window, length, order) == incremental(histories, window, length)


@given(lives, st.integers(1, 9))
def test_proven_is_never_above_live(histories, window):
    length = max((len(life) for life in histories), default=0)
    live, proven, _ = incremental(histories, window, length)
    assert all(sure <= now for sure, now in zip(proven, live, strict=True))


@given(lives, st.integers(1, 9))
def test_proven_is_never_above_the_true_number(histories, window):
    """Whoever is proven at the end of tick k was there: between two of their own heartbeats."""
    length = max((len(life) for life in histories), default=0)
    _, proven, _ = incremental(histories, window, length)
    there = []
    for life in histories:
        present = [t for t, (here, _, _) in enumerate(life) if here]
        there.append(set(range(min(present), max(present))) if present else set())
    assert all(n <= sum(k in ticks for ticks in there) for k, n in enumerate(proven))


def test_last_heartbeat_proves_nothing_after_it():
    assert p.proven_ticks({5}, set(), 30) == set()
    assert p.proven_ticks({5, 9}, set(), 30) == {5, 6, 7, 8}


def test_gap_of_exactly_the_window_proves_and_one_more_does_not():
    assert p.proven_ticks({0, 30}, set(), 30) == set(range(30))
    assert p.proven_ticks({0, 31}, set(), 30) == set()


def test_break_on_either_end_does_not_count_as_between():
    assert p.proven_ticks({0, 4}, {0, 4}, 30) == {0, 1, 2, 3}
    assert p.proven_ticks({0, 4}, {1}, 30) == set()


def test_a_viewer_named_twice_is_on_the_stream_named_last():
    count = p.RunningCount(window=3, streams=2, first=0)
    count.assign(np.array([0, 0]), np.array([0, 1], np.uint16))
    assert count.count(p.bitmap_of(np.array([0]), 1), np.zeros(0, np.uint8)).live_streams == (0, 1)
    count.assign(np.array([0, 0]), np.array([1, 0], np.uint16))
    assert count.count(np.zeros(0, np.uint8), np.zeros(0, np.uint8)).live_streams == (1, 0)


@given(st.sets(st.integers(0, 500)))
def test_positions_and_bitmap_are_inverse_and_in_setbit_order(bits):
    indices = np.array(sorted(bits), np.int64)
    bitmap = p.bitmap_of(indices, 501)
    assert p.positions(bitmap).tolist() == sorted(bits)
    assert p.popcount(bitmap) == len(bits)
    assert all(bitmap[bit >> 3] & (0x80 >> (bit & 7)) for bit in bits)


def test_bit_beyond_the_bitmap_is_refused():
    with pytest.raises(IndexError):
        p.bitmap_of(np.array([16]), 9)


def test_who_broke_is_live_for_a_window_and_moves_with_their_stream():
    """A break forgets the proof and nothing else: not the drawer, nor where a move takes it."""
    count = p.RunningCount(window=3, streams=2, first=0)
    none = np.zeros(1, np.uint8)
    one = p.bitmap_of(np.array([0]), 8)
    assert count.count(one, none).live_streams == (1, 0)
    assert count.count(none, one).live_streams == (1, 0)
    assert count.count(none, one).live_streams == (1, 0)  # a second break changes nothing
    count.assign(np.array([0]), np.array([1], np.uint16))
    assert count.count(one, none).live_streams == (0, 1)
    assert [count.count(none, none).proven for _ in range(4)] == [0, 0, 0, 0]
