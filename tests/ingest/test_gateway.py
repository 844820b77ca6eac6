"""ingest: viewers over real sockets, a real store behind, and what is refused how."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import struct
import subprocess
import time

import aiohttp
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from streamcount.app import tls_context
from streamcount.core import wire
from streamcount.core.entries import TickEntry, decode
from streamcount.core.pseudonym import pseudonym
from streamcount.ingest.delivery import monotonic_us
from streamcount.notary.reading import ArchiveReader
from tests.stack import Stack, free_port

PATIENT_S = 60  # for what comes at once, on a machine that is not busy
# One loop for all of this file, so that tests which only look at refusals share a running service.
pytestmark = pytest.mark.asyncio(loop_scope="module")


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


def tick_of(stack):
    """The second of event time that it is, as the worker has it: another clock may differ by a little."""
    return stack.gateway.holdings["lesson"].clock.tick(monotonic_us())


# --- A viewer is counted ---


async def test_a_heartbeat_is_acknowledged_by_its_seq_and_tick_once_archived(stack):
    notary = await stack.open_event()
    async with stack.viewer() as talk:
        before = tick_of(stack)
        await talk.beat(41)
        answer = await talk.hear()
        assert (answer["type"], answer["seq"], answer["late"], answer["uncertain"]) == (
            "ack",
            41,
            0,
            False,
        )
        assert before <= answer["tick"] <= tick_of(stack)
        # Archived first: the tick is under the checkpoint when the ack arrives.
        assert notary.course.next_tick > answer["tick"]
        assert notary.timeline.rows(answer["tick"], 1)["present"] == [1]


async def test_every_heartbeat_gets_its_own_answer(stack):
    await stack.open_event()
    async with stack.viewer() as talk:
        for seq in (1, 2, 3):
            await talk.beat(seq)
        assert sorted([(await talk.hear())["seq"] for _ in range(3)]) == [1, 2, 3]


async def test_two_tabs_of_one_viewer_are_one_and_both_are_answered(stack):
    notary = await stack.open_event()
    async with stack.viewer() as one, stack.viewer() as two:
        await one.beat(1)
        await two.beat(1)
        ticks = [(await talk.hear())["tick"] for talk in (one, two)]
        assert notary.course.viewers == 1
        assert all(notary.timeline.rows(tick, 1)["present"] == [1] for tick in ticks)


async def test_two_workers_share_a_port_and_count_together(valkey, tmp_path):
    async with Stack(valkey, tmp_path, workers=2) as stack:
        notary = await stack.open_event()
        talks = [stack.viewer(f"viewer-{n:04}") for n in range(16)]
        async with asyncio.timeout(PATIENT_S):
            entered = [await talk.__aenter__() for talk in talks]
            for talk in entered:
                await talk.beat(1)
            ticks = {(await talk.hear())["tick"] for talk in entered}
            for talk in talks:
                await talk.__aexit__(None, None, None)
        heard = [w.gateway.outcomes.presences for w, _ in stack.workers]
        assert sum(heard) == 16
        assert notary.course.viewers == 16
        assert sum(notary.timeline.rows(min(ticks), 60)["present"]) == 16


async def test_proven_between_two_heartbeats_and_not_after_a_pause(stack):
    notary = await stack.open_event()
    async with stack.viewer() as talk:
        await talk.beat(1)
        one = (await talk.hear())["tick"]
        await talk.beat(2)
        two = (await talk.hear())["tick"]
        await talk.beat(3, "paused")
        three = (await talk.hear())["tick"]
        await talk.beat(4)
        four = (await talk.hear())["tick"]
    await stack.close_event()
    rows = notary.timeline.rows(one, 100)
    proven = dict(zip(range(one, one + 100), rows["proven"], strict=False))
    assert [proven[t] for t in range(one, two)] == [1] * (two - one)
    assert [proven[t] for t in range(two, four)] == [0] * (four - two)
    assert three < four


async def test_a_bye_with_a_seq_is_acknowledged_and_then_closed(stack):
    await stack.open_event()
    async with stack.viewer() as talk:
        await talk.beat(1)
        await talk.hear()
        await talk.say(type="bye", seq=2)
        code, last = await talk.ended()
        assert (code, last["type"], last["seq"]) == (1000, "ack", 2)


async def test_a_bye_of_somebody_who_never_watched_is_noted_and_then_closed(stack):
    await stack.open_event()
    async with stack.viewer() as talk:
        await talk.say(type="bye", seq=2)
        code, last = await talk.ended()
        assert (code, last["type"], last["why"]) == (1000, "noted", "no-presence")


async def test_a_bye_without_a_seq_closes_at_once(shared):
    async with shared.viewer() as talk:
        await talk.say(type="bye")
        assert (await talk.ended())[0] == 1000


async def test_viewers_wait_connected_before_the_event_opens(stack):
    await stack.desk.create(
        {
            "id": "lesson",
            "title": {"en": "x"},
            "window": 7,
            "interval": 1,
            "planned_start": 4_000_000_000,
        }
    )
    await stack.until(lambda: "lesson" in stack.gateway.holdings)
    async with stack.socket() as talk:
        await talk.say(type="hello", event="lesson", stream="main", viewer="viewer-0001")
        assert (await talk.hear())["opens_at"] == 4_000_000_000
        await talk.beat(1)
        answer = await talk.hear()
        assert (answer["type"], answer["seq"]) == ("noted", 1)
        assert answer["why"] in {"not-ready", "not-open"}
        first = await stack.desk.open("lesson", None)
        await stack.until(lambda: stack.gateway.holdings["lesson"].tick >= first)
        await talk.beat(2)
        assert (await talk.hear())["type"] == "ack"


async def test_after_the_close_everything_is_answered_and_then_closed_with_4409(stack):
    await stack.open_event()
    async with stack.viewer() as talk:
        await talk.beat(1)
        await stack.close_event()
        assert (await talk.hear())["type"] == "ack"
        code, last = await talk.ended()
        assert (code, last["type"], last["code"]) == (4409, "error", 4409)
    async with stack.socket() as talk:
        await talk.say(type="hello", event="lesson", stream="main", viewer="viewer-0001")
        assert (await talk.ended())[0] == 4409


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": "buffering"}, "buffering"),
        ({"position": None}, "no-position"),
        ({"state": "paused"}, "no-presence"),
    ],
)
async def test_what_sets_no_bit_is_noted_with_the_reason(shared, change, why):
    notary = shared.events.notaries["lesson"]
    plain = {"type": "heartbeat", "seq": 5, "state": "playing", "position": 1}
    async with shared.viewer(f"viewer-{why}") as talk:
        await talk.say(**(plain | change))
        assert await talk.hear() == {"type": "noted", "seq": 5, "why": why}
    now = notary.now_us() // 1_000_000
    await shared.until(lambda: (notary.course.last or 0) >= now)
    names = notary.log.counting.pseudonyms
    registered = {names[at : at + 16] for at in range(0, len(names), 16)}
    assert pseudonym(notary.log.pseudonym_key, f"viewer-{why}") not in registered


async def test_when_the_event_is_full_newcomers_are_told_and_others_go_on(valkey, tmp_path):
    async with Stack(valkey, tmp_path, viewers_max=1) as stack:
        notary = await stack.open_event()
        async with stack.viewer("viewer-0001") as one:
            await one.beat(1)
            assert (await one.hear())["type"] == "ack"
            async with stack.viewer("viewer-0002") as two:
                await two.beat(1)
                assert (await two.hear())["why"] == "full"
            await one.beat(2)
            assert (await one.hear())["type"] == "ack"
        assert notary.course.viewers == 1


async def test_streams_are_a_breakdown_and_a_viewer_moves_between_them(stack):
    notary = await stack.open_event(streams=[{"id": "a"}, {"id": "b"}])
    async with (
        stack.viewer(stream="a") as one,
        stack.viewer(stream="b") as two,
        stack.viewer("viewer-0002", stream="b") as three,
    ):
        await one.beat(1)
        await three.beat(1)
        first = max([(await talk.hear())["tick"] for talk in (one, three)])
        assert streams(notary, first) == (1, 1)
        await two.beat(1)
        moved = (await two.hear())["tick"]
        assert streams(notary, moved) == (0, 2)


def streams(notary, tick):
    """Live viewers of each stream in a tick, as its entry says."""

    reader = ArchiveReader(notary.archive.folder)
    for frame in reader.frames(0, reader.refresh().size):
        entry = decode(frame.entry)
        if isinstance(entry, TickEntry) and entry.tick == tick:
            return entry.streams
    raise AssertionError("no such tick")


# --- What is refused, and how ---

HELLO = {"type": "hello", "event": "lesson", "stream": "main", "viewer": "viewer-0001"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["nonsense"], 4400),
        (['{"type":"dance"}'], 4400),
        (["[]"], 4400),
        ([json.dumps({"type": "heartbeat", "seq": 1, "state": "playing"})], 4400),
        ([json.dumps(HELLO), json.dumps(HELLO)], 4400),
        ([json.dumps(HELLO | {"viewer": "x"})], 4400),
        ([json.dumps(HELLO | {"token": "t"})], 4401),
        ([json.dumps(HELLO | {"event": "other"})], 4404),
        ([json.dumps(HELLO | {"stream": "other"})], 4404),
        (
            [json.dumps(HELLO)]
            + ['{"type":"heartbeat","seq":1,"state":"playing","position":1}'] * 20,
            4429,
        ),
        ([b"\x00\x01binary"], 4400),
        (["x" * 1025], 1009),
        ([["x" * 600, "x" * 600]], 1009),
    ],
)
async def test_close_codes(shared, messages, code):
    async with shared.viewer("viewer-9999") as honest, shared.socket() as talk:
        with contextlib.suppress(ConnectionClosed):
            for message in messages:
                await talk.connection.send(message)
        found, last = await talk.ended()
        assert found == code
        if code >= 4000:
            assert (last["type"], last["code"]) == ("error", code)
            assert last["message"]
        await honest.beat(1)
        assert (await honest.hear())["type"] == "ack"


SCHOOL = "https://school.example"


@pytest.mark.parametrize(
    ("origins", "header", "code"),
    [
        ([SCHOOL], (f"Origin: {SCHOOL}",), None),
        ([SCHOOL], (f"origin:{SCHOOL}",), None),
        ([SCHOOL, "none"], (), None),
        ([SCHOOL], (), 4403),
        ([SCHOOL], ("Origin: null",), 4403),
        ([SCHOOL], ("Origin: https://other.example",), 4403),
        ([SCHOOL], (f"Origin: {SCHOOL}.evil.example",), 4403),
        ([SCHOOL], ("Origin: " + SCHOOL + "x" * 4000,), 4403),
        ([], ("Origin: https://other.example",), None),
    ],
)
async def test_only_pages_of_the_events_origins_count(shared, origins, header, code):
    name = f"origins-{'none'.join(map(str, map(len, origins)))}-there"
    if name not in shared.gateway.holdings:
        await shared.open_event(name, policy={"origins": origins})
    closed = shared.gateway.outcomes.closed.get(4403, 0)
    async with raw(shared, headers=header) as (reader, writer, head):
        assert head.startswith(b"HTTP/1.1 101")
        writer.write(frame(json.dumps(HELLO | {"event": name}).encode()))
        if code is None:
            assert b"welcome" in await asyncio.wait_for(reader.read(200), PATIENT_S)
        else:
            assert close_code(await asyncio.wait_for(reader.read(), PATIENT_S)) == code
    refused = shared.gateway.outcomes.closed.get(4403, 0) - closed
    assert refused == (0 if code is None else 1)
    await shared.until(lambda: not shared.gateway.opening)


async def test_two_origins_are_none(shared):
    wrong = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    async with raw(shared, headers=(f"Origin: {SCHOOL}", f"Origin: {SCHOOL}")) as (reader, _, head):
        assert head.split(b" ")[1] == b"400"
        await asyncio.wait_for(reader.read(), PATIENT_S)
    asyncio.get_running_loop().set_exception_handler(None)
    assert not wrong


async def test_what_a_connection_keeps_of_its_origin_is_gone_after_the_hello(shared):
    await shared.until(lambda: not shared.gateway.opening)
    async with raw(shared, headers=(f"Origin: {SCHOOL}",)) as (reader, writer, _):
        await shared.until(lambda: list(shared.gateway.opening.values()) == [SCHOOL])
        writer.write(HELLO_FRAME)
        assert b"welcome" in await asyncio.wait_for(reader.read(200), PATIENT_S)
        assert not shared.gateway.opening


async def test_a_message_in_fragments_is_one_message(shared):
    async with shared.socket() as talk:
        text = json.dumps(HELLO)
        await talk.connection.send([text[:10], text[10:30], text[30:]])
        assert (await talk.hear())["type"] == "welcome"


@contextlib.asynccontextmanager
async def dial(stack):
    """A plain connection, closed at the end whatever became of it."""
    reader, writer = await asyncio.open_connection(*stack.address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


UPGRADE = (
    "Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL}",
)  # fmt: skip


@contextlib.asynccontextmanager
async def raw(stack, path=wire.PATH, headers=()):
    """A websocket opened by hand: reader, writer, and the head of the answer."""
    async with dial(stack) as (reader, writer):
        writer.write("\r\n".join([f"GET {path} HTTP/1.1", *UPGRADE, *headers, "", ""]).encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENT_S)
        yield reader, writer, head


def frame(payload, *, opcode=1, fin=True, rsv=0, mask=True, length=None):
    """A client frame, as right or wrong as asked for."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack(">Q", size)
    key = b"\1\2\3\4" if mask else b""
    body = bytes(b ^ key[i % 4] for i, b in enumerate(payload)) if mask else payload
    return head + key + body


