"""ingest/beacons: heartbeats by POST, over real sockets, a real store behind; what is refused counts nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import tracemalloc

import aiohttp
import pytest
import pytest_asyncio

from streamcount.core import beacon as beacons
from streamcount.core.event import parse_event
from streamcount.core.policy import Progress
from streamcount.ingest import hearing
from streamcount.ingest.beacons import Beacons, Known
from tests.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHOOL = "https://school.example"


@pytest_asyncio.fixture(loop_scope="module")
async def stack(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(valkey2, tmp_path_factory):
    """A service with an open event, for all tests that leave it as it was."""
    async with Stack(valkey2, tmp_path_factory.mktemp("shared")) as running:
        await running.open_event()
        yield running


def address(stack, query=""):
    return f"http://127.0.0.1:{stack.settings.public_port}{beacons.PATH}{query}"


async def send(stack, body, *, query="", method="POST", headers=None):
    """Send one request over a connection of its own; return status, headers and what the JSON says."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, address(stack, query), data=data, headers=headers) as answer,
    ):
        text = await answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None


def now_ms(stack, name="lesson"):
    """Event time, as a client of a moment ago knows it."""
    holding = stack.gateway.holdings[name]
    return holding.clock.now_us(time.monotonic_ns() // 1000) // 1000


def playing(seq, **change):
    return {"seq": seq, "state": "playing", "position": float(seq)} | change


def paused(seq, **change):
    return {"seq": seq, "state": "paused"} | change


def beacon(stack, *heartbeats, viewer="viewer-0001", event="lesson", **change):
    plain = {"event": event, "stream": "main", "viewer": viewer, "made_at": now_ms(stack)}
    return plain | {"heartbeats": list(heartbeats)} | change


def rows(notary, tick, name):
    return notary.timeline.rows(tick, 1)[name]


# --- A viewer is counted ---


async def test_a_heartbeat_is_answered_with_its_acknowledgement_once_archived(stack):
    notary = await stack.open_event()
    before_ms = now_ms(stack)
    status, headers, told = await send(stack, beacon(stack, playing(7)))
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert headers["Connection"] == "close"
    (ack,) = told["answers"]
    assert (ack["type"], ack["seq"], ack["late"]) == ("ack", 7, 0)
    assert notary.course.next_tick > ack["tick"]
    assert rows(notary, ack["tick"], "present") == [1]
    assert (told["interval"], told["window"], told["age_max"]) == (1, 7, 5.0)
    assert before_ms - 1_000 < told["server_time"] < now_ms(stack) + 1_000
    assert "opens_at" not in told


async def test_with_wait_0_it_is_answered_at_once_and_counted_all_the_same(stack):
    notary = await stack.open_event()
    status, _, told = await send(stack, beacon(stack, playing(7)), query="?wait=0")
    assert (status, told["answers"]) == (202, [{"type": "heard", "seq": 7}])
    await stack.until(lambda: notary.course.viewers == 1)
    await stack.close_event()
    assert sum(notary.timeline.rows(0, 1000)["present"]) == 1


async def test_two_heartbeats_prove_and_none_after_a_pause(stack):
    notary = await stack.open_event()
    seen = []
    for seq, state in enumerate(["playing", "playing", "paused", "playing"], 1):
        one = playing(seq) | {"state": state}
        _, _, told = await send(stack, beacon(stack, one))
        seen.append(told["answers"][0]["tick"])
    await stack.close_event()
    one, two, three, four = seen
    proven = dict(
        zip(range(one, one + 100), notary.timeline.rows(one, 100)["proven"], strict=False)
    )
    assert [proven[t] for t in range(one, two)] == [1] * (two - one)
    assert [proven[t] for t in range(two, four)] == [0] * (four - two)
    assert three < four


async def test_a_socket_and_beacons_of_one_viewer_are_one_viewer(stack):
    notary = await stack.open_event()
    async with stack.viewer() as talk:
        await talk.beat(1)
        await talk.hear()
        _, _, told = await send(stack, beacon(stack, playing(9)))
        assert told["answers"][0]["type"] == "ack"
    assert notary.course.viewers == 1


async def test_the_same_request_again_and_again_is_one_viewer(stack):
    notary = await stack.open_event()
    body = beacon(stack, playing(1), paused(2))
    answers = await asyncio.gather(*(send(stack, body) for _ in range(4)))
    assert {status for status, _, _ in answers} == {200}
    await stack.close_event()
    assert max(notary.timeline.rows(0, 1000)["present"]) <= 1
    assert notary.course.viewers <= 1


async def test_a_break_takes_the_place_of_what_comes_in_the_same_request(stack):
    """They came at one instant, in whatever order they were made: so it did not play all along."""
    notary = await stack.open_event()
    await send(stack, beacon(stack, playing(1)))
    for items in ([playing(2), paused(3)], [paused(4), playing(5)]):
        status, _, told = await send(stack, beacon(stack, *items))
        assert (status, {a["why"] for a in told["answers"]}) == (200, {"break-lost"})
    await stack.close_event()
    assert sum(notary.timeline.rows(0, 1000)["present"]) == 1
    assert sum(notary.timeline.rows(0, 1000)["breaks"]) == 2
    assert not any(notary.timeline.rows(0, 1000)["proven"])


async def test_a_bye_is_a_break_and_acknowledged_if_it_has_a_seq(stack):
    notary = await stack.open_event()
    await send(stack, beacon(stack, playing(1)))
    status, _, told = await send(stack, beacon(stack, bye={"seq": 2}))
    (ack,) = told["answers"]
    assert (status, ack["type"], ack["seq"]) == (200, "ack", 2)
    assert rows(notary, ack["tick"], "breaks") == [1]
    status, _, told = await send(stack, beacon(stack, bye={}))
    assert (status, told["answers"]) == (200, [])


async def test_a_request_that_says_nothing_yet_is_told_the_time(shared):
    body = {"event": "lesson", "stream": "main", "viewer": "viewer-time"}
    before_ms = now_ms(shared)
    status, _, told = await send(shared, body)
    assert (status, told["answers"], told["interval"]) == (200, [], 1)
    assert before_ms - 1_000 < told["server_time"] < now_ms(shared) + 1_000


@pytest.mark.parametrize(
    ("ago_ms", "why"),
    [
        (None, "no-time"),
        (-60_000, "no-time"),
        (61_000, "too-old"),
        (3_600_000, "too-old"),
        (-400, None),
        (2_000, None),
    ],
)
async def test_a_presence_counts_while_it_is_young(valkey, tmp_path, ago_ms, why):
    """Ages that stay on their side however long the request takes; the exact bounds are those of core/beacon."""
    async with Stack(valkey, tmp_path, beacon_age_s=60) as stack:
        notary = await stack.open_event()
        made_at = None if ago_ms is None else now_ms(stack) - ago_ms
        status, _, told = await send(stack, beacon(stack, playing(1), made_at=made_at))
        (answer,) = told["answers"]
        assert (status, answer["type"], answer.get("why")) == (200, "noted" if why else "ack", why)
        assert notary.course.viewers == (0 if why else 1)


async def test_a_break_counts_however_old_it_is(stack):
    await stack.open_event()
    await send(stack, beacon(stack, playing(1)))
    _, _, told = await send(stack, beacon(stack, paused(2), made_at=None))
    assert told["answers"][0]["type"] == "ack"


async def test_the_policy_is_that_of_the_socket(shared):
    before = shared.gateway.outcomes.noted
    for seq, (change, why) in enumerate(
        [({"state": "buffering"}, "buffering"), ({"position": None}, "no-position")]
    ):
        body = beacon(shared, playing(seq, **change), viewer=f"viewer-{why}")
        assert (await send(shared, body))[2]["answers"] == [
            {"type": "noted", "seq": seq, "why": why}
        ]
    assert shared.gateway.outcomes.noted == before + 2


async def test_a_position_that_stands_still_counts_for_one_window(stack):
    await stack.open_event()
    end, last = time.monotonic() + 60, ""
    while last != "no-progress":
        assert time.monotonic() < end
        _, _, told = await send(stack, beacon(stack, playing(1, position=4.0)))
        last = told["answers"][0].get("why")
        await asyncio.sleep(0.3)
    _, _, told = await send(stack, beacon(stack, playing(1, position=5.0)))
    assert told["answers"][0]["type"] == "ack"


async def test_two_workers_count_together(valkey, tmp_path):
    async with Stack(valkey, tmp_path, workers=2, beacon_age_s=60) as stack:
        notary = await stack.open_event()
        names = [f"viewer-{n:04}" for n in range(24)]
        bodies = [beacon(stack, playing(1), viewer=name) for name in names * 2]
        answers = await asyncio.gather(*(send(stack, body) for body in bodies))
        assert {told["answers"][0]["type"] for _, _, told in answers} == {"ack"}
        heard = [worker.gateway.outcomes.presences for worker, _ in stack.workers]
        assert (sum(heard), min(heard) > 0) == (48, True)
        await stack.close_event()
        assert notary.course.viewers == 24
        assert max(notary.timeline.rows(0, 1000)["present"]) <= 24


# --- Events that do not count now ---


async def test_before_the_event_opens_it_is_told_when(stack):
    definition = {"id": "lesson", "title": {"en": "x"}, "window": 7, "interval": 1}
    await stack.desk.create(definition | {"planned_start": 4_000_000_000})
    await stack.until(lambda: "lesson" in stack.gateway.holdings)
    body = beacon(stack, playing(1), made_at=int(time.time() * 1000))
    status, _, told = await send(stack, body)
    assert (status, told["opens_at"]) == (200, 4_000_000_000)
    assert told["answers"][0]["why"] in {"not-ready", "not-open"}


async def test_after_the_close_it_is_409(stack):
    await stack.open_event()
    await send(stack, beacon(stack, playing(1)))
    await stack.close_event()
    await stack.until(lambda: stack.gateway.holdings["lesson"].over)
    status, _, told = await send(stack, beacon(stack, playing(2)))
    assert (status, told) == (409, {"error": "the event is closed"})


def store_away(stack):
    """Keep the worker from the store until what is returned is set."""
    back = asyncio.Event()
    for delivery in stack.workers[0][0].deliveries.values():
        bucket = delivery._buckets[0]

        async def held_up(made, flush=bucket.flush):
            await back.wait()
            return await flush(made)

        bucket.flush = held_up
    return back


async def test_while_the_store_is_away_it_is_heard_and_archived_later(valkey, tmp_path):
    """Lost on the way to the client is only the answer."""
    async with Stack(valkey, tmp_path, beacon_wait_s=1.0) as stack:
        notary = await stack.open_event()
        back = store_away(stack)
        status, _, told = await send(stack, beacon(stack, playing(1)))
        assert (status, told["answers"]) == (202, [{"type": "heard", "seq": 1}])
        assert notary.course.viewers == 0
        back.set()
        await stack.until(lambda: notary.course.viewers == 1)
        await stack.until(lambda: stack.gateway.outcomes.acknowledged == 1)


async def test_beacons_beyond_those_that_may_wait_are_told_heard_at_once_and_counted(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, beacons_waiting_max=1, beacon_wait_s=60) as stack:
        notary = await stack.open_event()
        back = store_away(stack)
        waiting = asyncio.create_task(send(stack, beacon(stack, playing(1))))
        await stack.until(lambda: stack.gateway.outcomes.presences == 1)
        status, _, told = await send(stack, beacon(stack, playing(1), viewer="viewer-0002"))
        assert (status, told["answers"]) == (202, [{"type": "heard", "seq": 1}])
        back.set()
        assert (await waiting)[0] == 200
        await stack.until(lambda: notary.course.viewers == 2)
        assert (await send(stack, beacon(stack, playing(2))))[0] == 200


async def test_what_is_held_of_a_request_that_was_answered_is_no_larger_than_is_reckoned(stack):
    """While the store is away a tick is held for long, and bounded by this; one heartbeat each is the worst."""
    await stack.open_event()
    speakers, read = [], beacons.read(json.dumps(beacon(stack, playing(1))).encode())
    holding = stack.gateway.holdings["lesson"]
    posting = Beacons(stack.gateway)
    tracemalloc.start()
    try:
        for seq in range(500):
            posted = posting._count(read, holding, 0, Progress())
            posted.acknowledge(seq, b"")
            holding.leave(posted.number)
            posted.forget()
            speakers.append(posted)
        size = sum(one.size for one in tracemalloc.take_snapshot().traces)
    finally:
        tracemalloc.stop()
    assert size / len(speakers) < hearing._HEARTBEAT_BYTES


async def test_who_goes_away_before_the_answer_is_counted_and_leaves_nothing(stack):
    notary = await stack.open_event()
    data = json.dumps(beacon(stack, playing(1))).encode()
    _, writer = await asyncio.open_connection(*stack.address)
    writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (
        beacons.PATH.encode(), len(data)) + data)  # fmt: skip
    await stack.until(lambda: stack.gateway.outcomes.presences == 1)
    writer.transport.abort()
    await stack.until(lambda: stack.gateway.admission.open == 0)
    await stack.until(lambda: notary.course.viewers == 1)
    viewers = stack.gateway.holdings["lesson"].viewers
    await stack.until(lambda: not any(viewers._connections))


