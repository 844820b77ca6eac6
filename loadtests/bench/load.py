"""The load: many connections from one process, the same bytes to every server, every answer counted.

Bare asyncio protocols on uvloop, with frames made beforehand, so that the load costs less than what it
measures. Each connection upgrades, says hello, and then sends a heartbeat whenever its turn comes; a
hundred times a second it is the turn of another hundredth of them.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections.abc import Callable
from typing import Final, cast

from streamcount.core import wire

_TURNS: Final = 100
_MASK: Final = b"\x11\x22\x33\x44"


def client_frame(payload: bytes) -> bytes:
    """Return a masked text frame (RFC 6455 section 5.2)."""
    head = b"\x81" + (
        bytes([0x80 | len(payload)])
        if len(payload) < 126
        else struct.pack(">BH", 0x80 | 126, len(payload))
    )
    return head + _MASK + bytes(byte ^ _MASK[i & 3] for i, byte in enumerate(payload))


class LoadConnection(asyncio.Protocol):
    """One viewer, who never looks at what an answer says."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._number = number
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._upgraded = False
        self._seq = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        """Count frames."""
        data = self._buffer + data
        if not self._upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if b" 101 " not in head[:20]:
                raise RuntimeError(f"no upgrade: {head[:80]!r}")
            self._upgraded = True
            self._load.upgraded += 1
            self._write(self._load.hello(self._number))
        at = 0
        while len(data) - at >= 2:
            length, head_bytes = data[at + 1], 2
            if length == 126:
                if len(data) - at < 4:
                    break
                length, head_bytes = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            if len(data) - at < head_bytes + length:
                break
            at += head_bytes + length
            self._load.frames += 1
        self._buffer = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note; a server that drops connections is not measured in silence."""
        self._transport = None
        self._load.lost += exc is not None or not self._load.ending

    def beat(self) -> None:
        """Send a heartbeat; the position moves, as the policy asks."""
        self._seq += 1
        self._write(self._load.beats[self._seq % len(self._load.beats)])

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


class Load:
    """Connections to one server."""

    def __init__(self, port: int, event: str, context: ssl.SSLContext | None) -> None:
        self.frames = 0
        self.upgraded = 0
        self.lost = 0
        self.ending = False
        self.sent = 0
        self.request = (
            f"GET {wire.PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {wire.SUBPROTOCOL}\r\n\r\n"
        ).encode()
        self.beats = [client_frame(_heartbeat(seq)) for seq in range(512)]
        self._port = port
        self._event = event
        self._context = context
        self._connections: list[LoadConnection] = []

    def hello(self, number: int) -> bytes:
        """Return the hello of a viewer."""
        plain = {
            "type": "hello",
            "event": self._event,
            "stream": "main",
            "viewer": f"bench-{number:07}",
        }
        return client_frame(json.dumps(plain | {"source": "", "player": "bench"}).encode())

    async def connect(self, count: int, at_once: int = 50) -> None:
        """Open this many more connections."""
        loop = asyncio.get_running_loop()
        name = "localhost" if self._context else None
        for start in range(0, count, at_once):
            made = [
                LoadConnection(self, len(self._connections) + i)
                for i in range(min(at_once, count - start))
            ]
            await asyncio.gather(
                *(
                    loop.create_connection(
                        _always(one),
                        "127.0.0.1",
                        self._port,
                        ssl=self._context,
                        server_hostname=name,
                    )
                    for one in made
                )
            )
            self._connections += made
        while self.upgraded < len(self._connections):  # noqa: ASYNC110 (protocols call nobody)
            await asyncio.sleep(0.01)

    async def beat(self, seconds: float, interval_s: float = 1.0) -> None:
        """Let every connection send a heartbeat an interval, for some seconds."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        turns = int(seconds / interval_s * _TURNS)
        for turn in range(turns):
            for connection in self._connections[turn % _TURNS :: _TURNS]:
                connection.beat()
                self.sent += 1
            await asyncio.sleep(max(0.0, start + (turn + 1) * interval_s / _TURNS - loop.time()))

    def close(self) -> None:
        """End all connections."""
        self.ending = True
        for connection in self._connections:
            connection.close()


def _always(one: LoadConnection) -> Callable[[], LoadConnection]:
    return lambda: one


def _heartbeat(seq: int) -> bytes:
    plain = {"type": "heartbeat", "seq": seq, "state": "playing", "visible": True, "muted": False}
    return json.dumps(plain | {"position": seq * 1.25, "behind_live_s": 4.5}).encode()
