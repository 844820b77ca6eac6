"""A proxy in front of the store that does to its connections what networks do.

It stands at `url`; give that to --redis-url. Words as toxiproxy has them; each is an attribute that may be
set at any time, from any thread, and is looked at for every piece of data:

    latency_s       each piece waits so long, or anything up to it with `jitter`
    timeout         nothing passes any more, nothing is closed: a cable is cut, a firewall drops
    reset_peer      connections are reset, new ones too
    slicer_bytes    pieces are cut to this size, and each waits `slicer_s`
    limit_data      a connection ends after so many bytes
    slow_close_s    the end of a connection is told so much later
    drop_replies    the server hears and does everything, and none of its answers arrives

None of them: it only carries. `target` may be changed as well; `cut` ends the connections that are open.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading

from tests.stack import free_port

_PIECE_BYTES = 65_536


class Background:
    """An event loop in a thread of its own, for what must go on while a test waits."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, coroutine, seconds=120.0):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def end(self):
        async def cancel_all():
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.call(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)
        self.loop.close()


class Proxy:
    """In front of a server at `target`: a port of this machine, or the path of a unix socket."""

    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.connections = 0
        self.heal()
        self._writers = set()
        self._background = Background()
        self._server = self._background.call(
            asyncio.start_server(self._serve, "127.0.0.1", self.port)
        )

    def heal(self):
        """Only carry, from now on."""
        self.latency_s, self.jitter = 0.0, False
        self.timeout = self.reset_peer = self.drop_replies = False
        self.slicer_bytes, self.slicer_s = 0, 0.0
        self.limit_data, self.slow_close_s = 0, 0.0

    def cut(self):
        """End every open connection, with a reset."""

        async def reset_all():
            for writer in self._writers:
                _reset(writer)

        self._background.call(reset_all())

    def close(self):
        self._background.loop.call_soon_threadsafe(self._server.close)
        self._background.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- In the thread ---

    async def _serve(self, reader, writer):
        self.connections += 1
        if self.reset_peer:
            return _reset(writer)
        try:
            there = await self._connect()
        except OSError:
            return _reset(writer)
        self._writers |= {writer, there[1]}
        pumps = [
            asyncio.create_task(self._pump(reader, there[1], replies=False)),
            asyncio.create_task(self._pump(there[0], writer, replies=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(self.slow_close_s)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in (writer, there[1]):
                self._writers.discard(end)
                end.close()

    async def _connect(self):
        if isinstance(self.target, int):
            return await asyncio.open_connection("127.0.0.1", self.target)
        return await asyncio.open_unix_connection(str(self.target))

    async def _pump(self, reader, writer, *, replies):
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(self.slicer_bytes or _PIECE_BYTES):
                if self.latency_s:
                    share = random.random() if self.jitter else 1.0
                    await asyncio.sleep(self.latency_s * share)
                if self.slicer_bytes:
                    await asyncio.sleep(self.slicer_s)
                while self.timeout:  # noqa: ASYNC110 (another thread sets it)
                    await asyncio.sleep(0.02)
                if self.reset_peer:
                    return _reset(writer)
                if replies and self.drop_replies:
                    continue
                writer.write(data)
                await writer.drain()
                passed += len(data)
                if self.limit_data and passed >= self.limit_data:
                    return None
        return None


def _reset(writer):
    """End a connection so that the other side meets a reset, not an end."""
    found = writer.get_extra_info("socket")
    if found is not None and found.family == socket.AF_INET:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