async def test_after_a_stall_it_is_late_told_at_once_and_counts_nothing(stack):
    notary = await stack.open_event()
    body = beacon(stack, playing(1))
    stack.gateway._stalled = True
    stack.gateway._pulse_timer.cancel()
    start = time.monotonic()
    status, _, told = await send(stack, body)
    assert (status, told["answers"]) == (202, [{"type": "heard", "seq": 1}])
    assert time.monotonic() - start < stack.settings.beacon_wait_s / 2
    stack.gateway._stalled = False
    stack.gateway._pulse()
    await stack.close_event()
    assert sum(notary.timeline.rows(0, 1000)["present"]) == 0
    assert stack.gateway.outcomes.late == 1


async def test_a_draining_worker_answers_what_it_took_and_takes_no_more(stack):
    notary = await stack.open_event()
    worker = stack.workers[0][0]
    waiting = asyncio.create_task(send(stack, beacon(stack, playing(1))))
    # A connection that is open, and asks when the worker is about to go.
    data = json.dumps(beacon(stack, playing(1), viewer="viewer-0002")).encode()
    reader, writer = await asyncio.open_connection(*stack.address)
    head = f"POST {beacons.PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode())
    await stack.until(lambda: stack.gateway.outcomes.presences == 1)
    await stack.until(lambda: not stack.gateway.opening)
    draining = asyncio.create_task(worker.drain())
    await stack.until(lambda: stack.gateway.draining)
    writer.write(data)
    refused = await reader.read()
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 10" in refused
    status, _, told = await waiting
    assert (status, told["answers"][0]["type"]) == (200, "ack")
    await draining
    writer.close()
    assert notary.course.viewers == 1


