"""A viewer in Python: for apps, tests and the simulator. Protocol v1, docs/protocol.md.

    from streamcount.embed.client import Viewer  # BeaconViewer of embed/beacons.py without websockets

    async def main():
        viewer = Viewer("ws://127.0.0.1:8080/v1/viewers", event="lesson", viewer="my-device-id")
        watching = asyncio.create_task(viewer.run())
        viewer.play()
        await asyncio.sleep(60)
        await viewer.leave()
        await watching

`run` connects, says hello, sends a heartbeat every interval and at once when the state changes, and
connects again, as the same viewer, whenever the connection is lost. A pause that was lost with its
connection is told again first: otherwise it would be counted through. It ends after `leave`, or when the
server says that there is nothing to come back for.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from streamcount.core import wire

_BACKOFF_FIRST_S: Final = 0.25
_BACKOFF_MOST_S: Final = 10.0
_OPEN_TIMEOUT_S: Final = 15.0
_MOVE_TIMEOUT_S: Final = 8.0
# Close codes after which coming back would be refused again.
_FINAL_CODES: Final = {
    wire.MALFORMED, wire.UNAUTHORISED, wire.FORBIDDEN, wire.NOT_FOUND, wire.CLOSED,
}  # fmt: skip


# Message -> the numbers it must hold.
_NUMBERS: Final = {
    "welcome": ("interval",),
    "ack": ("seq", "tick", "late"),
    "noted": ("seq",),
    "reconnect": ("after",),
    "error": ("code",),
}


def _read(message: str | bytes) -> dict[str, Any]:
    """Return a message of the server.

    Raises:
        ConnectionError: it is none; whoever is at the other end does not speak the protocol.
    """
    try:
        answer = orjson.loads(message)
        if all(isinstance(answer[name], int | float) for name in _NUMBERS.get(answer["type"], ())):
            return dict(answer)
    except (ValueError, KeyError, TypeError):
        pass
    raise ConnectionError(f"no message of this protocol: {message[:100]!r}")


class Viewer:
    """One viewer over one connection at a time.

    `on_ack(seq, state, message)` is called with each acknowledgement; `on_noted` likewise with each
    heartbeat that set no bit. States are those sent, and "bye" for a bye.
    """

    def __init__(  # noqa: PLR0913 (keywords, most of them optional)
        self,
        url: str,
        *,
        event: str,
        viewer: str,
        stream: str = "main",
        source: str = "",
        player: str = "streamcount-python",
        origin: str | None = None,
        position: Callable[[], float | None] | None = None,
        on_ack: Callable[[int, str, dict[str, Any]], None] | None = None,
        on_noted: Callable[[int, str, dict[str, Any]], None] | None = None,
    ) -> None:
        """`position` returns the player's position in seconds; time since `play` when not given.

        `origin`: the web origin to call itself, where the event counts no apps (`policy.origins`).
        """
        self.url = url
        self.event, self.stream, self.viewer = event, stream, viewer
        self.source, self.player, self.origin = source, player, origin
        self.state = "buffering"
        self.muted = False
        self.visible = True
        # What the server told last, and the close code that ended `run`, if one did.
        self.welcome: dict[str, Any] | None = None
        self.last_ack: dict[str, Any] | None = None
        self.closed_with: int | None = None
        self.connects = 0
        # seq -> state, of what was sent and neither acknowledged nor noted, and how many of these
        # never will be: their connection was lost.
        self.outstanding: dict[int, str] = {}
        self.unanswered = 0
        # The latest heartbeat that may be a break and has no answer yet, to be told again.
        self._break: dict[str, Any] | None = None
        self._unheard = False
        self._position = position or self._seconds_played
        self._on_ack, self._on_noted = on_ack, on_noted
        self._started: float | None = None
        # The latest seq used: how many were sent.
        self.seq = 0
        self._connection: ClientConnection | None = None
        # The same from before its welcome.
        self._opening: ClientConnection | None = None
        self._leaving = False
        # True while `settle` waits: no heartbeat is sent.
        self._quiet = False
        # True when the server asked for another connection, which is then made at once.
        self._moved = False
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()

    # --- What the player does ---------------------------------------------------------------------

    def play(self) -> None:
        """Say that the player plays."""
        if self._started is None:
            self._started = time.monotonic()
        self._change("playing")

    def pause(self) -> None:
        """Say that the player was paused."""
        self._change("paused")

    def end(self) -> None:
        """Say that the stream ended."""
        self._change("ended")

    def _change(self, state: str) -> None:
        self.state = state
        self._changed.set()

    def _seconds_played(self) -> float | None:
        return None if self._started is None else round(time.monotonic() - self._started, 3)

    # --- Being there --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until `leave`, or until the server says that there is nothing to come back for."""
        attempt = 0
        while not self._over():
            self.closed_with = None
            try:
                async with connect(
                    self.url,
                    origin=self.origin,  # type: ignore[arg-type]
                    subprotocols=[wire.SUBPROTOCOL],  # type: ignore[list-item]
                    compression=None,
                    max_size=4096,
                    max_queue=64,
                    open_timeout=_OPEN_TIMEOUT_S,
                    close_timeout=2.0,
                    ping_interval=None,
                ) as connection:
                    self.connects += 1
                    await self._converse(connection)
                    attempt = 0
            except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, ConnectionClosed):
                attempt += 1
            finally:
                self._connection = self._opening = None
            if self._over():
                return
            await asyncio.sleep(self._pause_s(attempt))

    async def leave(self, timeout_s: float = 20.0) -> bool:
        """Say bye, wait for its acknowledgement, and end `run`; tell whether it was acknowledged."""
        self._leaving = True
        connection = self._connection
        if connection is None:
            if self._opening is not None:
                await self._opening.close()
            return False
        try:
            await connection.send(
                orjson.dumps({"type": "bye", "seq": self._next("bye")}), text=True
            )
            await asyncio.wait_for(connection.wait_closed(), timeout_s)
        except (TimeoutError, ConnectionClosed):
            await connection.close()
        return not self.outstanding

    async def settle(self, timeout_s: float = 20.0) -> bool:
        """Send nothing more over this connection, and wait until all that was sent is answered.

        Tells whether it is. The next connection sends again.
        """
        self._quiet = True
        try:
            async with asyncio.timeout(timeout_s):
                while self.outstanding:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True

    def reconnect(self) -> None:
        """Drop the connection as a network does, without a word; `run` makes another."""
        if self._connection is not None:
            self._connection.transport.abort()

    def drop(self) -> None:
        """Drop the connection and do not come back: what a closed laptop does."""
        self._leaving = True
        self.reconnect()

    # --- Inside -------------------------------------------------------------------------------------

    async def _converse(self, connection: ClientConnection) -> None:
        hello = {
            "type": "hello",
            "event": self.event,
            "stream": self.stream,
            "viewer": self.viewer,
            "source": self.source,
            "player": self.player,
        }
        self._opening = connection
        await connection.send(orjson.dumps(hello), text=True)
        tasks: list[asyncio.Task[None]] = []
        try:
            async for message in connection:
                answer = _read(message)
                self._take(answer)
                if answer["type"] == "welcome":
                    self._connection = connection
                    self._give_up_outstanding()
                    self._quiet = False
                    tasks.append(
                        asyncio.create_task(self._beat(connection, max(1, answer["interval"])))
                    )
                elif answer["type"] == "reconnect":
                    tasks.append(asyncio.create_task(self._move(connection, answer["after"])))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if connection.close_code is not None and self.closed_with is None:
                self.closed_with = connection.close_code

    async def _move(self, connection: ClientConnection, after_s: float) -> None:
        """Come back over a new connection when the server asked to, once all is answered here."""
        await asyncio.sleep(after_s)
        await self.settle(_MOVE_TIMEOUT_S)
        self._moved = True
        await connection.close()

    async def _beat(self, connection: ClientConnection, interval_s: float) -> None:
        """Send a heartbeat now, every interval, and at once when the state changes."""
        # What was said over an earlier connection, or to a server that was not ready, was said to nobody.
        self._unheard = self._break is not None
        while not self._leaving:
            self._changed.clear()
            if self._unheard and self._break is not None and not self._quiet:
                self._unheard = False
                seq = self._next(self._break["state"])
                self._break = self._break | {"seq": seq, "again": True}
                await connection.send(orjson.dumps(self._break), text=True)
            if not self._quiet:
                await connection.send(orjson.dumps(self._heartbeat()), text=True)
            try:
                async with asyncio.timeout(interval_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _heartbeat(self) -> dict[str, Any]:
        heartbeat = {
            "type": "heartbeat",
            "seq": self._next(self.state),
            "state": self.state,
            "visible": self.visible,
            "muted": self.muted,
            "position": self._position(),
        }
        if self.state in {"paused", "ended"} or not self.visible:
            before = self._break
            self._break = heartbeat
            if before is not None and before["state"] in {"paused", "ended"}:
                # Hidden pages may count: what is told again is the pause before it.
                self._break = heartbeat | {"state": before["state"]}
        return heartbeat

    def _over(self) -> bool:
        return self._leaving or self.closed_with in _FINAL_CODES

    def _give_up_outstanding(self) -> None:
        """Nothing sent over an earlier connection will be answered any more."""
        self.unanswered += len(self.outstanding)
        self.outstanding.clear()
        self._settled.set()

    def _next(self, state: str) -> int:
        self.seq += 1
        self.outstanding[self.seq] = state
        return self.seq

    def _take(self, answer: dict[str, Any]) -> None:
        kind = answer["type"]
        if kind == "welcome":
            self.welcome = answer
        elif kind in {"ack", "noted"}:
            state = self.outstanding.pop(answer["seq"], "")
            if self._break is not None and self._break["seq"] == answer["seq"]:
                self._unheard = answer.get("why") == "not-ready"
                self._break = self._break if self._unheard else None
            call = self._on_ack if kind == "ack" else self._on_noted
            if kind == "ack":
                self.last_ack = answer
            if state and call is not None:
                call(answer["seq"], state, answer)
            if not self.outstanding:
                self._settled.set()
        elif kind == "error":
            self.closed_with = answer["code"]

    def _pause_s(self, attempt: int) -> float:
        """Full jitter: anything from nothing to a bound that doubles."""
        if self._moved:
            self._moved = False
            return 0.0
        most = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2 ** min(attempt, 16))
        return random.uniform(0, most)  # noqa: S311 (jitter)
