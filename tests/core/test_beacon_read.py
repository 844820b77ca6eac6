"""core/beacon: what is a beacon, and when a presence in one is too old."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import beacon as beacons
from streamcount.core.wire import Bye, Heartbeat, Hello, WireError

HELLO = {"event": "lesson", "stream": "main", "viewer": "viewer-0001"}


def read(**change):
    return beacons.read(json.dumps(HELLO | change).encode())


def test_a_beacon_is_a_hello_heartbeats_and_a_bye():
    found = read(
        player="app", made_at=5, heartbeats=[{"seq": 1, "state": "paused"}], bye={"seq": 2}
    )
    assert found.hello == Hello("lesson", "main", "viewer-0001", "", "app")
    assert found.heartbeats == (Heartbeat(1, "paused", True, False, None, None, ""),)
    assert (found.made_at_ms, found.bye, found.messages) == (5, Bye(2), 2)


def test_what_is_left_out_or_null_is_not_there():
    plain = read()
    assert (plain.made_at_ms, plain.heartbeats, plain.bye, plain.messages) == (None, (), None, 1)
    assert read(made_at=None, heartbeats=None, bye=None, token=None, more=1) == plain


@pytest.mark.parametrize(
    ("made_at_ms", "why"),
    [
        (None, "no-time"),
        (101_001, "no-time"),
        (101_000, ""),
        (100_000, ""),
        (95_000, ""),
        (94_999, "too-old"),
        (0, "too-old"),
    ],
)
def test_a_presence_is_too_old_after_the_age_and_not_from_the_future(made_at_ms, why):
    assert beacons.untimely(made_at_ms, 100_000, 5.0) == why


def test_an_answer_is_json_with_one_answer_a_heartbeat():
    told = beacons.answer(
        interval=10, window=30, opens_at=7, server_time_ms=5, age_s=5.0,
        answers=[beacons.heard(1), beacons.heard(2)],
    )  # fmt: skip
    assert json.loads(told) == {
        "interval": 10, "window": 30, "opens_at": 7, "server_time": 5, "age_max": 5.0,
        "answers": [{"type": "heard", "seq": 1}, {"type": "heard", "seq": 2}],
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=10) | st.dictionaries(st.text(max_size=9), inner, max_size=6)
    ),
    max_leaves=20,
)
KEYS = ["event", "stream", "viewer", "heartbeats", "bye", "made_at", "token", "source", "player"]
WRONG = st.dictionaries(st.sampled_from(KEYS), JSON).map(lambda given: json.dumps(given).encode())


@given(st.one_of(st.binary(max_size=300), JSON.map(lambda v: json.dumps(v).encode()), WRONG))
def test_nothing_but_a_beacon_is_one(body):
    with pytest.raises(WireError) as caught:
        beacons.read(body)
    assert caught.value.code in beacons.STATUSES
    assert caught.value.message


@given(
    st.fixed_dictionaries(
        {
            "event": st.just("lesson"),
            "stream": st.just("main"),
            "viewer": st.just("viewer-0001"),
        },
        optional={
            "made_at": JSON,
            "bye": JSON,
            "heartbeats": JSON | st.lists(JSON, max_size=9),
            "token": st.none(),
        },
    )
)
def test_what_reads_as_a_beacon_keeps_every_bound(given_value):
    try:
        found = beacons.read(json.dumps(given_value).encode())
    except WireError as error:
        assert error.code in beacons.STATUSES
        return
    assert len(found.heartbeats) <= beacons.HEARTBEATS_MAX
    assert found.made_at_ms is None or 0 <= found.made_at_ms < 2**53
    assert 1 <= found.messages <= beacons.HEARTBEATS_MAX + 1
