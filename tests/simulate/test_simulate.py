"""simulate: plans are repeatable, and told counts follow from acks by the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.presence import RunningCount, bitmap_of
from streamcount.simulate.plan import Shape, make_plans
from streamcount.simulate.told import Told, compare

shapes = st.builds(
    Shape,
    viewers=st.integers(1, 60),
    ramp_s=st.floats(2, 20),
    mix_s=st.floats(0, 20),
    churn=st.floats(0, 1),
    tabs=st.floats(0, 1),
    pauses=st.floats(0, 1),
    reconnects=st.floats(0, 1),
    seed=st.integers(0, 99),
)


@given(shapes)
def test_the_same_seed_gives_the_same_crowd(shape):
    assert make_plans(shape) == make_plans(shape)


@given(shapes)
def test_all_watch_together_and_nobody_else_does(shape):
    mixed, left = shape.ramp_s + shape.mix_s, shape.ramp_s + shape.mix_s + shape.together_s
    together = 0
    for plan in make_plans(shape):
        assert plan.actions[0][1] == "join"
        assert [at for at, _ in plan.actions] == sorted(at for at, _ in plan.actions)
        assert plan.actions[-1][1] in {"leave", "drop"}
        playing = True
        for at, action in plan.actions:
            if at <= mixed:
                playing = {"pause": False, "play": True, "leave": False, "drop": False}.get(
                    action, playing
                )
            elif at < left:
                assert action == "reconnect"
        together += playing
    assert together == shape.viewers


def timeline(present, broke, window, ticks):
    count = RunningCount(window=window, streams=1, first=100)
    counted = [
        count.count(
            bitmap_of(np.array(sorted(p), np.int64), 8), bitmap_of(np.array(sorted(b), np.int64), 8)
        )
        for p, b in zip(present, broke, strict=True)
    ]
    proven = [c.proven for c in counted[window:]]
    return {
        "first": 100,
        "live": [c.live for c in counted],
        "proven": proven + [None] * (ticks - len(proven)),
    }


beats = st.lists(
    st.tuples(st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7))), min_size=1, max_size=25
)


@given(beats, st.integers(1, 6))
def test_told_and_counted_are_equal_when_every_ack_arrived(ticks, window):
    told = {str(viewer): Told() for viewer in range(8)}
    for number, (present, broke) in enumerate(ticks):
        for viewer in present:
            told[str(viewer)].take("playing", 100 + number)
        for viewer in broke:
            told[str(viewer)].take("paused", 100 + number)
    counted = timeline([p for p, _ in ticks], [b for _, b in ticks], window, len(ticks))
    comparison = compare(told, counted, window)
    assert comparison.different == []
    assert len(comparison.rows) == max(0, len(ticks) - window)


def test_one_ack_more_or_less_is_seen():
    counted = timeline([{0}, set(), {0}, set(), set()], [set()] * 5, 2, 5)
    told = {"0": Told({100, 102})}
    assert compare(told, counted, 2).different == []
    for wrong in (Told({100}), Told({100, 101, 102, 103}), Told({100, 102}, {101})):
        assert compare({"0": wrong}, counted, 2).different


def test_nothing_is_compared_before_there_is_a_tick():
    empty = {"first": None, "live": [], "proven": []}
    assert compare({}, empty, 3).rows == []


@pytest.mark.parametrize(
    ("state", "breaks"), [("playing", False), ("paused", True), ("ended", True), ("bye", True)]
)
def test_which_states_break(state, breaks):
    told = Told()
    told.take(state, 5)
    assert (told.breaks, told.presence) == (({5}, set()) if breaks else (set(), {5}))