def close_code(data):
    """The close code in what a server sent last: a close frame without a mask."""
    at = data.rfind(b"\x88")
    assert at >= 0, data
    return struct.unpack(">H", data[at + 2 : at + 4])[0]


HELLO_FRAME = frame(json.dumps(HELLO).encode())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"{}", mask=False), 1002),
        (frame(b"{}", rsv=4), 1002),
        (frame(b"{}", rsv=1), 1002),
        (frame(b"", opcode=3), 1002),
        (frame(b"x" * 126, opcode=9), 1002),
        (frame(b"x", opcode=9, fin=False), 1002),
        (frame(b"x", opcode=0), 1002),
        (frame(b"a", fin=False) + frame(b"b"), 1002),
        (frame(b"", length=2**63 - 1), 1009),
        (frame(b"", length=1025), 1009),
        (frame(b"\xff\xfe{}"), 4400),
        (frame(b"", opcode=9) * 40, 4429),
        (HELLO_FRAME + frame(b"", opcode=10) * 40, 4429),
        (frame(struct.pack(">H", 1000), opcode=8), 1000),
        (frame(b"\x03", opcode=8), 1002),
    ],
)
async def test_raw_frames_that_break_the_protocol(shared, sent, code):
    """RFC 6455 sections 5.1, 5.2, 5.4, 5.5; what is too big is refused before it is read."""
    async with raw(shared) as (reader, writer, head):
        assert head.startswith(b"HTTP/1.1 101")
        writer.write(sent)
        assert close_code(await asyncio.wait_for(reader.read(), PATIENT_S)) == code


