"""The whole service inside one test: a real store, the notary, workers on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import time

import websockets.asyncio.client

from streamcount.app import PublicFiles
from streamcount.config import Settings, WitnessSettings
from streamcount.core import wire
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.http import PublicHttp
from streamcount.ingest.worker import Worker
from streamcount.notary.asking import Asking
from streamcount.notary.events import Events
from streamcount.notary.publish import Desk
from streamcount.store import server
from streamcount.store.buckets import buckets_of
from streamcount.store.directory import Directory

# As short as the rules allow, so that tests are.
FAST = {
    "seal_lag_s": 0.2,
    "open_delay_s": 0.4,
    "close_delay_s": 0.5,
    "notary_poll_s": 0.05,
    "directory_poll_s": 0.1,
    "reconnect_spread_s": 0.2,
    "drain_s": 6.0,
    # How long something takes is the machine's affair: no test that is not about them meets these.
    "stall_s": 60.0,
    "beacon_wait_s": 60.0,
}

QUICK_WITNESSES = {
    "look_s": 0.05,
    "idle_look_s": 0.2,
    "peak_pause_s": 1.0,
    "retry_first_s": 0.1,
    "retry_most_s": 0.5,
}


def _ports():
    """Ports below those that the system gives to outgoing connections, other ones in each process.

    Workers share a port, so nobody is refused one that another test run has taken at the same moment:
    where several run on a machine, each begins elsewhere.
    """
    first = 12_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    at = os.getpid() * 37 % 1_000
    yield from itertools.cycle([*range(first + at, first + 1_000), *range(first, first + at)])


_PORTS = _ports()


def free_port():
    """A port that nobody has, and nobody gets by chance before the caller binds it."""
    return next(port for port in _PORTS if _is_free(port))


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Stack:
    """Workers and a notary on one store."""

    def __init__(self, url, data, workers=1, *, flush=True, polling=None, witness=None, **change):
        self.flush = flush
        # The platforms that are asked, if any are.
        self.polling = polling
        # How witnesses and authorities are asked: what differs from the defaults.
        self.witness = WitnessSettings(**(QUICK_WITNESSES | (witness or {})))
        self.settings = Settings(
            data=data, redis_url=url, public_port=free_port(), **(FAST | change)
        )
        self.count = workers
        self.workers = []
        self.tasks = []

    async def __aenter__(self):
        self.client = server.connect(
            self.settings.redis_url, deadline_s=self.settings.store_deadline_s
        )
        if self.flush:
            await self.client.flushall()
        self.events = self.new_events()
        self.events.load()
        self.desk = Desk(self.events)
        self.tasks.append(asyncio.create_task(self.events.run()))
        for number in range(self.count):
            await self.add_worker(f"node-{number}", f"boot-{number}")
        return self

    async def __aexit__(self, *_):
        for worker, http in self.workers:
            worker._server.close()
            worker.gateway.stop()
            for name in list(worker._tasks):
                worker._stop_delivering(name)
            await http.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.events.close()
        await asyncio.sleep(0.05)
        await self.client.aclose()

    def new_events(self):
        asking = Asking(self.witness)
        return Events(self.settings, self.buckets_of, self.directory(), self.polling, asking)

    def directory(self):
        return Directory(self.client, connections_max=self.settings.test_connections_max)

    def buckets_of(self, listed):
        return buckets_of(self.client, listed, self.settings)

    async def add_worker(self, node, boot):
        gateway = Gateway(self.settings)
        http = PublicHttp(gateway, PublicFiles(self.settings.data))
        await http.start()
        gateway.http = http.connection
        worker = Worker(self.settings, gateway, self.directory(), self.buckets_of, (node, boot))
        await worker.listen(None)
        self.tasks.append(asyncio.create_task(worker.run()))
        self.workers.append((worker, http))
        return worker

    @property
    def gateway(self):
        return self.workers[0][0].gateway

    @property
    def address(self):
        return "127.0.0.1", self.settings.public_port

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.settings.public_port}{wire.PATH}"

    async def open_event(self, name="lesson", **change):
        """Create and open an event; return when its first tick has begun."""
        plain = {"id": name, "title": {"en": "A lesson"}, "window": 7, "interval": 1}
        await self.desk.create(plain | change)
        await self.until(lambda: all(name in w.gateway.holdings for w, _ in self.workers))
        first = await self.desk.open(name, None)
        await self.until(
            lambda: all(w.gateway.holdings[name].tick >= first for w, _ in self.workers)
        )
        return self.events.notaries[name]

    async def close_event(self, name="lesson"):
        close = await self.desk.close(name)
        notary = self.events.notaries[name]
        await self.until(lambda: notary.course.claim is not None, notary.event.window + 120)
        return close

    async def until(self, reached, seconds=120.0):
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, "did not happen in time"
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def socket(self):
        connection = websockets.asyncio.client.connect(
            self.url,
            subprotocols=[wire.SUBPROTOCOL],
            compression=None,
            ping_interval=None,
            open_timeout=60,
            close_timeout=1,
        )
        async with connection as found:
            yield Talk(found)

    @contextlib.asynccontextmanager
    async def viewer(self, viewer="viewer-0001", event="lesson", stream="main"):
        async with self.socket() as talk:
            await talk.say(type="hello", event=event, stream=stream, viewer=viewer)
            assert (await talk.hear())["type"] == "welcome"
            yield talk


class Talk:
    """One websocket, in messages."""

    def __init__(self, connection):
        self.connection = connection
        self.position = 0

    async def say(self, **message):
        await self.connection.send(json.dumps(message))

    async def beat(self, seq, state="playing", **change):
        self.position += 1
        await self.say(type="heartbeat", seq=seq, state=state, position=self.position, **change)

    async def hear(self, seconds=60.0):
        return json.loads(await asyncio.wait_for(self.connection.recv(), seconds))

    async def ended(self, seconds=60.0):
        """Read until the connection is closed; return its code and the last message."""
        last = None
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            async with asyncio.timeout(seconds):
                while True:
                    last = json.loads(await self.connection.recv())
        return self.connection.close_code, last