# --- What is refused, and how ---


def counted(stack):
    """All that could have been counted."""
    outcomes, holding = stack.gateway.outcomes, stack.gateway.holdings["lesson"]
    return (
        outcomes.presences, outcomes.breaks, outcomes.noted, outcomes.late, holding._current.shut,
        len(holding._current.seqs), stack.events.notaries["lesson"].course.viewers,
        any(holding.viewers._connections),
    )  # fmt: skip


async def counted_nothing(stack):
    holding = stack.gateway.holdings["lesson"]
    await stack.until(lambda: not holding.waiting and not any(holding.viewers._connections))
    return counted(stack)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"event": None}, 400, "event: must be text"),
        ({"event": ""}, 400, "event: must be text"),
        ({"stream": 3}, 400, "stream: must be text"),
        ({"viewer": "short"}, 400, "viewer: must be 8 to 128"),
        ({"player": "p" * 301}, 400, "player: must be text"),
        ({"token": "t"}, 401, "token: this server does not take tokens"),
        ({"event": "other"}, 404, "there is no event 'other' here"),
        ({"stream": "other"}, 404, "event 'lesson' has no stream 'other'"),
        ({"made_at": "now"}, 400, "made_at: must be milliseconds"),
        ({"made_at": 1.5}, 400, "made_at: must be milliseconds"),
        ({"made_at": True}, 400, "made_at: must be milliseconds"),
        ({"made_at": -1}, 400, "made_at: must be milliseconds"),
        ({"made_at": 2**60}, 400, "made_at: must be milliseconds"),
        ({"heartbeats": {}}, 400, "heartbeats: must be a list of at most 8"),
        ({"heartbeats": [playing(n) for n in range(9)]}, 400, "heartbeats: must be a list"),
        ({"heartbeats": [7]}, 400, "heartbeats[0]: must be an object"),
        ({"heartbeats": [playing(1), playing(-1)]}, 400, "heartbeats[1].seq: must be"),
        ({"heartbeats": [playing(1), playing(1)]}, 400, "seq: each must be above"),
        ({"heartbeats": [{"seq": 1}]}, 400, "heartbeats[0].state: must be playing"),
        ({"heartbeats": [playing(1, again=1)]}, 400, "heartbeats[0].visible, muted and again"),
        ({"heartbeats": [playing(1, position=1e11)]}, 400, "heartbeats[0].position: must be"),
        ({"bye": 3}, 400, "bye: must be an object"),
        ({"bye": {"seq": -3}}, 400, "bye.seq: must be"),
        ({"bye": {"seq": 1}, "heartbeats": [playing(1)]}, 400, "seq: each must be above"),
        ({"padding": "x" * 8192}, 413, "a beacon has at most 8192 bytes"),
    ],
)
async def test_bad_input_is_named_and_counts_nothing(shared, change, status, said):
    before = await counted_nothing(shared)
    found, headers, told = await send(shared, beacon(shared, playing(1)) | change)
    assert (found, list(told)) == (status, ["error"])
    assert told["error"].startswith(said)
    assert (headers["Content-Type"], headers["Access-Control-Allow-Origin"]) == (
        "application/json",
        "*",
    )
    assert counted(shared) == before