async def test_a_frame_that_comes_byte_by_byte_is_a_frame(shared):
    async with raw(shared) as (reader, writer, _):
        for byte in HELLO_FRAME:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert b"welcome" in await asyncio.wait_for(reader.read(200), PATIENT_S)


async def test_bytes_sent_along_with_the_upgrade_are_frames(shared):
    async with dial(shared) as (reader, writer):
        head = "\r\n".join([f"GET {wire.PATH} HTTP/1.1", *UPGRADE, "", ""])
        writer.write(head.encode() + HELLO_FRAME)
        data = await asyncio.wait_for(reader.readuntil(b"welcome"), PATIENT_S)
        assert data.startswith(b"HTTP/1.1 101")


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ((), "/v1/viewers?x=1", b"101"),
        (("Sec-WebSocket-Protocol: other",), wire.PATH, b"101"),
        (("Sec-WebSocket-Key: another",), wire.PATH, b"400"),
        (("Sec-WebSocket-Version: 12",), wire.PATH, b"400"),
        ((), "/v1/viewer", b"404"),
    ],
)
async def test_handshakes(shared, headers, path, status):
    async with raw(shared, path, headers) as (_, _, head):
        assert head.split(b" ")[1] == status


async def test_without_the_subprotocol_there_is_no_websocket(shared):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(shared.url)
    assert caught.value.status == 400


