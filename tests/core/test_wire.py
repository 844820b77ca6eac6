"""core/wire: what is a message of protocol v1, and what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import wire

HELLO = {"type": "hello", "event": "lesson", "stream": "main", "viewer": "viewer-0001"}
BEAT = {"type": "heartbeat", "seq": 7, "state": "playing", "visible": True, "muted": False}


def read(message):
    return wire.read(json.dumps(message).encode())


def test_hello_with_all_its_fields():
    given_hello = {**HELLO, "source": "https://v/1", "player": "html5"}
    assert read(given_hello) == wire.Hello("lesson", "main", "viewer-0001", "https://v/1", "html5")


def test_heartbeat_with_all_its_fields():
    message = {**BEAT, "position": 12.5, "behind_live_s": 3, "source": "s"}
    assert read(message) == wire.Heartbeat(7, "playing", True, False, 12.5, 3, "s")


def test_what_a_heartbeat_may_leave_out():
    message = {"type": "heartbeat", "seq": 0, "state": "paused"}
    assert read(message) == wire.Heartbeat(0, "paused", True, False, None, None, "")


def test_bye_with_and_without_seq():
    assert read({"type": "bye"}) == wire.Bye(None)
    assert read({"type": "bye", "seq": 4}) == wire.Bye(4)


def test_unknown_keys_are_ignored():
    assert read({**BEAT, "future": {"x": [1]}}) == read(BEAT)


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        ({}, 4400, "type: must be"),
        ({"type": ["hello"]}, 4400, "type: must be"),
        ({**HELLO, "viewer": "short"}, 4400, "viewer: must be"),
        ({**HELLO, "viewer": "with space in it"}, 4400, "viewer: must be"),
        ({**HELLO, "viewer": "v" * 129}, 4400, "viewer: must be"),
        ({**HELLO, "event": ""}, 4400, "event: must be text"),
        ({**HELLO, "event": None}, 4400, "event: must be text"),
        ({**HELLO, "stream": 3}, 4400, "stream: must be text"),
        ({**HELLO, "player": "p" * 301}, 4400, "player: must be text"),
        ({**HELLO, "token": "abc"}, 4401, "token"),
        ({**BEAT, "seq": -1}, 4400, "seq: must be"),
        ({**BEAT, "seq": 2**31}, 4400, "seq: must be"),
        ({**BEAT, "seq": True}, 4400, "seq: must be"),
        ({**BEAT, "seq": "7"}, 4400, "seq: must be"),
        ({**BEAT, "state": "watching"}, 4400, "state: must be"),
        ({**BEAT, "state": {}}, 4400, "state: must be"),
        ({**BEAT, "visible": 1}, 4400, "visible, muted and again"),
        ({**BEAT, "position": "3"}, 4400, "position: must be"),
        ({**BEAT, "position": 1e300}, 4400, "position: must be"),
        ({**BEAT, "position": True}, 4400, "position: must be"),
        ({**BEAT, "behind_live_s": []}, 4400, "behind_live_s: must be"),
        ({"type": "bye", "seq": 1.5}, 4400, "seq: must be"),
    ],
)
def test_a_wrong_key_is_named(message, code, said):
    with pytest.raises(wire.WireError, match=said) as caught:
        read(message)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"[]", b'"hello"', b"\xff\xfe", b'{"type":NaN}', b"[" * 1000]
)
def test_no_object_is_malformed(data):
    with pytest.raises(wire.WireError) as caught:
        wire.read(data)
    assert caught.value.code == wire.MALFORMED


def test_a_message_of_more_than_1024_bytes_is_too_big():
    message = json.dumps({**BEAT, "x": "y" * 2000}).encode()
    with pytest.raises(wire.WireError) as caught:
        wire.read(message)
    assert caught.value.code == wire.TOO_BIG


@given(st.binary(max_size=1100))
def test_bytes_are_a_message_or_a_wire_error(data):
    try:
        assert isinstance(wire.read(data), wire.Hello | wire.Heartbeat | wire.Bye)
    except wire.WireError as error:
        assert error.code in {wire.MALFORMED, wire.UNAUTHORISED, wire.TOO_BIG}


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["hello", "heartbeat", "bye"])},
        optional={
            key: st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
            for key in (
                "event",
                "stream",
                "viewer",
                "seq",
                "state",
                "visible",
                "position",
                "source",
            )
        },
    )
)
def test_objects_of_the_right_keys_are_a_message_or_a_wire_error(message):
    try:
        read(message)
    except wire.WireError:
        return


def test_our_messages_are_json_with_the_documented_keys():
    tail = wire.ack_tail(tick=1764752400, live=2130, peak=2135, uncertain=False)
    assert json.loads(wire.ack(7, tail, 0)) == {
        "type": "ack",
        "seq": 7,
        "tick": 1764752400,
        "live": 2130,
        "peak": 2135,
        "uncertain": False,
        "late": 0,
    }
    assert json.loads(wire.noted(7, "buffering")) == {"type": "noted", "seq": 7, "why": "buffering"}
    assert json.loads(wire.reconnect(2.25)) == {"type": "reconnect", "after": 2.2}
    assert json.loads(wire.welcome(interval=10, window=30, opens_at=None, server_time_ms=5)) == {
        "type": "welcome",
        "interval": 10,
        "window": 30,
        "server_time": 5,
    }
