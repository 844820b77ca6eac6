"""What clients and the running service really say to each other is what docs/schemas/ says, no key more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from streamcount.core import wire
from streamcount.embed.client import Viewer
from tests.schemas.published import ASYNCAPI, CLIENT, SERVER, kinds, only_listed_keys, validator
from tests.schemas.tap import Tap
from tests.service import PATIENT_S, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traffic")
    with serving(folder, "--workers", "1", STREAMCOUNT_DRAIN_S="10") as running:
        yield running


async def until(reached, seconds=PATIENT_S):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "did not happen in time"
        await asyncio.sleep(0.05)


def known(service):
    """Does the worker know the event already."""
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(
            f"{service.public}/v1/events/lesson/count", timeout=PATIENT_S
        ).close()
        return True
    return False


async def converse(service, tap):
    """Everything that can be said but for a stop of the service: the viewer is left watching."""
    url = f"ws://127.0.0.1:{tap.port}{wire.PATH}"
    service.create("lesson", policy={"muted_counts": False})
    await asyncio.to_thread(service.wait_for, lambda: known(service))
    viewer = Viewer(url, event="lesson", viewer="viewer-0001", source="https://example.org/a.m3u8")
    running = asyncio.create_task(viewer.run())
    viewer.play()
    await until(lambda: tap.heard("server", "noted"))
    await asyncio.to_thread(service.open)
    await until(lambda: viewer.last_ack is not None)
    before = viewer.seq
    viewer.pause()
    await until(lambda: viewer.last_ack["seq"] > before)
    viewer.play()
    viewer.muted = True
    await until(lambda: any(one["why"] == "muted" for one in tap.heard("server", "noted")))
    viewer.muted = False
    other = Viewer(url, event="lesson", viewer="viewer-0002")
    leaving = asyncio.create_task(other.run())
    await until(lambda: any(one["why"] == "buffering" for one in tap.heard("server", "noted")))
    other.play()
    await until(lambda: other.last_ack is not None)
    await other.leave()
    await leaving
    nobody = Viewer(url, event="lessons", viewer="viewer-0003")
    await nobody.run()
    assert nobody.closed_with == wire.NOT_FOUND
    return running


WRONG = {
    4400: ["nonsense"],
    4401: [json.dumps({"type": "hello", "event": "lesson", "stream": "main", "viewer": "viewer-0004", "token": "t"})],
    4429: ['{"type":"hello","event":"lesson","stream":"main","viewer":"viewer-0004"}']
    + ['{"type":"heartbeat","seq":1,"state":"buffering"}'] * 20,
}  # fmt: skip


async def say_wrong_things(service):
    """Past the tap's client side, which is of things said right: what the server answers to these."""
    answers = []
    for code, messages in WRONG.items():
        url = service.public.replace("http", "ws") + wire.PATH
        async with connect(url, subprotocols=[wire.SUBPROTOCOL], compression=None) as connection:
            with contextlib.suppress(ConnectionClosed):
                for message in messages:
                    await connection.send(message)
                while True:
                    answers.append(json.loads(await connection.recv()))
            assert connection.close_code == code
    return answers


async def test_recorded_traffic_is_valid_and_holds_every_kind_of_message(service):
    at = urlsplit(service.public)
    async with Tap(at.hostname, at.port) as tap:
        running = await converse(service, tap)
        said = await say_wrong_things(service)
        service.process.send_signal(signal.SIGTERM)
        await until(lambda: tap.heard("server", "reconnect"))
        assert await asyncio.to_thread(service.process.wait, 90) == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    sides = {
        "client": validator(only_listed_keys(CLIENT)),
        "server": validator(only_listed_keys(SERVER)),
    }
    for who, message in tap.messages:
        sides[who].validate(message)
    for message in said:
        sides["server"].validate(message)
    heard = {(who, message["type"]) for who, message in tap.messages}
    assert heard == {("client", kind) for kind in kinds(CLIENT)} | {
        ("server", kind) for kind in kinds(SERVER)
    }
    assert {one["code"] for one in said if one["type"] == "error"} == WRONG.keys()
    assert 1000 in tap.closes
    assert set(tap.closes) <= ASYNCAPI["x-close-codes"].keys()