async def test_a_head_that_never_ends_is_cut_off(valkey, tmp_path):
    async with Stack(valkey, tmp_path, handshake_s=1) as stack, dial(stack) as (reader, writer):
        writer.write(b"GET /v1/viewers HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENT_S) == b""
        await stack.until(lambda: stack.gateway.admission.open == 0)


async def test_a_head_that_is_too_long_is_refused(shared):
    async with dial(shared) as (reader, writer):
        writer.write(b"GET /v1/viewers HTTP/1.1\r\nX: " + b"y" * 20_000)
        status = (await asyncio.wait_for(reader.readline(), PATIENT_S)).split(b" ")[1]
        assert status in {b"400", b"431"}


async def test_silence_after_the_handshake_is_closed_in_time(valkey, tmp_path):
    async with Stack(valkey, tmp_path, handshake_s=1) as stack, stack.socket() as talk:
        code, last = await talk.ended()
        assert (code, last["message"]) == (4408, "no hello in time")


async def test_more_connections_than_allowed_are_answered_503_and_places_are_given_back(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, connections_max=2) as stack:
        await stack.open_event()
        async with (
            stack.viewer("viewer-0001"),
            stack.viewer("viewer-0002"),
            dial(stack) as (reader, _),
        ):
            assert (await reader.readline()).split(b" ")[1] == b"503"
            assert b"Retry-After" in await reader.read()
        await stack.until(lambda: stack.gateway.admission.open == 0)
        async with stack.viewer("viewer-0003"):
            assert stack.gateway.admission.open == 1


async def test_a_viewer_who_never_reads_is_dropped_and_nothing_piles_up(valkey, tmp_path):
    """With buffers as small as the kernel allows, so that a few hundred answers fill them."""
    options = {"unsent_bytes_max": 4096, "messages_burst": 1000, "messages_per_interval": 1000}
    async with Stack(valkey, tmp_path, **options) as stack:
        await stack.open_event()
        async with raw(stack) as (_, writer, _):
            client = writer.transport.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            (connection,) = stack.gateway.opening
            theirs = connection._transport.get_extra_info("socket")
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024)
            writer.transport.pause_reading()
            writer.write(HELLO_FRAME)
            beat = frame(b'{"type":"heartbeat","seq":1,"state":"buffering"}')
            with contextlib.suppress(ConnectionError):
                for _ in range(9):
                    writer.write(beat * 100)
                    await asyncio.sleep(0.02)
            await stack.until(lambda: stack.gateway.admission.open == 0)
        assert stack.gateway.outcomes.closed == {}


