"""POST /v1/heartbeats in the OpenAPI document: the socket's messages, and what core/beacon.py reads."""

from __future__ import annotations

import json

import aiohttp
from hypothesis import example, given
from hypothesis import strategies as st

from streamcount.core import beacon
from streamcount.core.wire import WireError
from tests.schemas.asking import closed
from tests.schemas.published import CLIENT, PUBLIC, SERVER, shape, validator
from tests.schemas.test_messages import ANYTHING, SECONDS, SEQS, VIEWERS
from tests.stack import Stack

SCHEMAS = PUBLIC["components"]["schemas"]
POST = PUBLIC["paths"][beacon.PATH]["post"]


def schema(name, document=PUBLIC):
    parts = document["components"]["schemas"]
    return validator(parts[name] | {"components": {"schemas": parts}})


def ours(name):
    return shape(PUBLIC, SCHEMAS[name])


def theirs(document, name, *, without=()):
    """The schema of a socket's message, but for these keys."""
    found = shape(document, document["$defs"][name])
    found["required"] = [key for key in found["required"] if key not in without]
    found["properties"] = {k: v for k, v in found["properties"].items() if k not in without}
    return found


def test_its_parts_are_the_messages_of_the_socket():
    own = {"made_at", "heartbeats", "bye"}
    part = ours("Beacon")
    part["properties"] = {key: one for key, one in part["properties"].items() if key not in own}
    assert part == theirs(CLIENT, "hello", without=["type"])
    assert ours("Heartbeat") == theirs(CLIENT, "heartbeat", without=["type"])
    bye = theirs(CLIENT, "bye", without=["type"])["properties"]
    assert ours("Beacon")["properties"]["bye"]["properties"] == bye
    assert ours("Ack") == theirs(SERVER, "ack")
    reasons = [one["const"] for one in SERVER["$defs"]["noted"]["properties"]["why"]["oneOf"]]
    assert SCHEMAS["Noted"]["properties"]["why"]["enum"] == [*reasons, "no-time", "too-old"]
    assert {beacon.untimely(None, 0, 5), beacon.untimely(0, 9000, 5)} == {"no-time", "too-old"}


def test_the_limits_and_statuses_are_those_of_the_code():
    properties = SCHEMAS["Beacon"]["properties"]
    assert properties["made_at"]["maximum"] == beacon.TIME_MS_MAX
    assert properties["heartbeats"]["maxItems"] == beacon.HEARTBEATS_MAX
    assert SCHEMAS["BeaconAnswer"]["properties"]["answers"]["maxItems"] == beacon.HEARTBEATS_MAX + 1
    assert f"{beacon.BYTES_MAX:,} bytes" in POST["requestBody"]["description"]
    assert {str(status) for status in beacon.STATUSES.values()} <= POST["responses"].keys()


HEARTBEATS = st.fixed_dictionaries(
    {"seq": SEQS, "state": st.sampled_from(["playing", "ended", "dancing"])},
    optional={"position": SECONDS, "visible": st.booleans() | st.none(), "again": st.booleans()},
)
BEACONS = st.fixed_dictionaries(
    {"event": st.just("lesson"), "stream": st.just("main"), "viewer": VIEWERS},
    optional={
        "made_at": st.none() | st.sampled_from([0, 2**53 - 1, 2**53, -1]) | ANYTHING,
        "heartbeats": st.none() | st.lists(HEARTBEATS, max_size=9) | ANYTHING,
        "bye": st.none() | st.just({}) | st.fixed_dictionaries({"seq": SEQS | ANYTHING}) | ANYTHING,
        "token": ANYTHING,
        "player": ANYTHING,
    },
)
READS = schema("Beacon")
GOOD = {"event": "lesson", "stream": "main", "viewer": "viewer-0001"}


@given(BEACONS)
@example(GOOD)
@example(GOOD | {"bye": {}})
@example(GOOD | {"heartbeats": [{"seq": 1, "state": "playing"}] * 9})
@example(GOOD | {"heartbeats": [{"seq": 1, "state": "playing"}], "bye": {"seq": 2}})
def test_the_schema_accepts_exactly_the_beacons_that_the_service_accepts(message):
    try:
        beacon.read(json.dumps(message).encode())
        told = ""
    except WireError as error:
        told = error.message
    # Two rules that JSON Schema has no words for.
    if not any(rule in told for rule in ("each must be above", "bytes")):
        assert READS.is_valid(message) == (not told), told


async def test_what_a_beacon_is_answered_is_as_described(valkey, tmp_path):
    answers = schema("BeaconAnswer", closed(PUBLIC))
    async with Stack(valkey, tmp_path) as stack:
        await stack.open_event()
        time_ms = (await post(stack, answers, 200))["server_time"]
        beat = {"seq": 1, "state": "playing", "position": 1}
        said = await post(stack, answers, 200, made_at=time_ms, heartbeats=[beat])
        assert [one["type"] for one in said["answers"]] == ["ack"]
        said = await post(stack, answers, 200, heartbeats=[beat | {"seq": 2}])
        assert [one["why"] for one in said["answers"]] == ["no-time"]
        said = await post(stack, answers, 202, "?wait=0", bye={"seq": 3})
        assert [one["type"] for one in said["answers"]] == ["heard"]
        error = schema("Error", closed(PUBLIC))
        await post(stack, error, 400, made_at="soon")
        await post(stack, error, 404, stream="other")


async def post(stack, answers, status, query="", **change):
    """Post a beacon; its answer, checked."""
    url = f"http://127.0.0.1:{stack.settings.public_port}{beacon.PATH}{query}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=GOOD | change) as answer,
    ):
        said = await answer.json()
        assert answer.status == status, said
        answers.validate(said)
        return said