@pytest.mark.parametrize(
    ("method", "body", "headers", "status"),
    [
        ("GET", b"", {}, 405),
        ("PUT", b"{}", {}, 405),
        ("DELETE", b"", {}, 405),
        ("POST", b"", {}, 400),
        ("POST", b"nonsense", {}, 400),
        ("POST", b"[]", {}, 400),
        ("POST", b"[" * 8000, {}, 400),
        ("POST", b"\xff\xfe", {}, 400),
        ("POST", b"\x1f\x8b\x08" + bytes(50), {"Content-Encoding": "gzip"}, 400),
    ],
)
async def test_what_is_no_beacon_at_all(shared, method, body, headers, status):
    before = await counted_nothing(shared)
    found, got, told = await send(shared, body, method=method, headers=headers)
    assert (found, list(told)) == (status, ["error"])
    assert counted(shared) == before
    if status == 405:
        assert got["Allow"] == "POST, OPTIONS"


async def test_random_bytes_get_an_error_and_count_nothing(shared):
    """Over the wire, too: whatever the body is, there is an answer with a reason."""
    before = await counted_nothing(shared)
    example = beacon(shared, playing(1))
    text = json.dumps(example).encode()
    for at in range(0, len(text), 3):
        status, _, told = await send(shared, text[:at] + b"\x00" + text[at + 1 :])
        assert (status, list(told)) == (400, ["error"])
    assert counted(shared) == before