async def test_after_a_stall_what_waited_is_late_and_never_acknowledged(valkey, tmp_path):
    """The worker stands still for longer than it may while a heartbeat waits in its socket."""
    async with Stack(valkey, tmp_path, stall_s=3.0) as stack:
        notary = await stack.open_event()
        async with stack.viewer() as talk:
            await talk.beat(1)
            assert (await talk.hear())["type"] == "ack"
            await talk.beat(2)
            time.sleep(3.5)  # noqa: ASYNC251 (the stall)
            await stack.until(lambda: stack.gateway.outcomes.late == 1)
            await stack.until(lambda: not stack.gateway.stalled(monotonic_us()))
            await talk.beat(3)
            answer = await talk.hear()
            assert (answer["seq"], answer["late"]) == (3, 1)
        assert stack.gateway.outcomes.late == 1
        await stack.close_event()
        assert sum(notary.timeline.rows(0, 1000)["late"]) == 1


# --- Leaving ---


async def test_only_a_pulse_in_time_ends_a_stall(stack):
    """Reading what waited may take longer than the pause between two pulses."""
    gateway, limit_us = stack.gateway, stack.settings.stall_s * 1e6
    gateway._pulse_timer.cancel()
    now_us = monotonic_us()
    gateway._pulsed_us = now_us - 2 * limit_us
    assert gateway.stalled(now_us)
    gateway._pulse()
    gateway._pulse_timer.cancel()
    assert gateway.stalled(now_us + 0.9 * limit_us)
    gateway._pulse()
    assert not gateway.stalled(monotonic_us())


