"""Stands between viewers and the service and writes down every websocket frame that passes, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct

from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader


class Frames:
    """Takes the bytes of one direction apart: a head up to the empty line, then frames."""

    def __init__(self, *, masked):
        self._reader = StreamReader()
        self._parsing = self._parse(masked=masked)
        self.head = b""
        self.found = []

    def feed(self, data):
        self._reader.feed_data(data)
        next(self._parsing)

    def _parse(self, *, masked):
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += yield from self._reader.read_line(8192)
        while self.head.startswith((b"GET", b"HTTP/1.1 101")):
            frame = yield from Frame.parse(self._reader.read_exact, mask=masked, max_size=None)
            self.found.append(frame)
        while True:
            yield


class Tap:
    """`messages`: ("client" or "server", object); `closes`: codes the server closed with."""

    def __init__(self, host, port):
        self.target = host, port
        self.messages = []
        self.closes = []
        self.connections = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heard(self, who, kind):
        return [m for side, m in self.messages if side == who and m.get("type") == kind]

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        others = None
        with contextlib.suppress(OSError):
            there, others = await asyncio.open_connection(*self.target)
            await asyncio.gather(
                self._carry("client", reader, others), self._carry("server", there, writer)
            )
        for one in (writer, others):
            if one is not None:
                one.transport.abort()
        self._tasks.discard(asyncio.current_task())

    async def _carry(self, who, reader, writer):
        frames = Frames(masked=who == "client")
        while data := await reader.read(65_536):
            frames.feed(data)
            for frame in frames.found:
                self._note(who, frame)
            frames.found.clear()
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    def _note(self, who, frame):
        if frame.opcode is Opcode.TEXT:
            assert frame.fin, "a tap for messages in one piece"
            self.messages.append((who, json.loads(bytes(frame.data))))
        elif frame.opcode is Opcode.CLOSE and who == "server":
            self.closes.append(struct.unpack(">H", bytes(frame.data)[:2])[0])