async def test_too_fast_is_429_and_says_when_to_come_again(stack):
    notary = await stack.open_event()
    full = beacon(stack, *(playing(n) for n in range(8)))
    # At once, as what may be sent grows again by the second.
    answers = await asyncio.gather(*(send(stack, full, query="?wait=0") for _ in range(3)))
    assert sorted(status for status, _, _ in answers) == [202, 429, 429]
    _, headers, told = max(answers, key=lambda answer: answer[0])
    assert told["error"].startswith("more than 4 messages in 1 s")
    await asyncio.sleep(int(headers["Retry-After"]) + 1)  # the worker's seconds are whole
    fullest = full | {"bye": {"seq": 8}}
    assert (await send(stack, fullest, query="?wait=0"))[0] == 202
    await stack.close_event()
    assert notary.course.viewers == 1


async def test_pace_and_progress_are_known_of_a_bounded_number_of_viewers():
    event = parse_event({"id": "e", "title": {"en": "x"}})
    known = Known(3, 4, 8)
    first = known.session(event, "viewer-0", 100)
    for number in range(1, 3):
        known.session(event, f"viewer-{number}", 101)
    assert known.session(event, "viewer-0", 102) is first
    known.session(event, "viewer-3", 103)
    assert len(known) == 3
    assert known.session(event, "viewer-0", 104) is first  # viewer-1 had to go
    known.session(event, "viewer-9", 104 + 31)
    assert len(known) <= 2
    assert known.session(event, "viewer-0", 104 + 31) is not first