async def test_draining_asks_to_reconnect_archives_what_was_heard_and_gives_up_membership(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, workers=1) as stack:
        await stack.open_event()
        worker = stack.workers[0][0]
        async with stack.viewer() as talk:
            await talk.beat(1)
            draining = asyncio.create_task(worker.drain())
            heard = [await talk.hear(), await talk.hear()]
            assert {m["type"] for m in heard} == {"reconnect", "ack"}
            assert (await talk.ended())[0] == 1001
            await draining
        assert (
            await stack.client.hlen(
                f"sc:{{{worker.gateway.holdings['lesson'].listed.tag}}}:members"
            )
            == 0
        )


# --- TLS and plain HTTP on the same port ---


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl found: Debian's package openssl makes the certificate")
    made = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-out", made[0], "-keyout", made[1],
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


async def test_tls(valkey, tmp_path, certificate):
    async with Stack(valkey, tmp_path / "data") as stack:
        await stack.open_event()
        worker = stack.workers[0][0]
        settings = stack.settings.model_copy(
            update={
                "tls_cert": certificate[0],
                "tls_key": certificate[1],
                "public_port": free_port(),
            }
        )
        worker._server.close()
        worker._settings = settings
        await worker.listen(tls_context(settings))
        trust = ssl.create_default_context(cafile=certificate[0])
        url = f"wss://localhost:{settings.public_port}{wire.PATH}"
        async with connect(
            url, subprotocols=[wire.SUBPROTOCOL], ssl=trust, compression=None
        ) as connection:
            await connection.send(json.dumps(HELLO))
            assert json.loads(await connection.recv())["type"] == "welcome"
            await connection.send('{"type":"heartbeat","seq":1,"state":"playing","position":1}')
            assert json.loads(await connection.recv())["type"] == "ack"
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://localhost:{settings.public_port}/healthz", ssl=trust) as answer,
        ):
            assert answer.status == 200


async def get(stack, path, method="GET"):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{stack.settings.public_port}{path}") as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def test_public_http(stack):
    notary = await stack.open_event()
    async with stack.viewer() as talk:
        await talk.beat(1)
        await talk.hear()
        status, headers, body = await get(stack, "/v1/events/lesson/count")
        count = json.loads(body)
        assert (status, count["live"], count["peak"], count["uncertain"]) == (200, 1, 0, False)
        assert headers["Connection"] == "close"
    status, _, body = await get(stack, "/v1/events/lesson/log/checkpoint")
    assert (status, body.startswith(notary.archive.signer.name.encode())) == (200, True)
    size = int(body.split(b"\n")[1])
    status, headers, body = await get(stack, f"/v1/events/lesson/log/tile/0/000.p/{size}")
    assert (status, len(body)) == (200, 32 * size)
    assert "immutable" in headers["Cache-Control"]
    assert (await get(stack, "/readyz"))[0] == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (wire.PATH, "GET", 426),
        ("/healthz", "GET", 200),
        ("/", "GET", 404),
        ("/nothing", "GET", 404),
        ("/v1/events/other/count", "GET", 404),
        ("/v1/events/other/log/checkpoint", "GET", 404),
        ("/v1/events/..%2f..%2fetc/log/checkpoint", "GET", 404),
        ("/v1/events/lesson/log/../signing.key", "GET", 404),
        ("/v1/events/lesson/log/signing.key", "GET", 404),
        ("/examples/../streamcount.js", "POST", 405),
    ],
)
async def test_public_http_answers_what_it_has_and_nothing_else(shared, path, method, status):
    found, headers, _ = await get(shared, path, method)
    assert found == status
    assert headers["Connection"] == "close"
    if status in {404, 405}:
        assert headers["Access-Control-Allow-Origin"] == "*"
