"""core/session and core/policy: what a message means in which state."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import wire
from streamcount.core.event import Policy
from streamcount.core.policy import Effect, Progress, admits, an_origin, effect
from streamcount.core.session import TABLE, Pace, Session, State, Step

PACE = Pace(interval=10, per_interval=4, burst=3)
HELLO = b'{"type":"hello","event":"e","stream":"s","viewer":"viewer-0001"}'
BEAT = b'{"type":"heartbeat","seq":1,"state":"playing","position":1.0}'
BYE = b'{"type":"bye"}'


def watching():
    session = Session(PACE)
    session.receive(HELLO, 100)
    return session


def test_table_has_a_row_for_every_state_and_message():
    kinds = (wire.Hello, wire.Heartbeat, wire.Bye)
    assert set(TABLE) == {(state, kind) for state in State for kind in kinds}


def test_hello_then_heartbeats_then_bye():
    session = Session(Pace(10, 4, 10))
    steps = [session.receive(data, 100)[0] for data in (HELLO, BEAT, BEAT, BYE, BEAT)]
    assert steps == [Step.JOIN, Step.COUNT, Step.COUNT, Step.LEAVE, Step.IGNORE]


@pytest.mark.parametrize(
    ("session", "data", "said"),
    [(Session(PACE), BEAT, "first message"), (watching(), HELLO, "already")],
)
def test_message_out_of_place_is_refused(session, data, said):
    with pytest.raises(wire.WireError, match=said) as caught:
        session.receive(data, 100)
    assert caught.value.code == wire.MALFORMED


def test_more_than_the_burst_at_once_is_too_fast():
    session = watching()
    session.receive(BEAT, 100)
    session.receive(BEAT, 100)
    with pytest.raises(wire.WireError) as caught:
        session.receive(BEAT, 100)
    assert caught.value.code == wire.TOO_FAST


def test_credit_comes_back_with_time_up_to_the_burst():
    session = watching()
    for tick in range(103, 400, 3):  # 10 / 4 ticks a message, rounded up
        session.receive(BEAT, tick)
    for _ in range(3):
        session.receive(BEAT, 10_000)
    with pytest.raises(wire.WireError):
        session.receive(BEAT, 10_000)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(2, 9), st.lists(st.integers(1, 12)))
def test_messages_that_came_together_are_paid_for_as_soon_as_is_said(
    interval, per, burst, requests
):
    """Whoever waits as long as they are told is not told to wait again, and nobody gets more than their pace."""
    session, tick, paid = Session(Pace(interval, per, burst)), 100, 0
    for messages in requests:
        if wait_s := session.wait_s(tick, messages):
            for early in {tick, tick + wait_s - 1}:
                with pytest.raises(wire.WireError):
                    session.spend_together(early, messages)
        tick += wait_s
        session.spend_together(tick, messages)
        paid += min(messages, burst)
    assert paid * interval <= burst * interval + (tick - 100) * per


def test_another_pace_leaves_the_share_of_credit_as_it_is():
    session = Session(Pace(interval=10, per_interval=4, burst=8))
    for _ in range(4):
        session.spend(100)
    session.keep_pace(Pace(interval=1, per_interval=4, burst=8))
    for _ in range(4):
        session.spend(100)
    with pytest.raises(wire.WireError):
        session.spend(100)


def beat(**change):
    message = {"type": "heartbeat", "seq": 1, "state": "playing", "position": 1.0} | change
    found = wire.read(json.dumps(message).encode())
    assert isinstance(found, wire.Heartbeat)
    return found


LENIENT = Policy(progress=True, hidden_counts=True, muted_counts=True)
STRICT = Policy(progress=True, hidden_counts=False, muted_counts=False)


@pytest.mark.parametrize(
    ("policy", "change", "expected"),
    [
        (LENIENT, {}, (Effect.QUALIFIES, "")),
        (LENIENT, {"muted": True, "visible": False}, (Effect.QUALIFIES, "")),
        (LENIENT, {"state": "paused"}, (Effect.BREAKS, "")),
        (LENIENT, {"state": "ended"}, (Effect.BREAKS, "")),
        (LENIENT, {"state": "buffering"}, (Effect.NEITHER, "buffering")),
        (LENIENT, {"position": None}, (Effect.NEITHER, "no-position")),
        (STRICT, {"visible": False}, (Effect.BREAKS, "")),
        (STRICT, {"muted": True}, (Effect.NEITHER, "muted")),
        (Policy(False, True, True), {"position": None}, (Effect.QUALIFIES, "")),
    ],
)
def test_effect_of_a_heartbeat_under_a_policy(policy, change, expected):
    assert effect(policy, 30, beat(**change), Progress(), 100) == expected


SCHOOL = "https://school.example"


@pytest.mark.parametrize(
    ("origins", "origin", "may"),
    [
        ((), None, True),
        ((), SCHOOL, True),
        ((), "null", True),
        ((SCHOOL,), SCHOOL, True),
        ((SCHOOL,), None, False),
        ((SCHOOL,), "null", False),
        ((SCHOOL,), "https://school.example.evil.example", False),
        ((SCHOOL,), "http://school.example", False),
        ((SCHOOL,), "", False),
        ((SCHOOL, "none"), None, True),
        (("none",), SCHOOL, False),
    ],
)
def test_whose_heartbeats_may_count(origins, origin, may):
    assert admits(Policy(True, True, True, origins), origin) is may


@pytest.mark.parametrize("origins", [(), (SCHOOL,), ("none",), ("none", SCHOOL), (SCHOOL, "none")])
def test_a_program_finds_an_origin_that_counts(origins):
    policy = Policy(True, True, True, origins)
    assert admits(policy, an_origin(policy))


def test_position_that_stands_still_qualifies_for_one_window_only():
    progress = Progress()
    effects = [effect(LENIENT, 30, beat(), progress, 100 + t)[0] for t in (0, 10, 20, 30, 31)]
    assert effects == [Effect.QUALIFIES] * 4 + [Effect.NEITHER]
    assert effect(LENIENT, 30, beat(position=2.0), progress, 140)[0] is Effect.QUALIFIES