async def dialogue(stack, data, seconds=60.0):
    """Send bytes, and return all that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection(*stack.address)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.transport.abort()


HEAD = f"POST {beacons.PATH} HTTP/1.1\r\nHost: x\r\n".encode()


async def test_a_body_without_length_is_read_in_chunks(shared):
    text = json.dumps(beacon(shared, paused(1), viewer="viewer-chunks")).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (text[:20], text[20:]))
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = await dialogue(shared, head + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    answer = await dialogue(shared, head + b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"Content-Length: 8193\r\n\r\n", b"413"),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"413"),
        (HEAD + b"Content-Length: -1\r\n\r\n{}", b"400"),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (HEAD + b"\r\n", b"400"),
    ],
)
async def test_bodies_that_break_http(shared, data, status):
    before = await counted_nothing(shared)
    assert (await dialogue(shared, data)).split(b" ")[1] == status
    assert counted(shared) == before


async def test_a_body_that_breaks_half_way_counts_nothing(valkey, tmp_path):
    """aiohttp takes what broke for another request; so the rest of the body never comes."""
    async with Stack(valkey, tmp_path, handshake_s=1.0) as stack:
        await stack.open_event()
        before = counted(stack)
        reader, writer = await asyncio.open_connection(*stack.address)
        writer.write(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"eve\r\n')
        await asyncio.sleep(0.2)
        writer.write(b"zz\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 60)
        assert answer.startswith(b"HTTP/1.1 408")
        writer.close()
        assert counted(stack) == before


async def test_a_client_that_asks_first_whether_to_send_is_told_to_go_on(shared):
    text = json.dumps(beacon(shared, viewer="viewer-expects")).encode()
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(text)
    answer = await dialogue(shared, head + text)
    assert answer.startswith(b"HTTP/1.1 100 Continue")
    assert b"HTTP/1.1 200 OK" in answer


async def test_only_the_first_of_several_requests_on_a_connection_is_answered(shared):
    text = json.dumps(beacon(shared, viewer="viewer-pipes")).encode()
    one = HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text
    answer = await dialogue(shared, one * 5)
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_body_that_trickles_is_cut_off_in_time(valkey, tmp_path):
    async with Stack(valkey, tmp_path, handshake_s=1.0) as stack:
        await stack.open_event()
        reader, writer = await asyncio.open_connection(*stack.address)
        writer.write(HEAD + b"Content-Length: 500\r\n\r\n")
        # Not one byte may be missing at the end: then it would be answered as what it is.
        with contextlib.suppress(ConnectionError):
            for _ in range(499):
                if reader.at_eof() or reader._buffer:
                    break
                writer.write(b"{")
                await asyncio.sleep(0.1)
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 408")
        writer.close()
        await stack.until(lambda: stack.gateway.admission.open == 0)


async def test_when_there_is_no_room_it_is_503_before_anything_is_read(valkey, tmp_path):
    async with Stack(valkey, tmp_path, connections_max=1) as stack:
        await stack.open_event()
        async with stack.viewer("viewer-0001"):
            answer = await dialogue(stack, HEAD + b"Content-Length: 2\r\n\r\n{}")
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Retry-After" in answer


# --- Origins ---


@pytest.mark.parametrize(
    ("origins", "sent", "status", "readable"),
    [
        ([], None, 200, "*"),
        ([], "https://any.example", 200, "*"),
        ([SCHOOL], SCHOOL, 200, SCHOOL),
        ([SCHOOL], "https://other.example", 403, None),
        ([SCHOOL], "null", 403, None),
        ([SCHOOL], None, 403, None),
        ([SCHOOL, "none"], None, 200, None),
    ],
)
async def test_origins(shared, origins, sent, status, readable):
    name = f"origins-{'none'.join(map(str, map(len, origins)))}-there"
    if name not in shared.gateway.holdings:
        await shared.open_event(name, policy={"origins": origins})
    before = await counted_nothing(shared)
    body = beacon(shared, event=name, viewer="viewer-origin")
    headers = {} if sent is None else {"Origin": sent}
    found, got, told = await send(shared, body, headers=headers)
    assert (found, got.get("Access-Control-Allow-Origin")) == (status, readable)
    assert "Access-Control-Allow-Credentials" not in got
    if status == 200:
        assert got.get("Vary") == ("Origin" if origins else None)
    else:
        assert "policy.origins" in told["error"]
    assert counted(shared) == before


async def test_a_browser_may_ask_whether_it_may_send_json(shared):
    headers = {
        "Origin": SCHOOL,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    status, got, told = await send(shared, b"", method="OPTIONS", headers=headers)
    assert (status, told) == (204, None)
    assert got["Access-Control-Allow-Origin"] == "*"
    assert got["Access-Control-Allow-Methods"] == "POST"
    assert got["Access-Control-Allow-Headers"] == "content-type"


async def test_answers_are_counted_by_status(shared):
    before = shared.gateway.outcomes.beacons.get(400, 0)
    await send(shared, b"")
    assert shared.gateway.outcomes.beacons[400] == before + 1
