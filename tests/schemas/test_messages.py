"""docs/schemas: the same messages that core/wire.py reads and writes, the same limits."""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamcount.config import Settings
from streamcount.core import event, wire
from streamcount.ingest import connection
from tests.schemas.published import CLIENT, SERVER, kinds, validator

FROM_CLIENT = validator(CLIENT)
FROM_SERVER = validator(SERVER)
MESSAGES = {"hello": wire.Hello, "heartbeat": wire.Heartbeat, "bye": wire.Bye}


def reads(message):
    try:
        wire.read(json.dumps(message).encode())
    except wire.WireError:
        return False
    return True


# --- Limits ---


def test_the_limits_are_those_of_the_code():
    of_client = CLIENT["$defs"]
    assert of_client["seq"]["maximum"] == SERVER["$defs"]["seq"]["maximum"] == wire.SEQ_MAX
    assert of_client["text"]["maxLength"] == wire.TEXT_CHARACTERS_MAX
    assert (
        of_client["seconds"]["maximum"] == -of_client["seconds"]["minimum"] == wire.POSITION_S_MAX
    )
    hello = of_client["hello"]["properties"]
    assert {hello[key]["maxLength"] for key in ("event", "stream")} == {wire.TEXT_CHARACTERS_MAX}
    assert hello["viewer"]["pattern"] == f"^{wire.VIEWER_ID.pattern}$"
    assert of_client["heartbeat"]["properties"]["state"]["enum"] == list(event.STATES)
    assert f"{wire.MESSAGE_BYTES_MAX:,} bytes" in CLIENT["$comment"]
    welcome = SERVER["$defs"]["welcome"]["properties"]
    assert welcome["interval"]["maximum"] == welcome["window"]["maximum"] == event.WINDOW_TICKS_MAX
    spread = Settings.model_fields["reconnect_spread_s"].metadata
    assert SERVER["$defs"]["reconnect"]["properties"]["after"]["maximum"] == max(
        getattr(bound, "le", 0) for bound in spread
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_a_client_has_the_keys_the_code_reads(name):
    keys = set(CLIENT["$defs"][name]["properties"]) - {"type"}
    refused = {"token"} if name == "hello" else set()
    assert keys - refused == set(MESSAGES[name]._fields)


def test_the_codes_of_errors_are_those_the_code_closes_with():
    codes = {value for key, value in vars(wire).items() if key.isupper() and type(value) is int}
    ours = {code for code in codes if 4000 <= code < 5000} | {connection.TIMED_OUT}
    assert set(SERVER["$defs"]["error"]["properties"]["code"]["enum"]) == ours


def test_the_reasons_of_noted_are_those_the_page_lists_and_the_code_knows():
    reasons = [one["const"] for one in SERVER["$defs"]["noted"]["properties"]["why"]["oneOf"]]
    root = Path(__file__).parents[2]
    page = (root / "docs" / "protocol.md").read_text("utf-8")
    table = page.partition("| `why` | |")[2].partition("\n\n")[0]
    assert reasons == re.findall(r"`([a-z-]+)`", table.replace("| \n", ""))
    parts = [root / "streamcount" / name for name in ("core/policy.py", "ingest/holding.py")]
    code = "".join(part.read_text("utf-8") for part in parts)
    assert all(f'"{reason}"' in code for reason in reasons)


def test_what_the_server_writes_is_what_its_schema_says():
    tail = wire.ack_tail(tick=1_764_752_400, live=2130, peak=2135, uncertain=False)
    written = [
        wire.welcome(interval=10, window=30, opens_at=None, server_time_ms=5),
        wire.welcome(interval=10, window=30, opens_at=4_000_000_000, server_time_ms=5),
        wire.ack(7, tail, 0),
        wire.noted(7, "buffering"),
        wire.reconnect(2.25),
        wire.error(wire.MALFORMED, "not JSON"),
    ]
    for data in written:
        FROM_SERVER.validate(json.loads(data))
    assert {json.loads(data)["type"] for data in written} == set(kinds(SERVER))
    assert not FROM_SERVER.is_valid(json.loads(wire.error(4418, "no such code")))


# --- The schema accepts what the code accepts ---

# As JSON has them. Whole numbers are written as such: to JSON Schema 7.0 is an integer, to the protocol not.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=310)
NUMBERS = st.one_of(
    st.integers(-2, 2**31 + 1),
    st.sampled_from([2**31 - 1, 2**31, 10**10, 10**10 + 1, -(10**10) - 1, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer()),
)
ANYTHING = st.none() | st.booleans() | NUMBERS | TEXTS | st.just([]) | st.just({})
VIEWERS = st.from_regex(r"[A-Za-z0-9._~-]{8,20}", fullmatch=True) | st.sampled_from(
    ["v" * 7, "v" * 8, "v" * 128, "v" * 129, "viewer-01\n", "viewer 01", "مشاهد-رقم-واحد"]
)
LONG = st.sampled_from(["", "x" * 300, "x" * 301, "ب" * 300, "\U0001f600" * 200])
SEQS = st.integers(0, 2**31 - 1)
SECONDS = st.none() | st.integers(-(10**10), 10**10) | NUMBERS
VALID = {
    "type": st.sampled_from(["hello", "heartbeat", "bye"]),
    "event": st.just("lesson") | LONG,
    "stream": st.just("main") | TEXTS,
    "viewer": VIEWERS,
    "source": st.none() | LONG,
    "player": st.none() | TEXTS,
    "test": st.none() | LONG,
    "token": st.none(),
    "seq": SEQS,
    "state": st.sampled_from(event.STATES),
    "visible": st.booleans(),
    "muted": st.booleans(),
    "position": SECONDS,
    "behind_live_s": SECONDS,
    "again": st.booleans(),
}


@st.composite
def messages(draw):
    """A whole message, of which some keys are then changed, dropped or new."""
    message = {key: draw(value) for key, value in VALID.items()}
    for key in draw(st.lists(st.sampled_from(sorted(VALID)), max_size=3)):
        message[key] = draw(ANYTHING)
    for key in draw(st.lists(st.sampled_from(sorted(VALID)), max_size=6)):
        message.pop(key, None)
    return message | draw(st.dictionaries(TEXTS, ANYTHING, max_size=1))


HELLO = {"type": "hello", "event": "lesson", "stream": "main", "viewer": "viewer-0001"}
BEAT = {"type": "heartbeat", "seq": 7, "state": "playing"}


@given(messages())
@example(HELLO)
@example(HELLO | {"token": "t"})
@example(HELLO | {"source": None, "player": ""})
@example(HELLO | {"event": None})
@example(HELLO | {"test": "abcdefghijkl"})
@example(HELLO | {"test": None})
@example(HELLO | {"viewer": "viewer-01\n"})
@example(BEAT)
@example(BEAT | {"source": None})
@example(BEAT | {"position": True})
@example(BEAT | {"position": 1e10, "behind_live_s": -1e10})
@example(BEAT | {"visible": None})
@example(BEAT | {"future": {"x": [1]}})
@example({"type": "bye"})
@example({"type": "bye", "seq": None})
@example({"type": "bye", "seq": 1.5})
@example({"type": "heartbeat", "seq": 2**31, "state": "playing"})
def test_the_schema_accepts_exactly_what_the_server_accepts(message):
    if len(json.dumps(message)) <= wire.MESSAGE_BYTES_MAX:
        assert FROM_CLIENT.is_valid(message) == reads(message)


@given(ANYTHING | st.lists(ANYTHING, max_size=2))
def test_what_is_no_object_is_no_message_to_either(value):
    assert not FROM_CLIENT.is_valid(value)
    assert not reads(value)


def test_the_generated_messages_reach_both_answers_for_every_kind():
    """Otherwise the comparison above would compare nothing."""
    seen = deque(maxlen=4000)

    @settings(max_examples=1000)
    @given(messages())
    def look(message):
        seen.append(
            (message.get("type") if type(message.get("type")) is str else "", reads(message))
        )

    look()
    assert {(kind, good) for kind in MESSAGES for good in (True, False)} <= set(seen)


@pytest.mark.parametrize(
    ("data", "schema", "server"),
    [
        (b'{"type":"bye","seq":7.0}', True, False),
        (b'{"type":"bye","seq":7e0}', True, False),
        (b'{"type":"bye","seq":"x","seq":7}', True, True),
        (b'{"type":"bye","x":"\\ud800"}', True, False),
        (b'{"type":"bye","x":"' + b"y" * 1024 + b'"}', True, False),
    ],
)
def test_what_json_schema_cannot_say(data, schema, server):
    """The rules that the schema's $comment states in words."""
    assert FROM_CLIENT.is_valid(json.loads(data)) == schema
    try:
        wire.read(data)
    except wire.WireError:
        assert not server
    else:
        assert server
