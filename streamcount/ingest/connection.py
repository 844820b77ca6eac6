"""One connection to the public port, from its first byte to its last.

Theory of operation. No task, future or queue: asyncio calls, the connection answers. It collects its
request head, bounded in size and time. If that is an upgrade of our path it becomes a websocket, with
websockets' sans-I/O `ServerProtocol` doing the work of RFC 6455; anything else is replayed into aiohttp's
protocol, which takes the transport over. From then on every text frame goes

    frame -> session (core/session.py) -> counting (counting.py) -> holding (holding.py)

and is answered when its tick is archived (`Gateway.settle`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, cast

from websockets.exceptions import InvalidMessage
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from streamcount.core import wire
from streamcount.core.event import ORIGIN_CHARACTERS_MAX
from streamcount.core.session import Pace, Session, State, Step
from streamcount.ingest.admission import NO_ROOM
from streamcount.ingest.counting import count, count_bye, opens_at, time_ms
from streamcount.ingest.delivery import monotonic_us
from streamcount.ingest.head import END, UNREADABLE, answer, asks_for_websocket
from streamcount.ingest.holding import Holding

if TYPE_CHECKING:
    from streamcount.ingest.gateway import Gateway

# What ServerProtocol logs of single connections is of no use among thousands; it asks isEnabledFor once.
_quiet = logging.getLogger("streamcount.websocket")
_quiet.setLevel(logging.CRITICAL)

TIMED_OUT: Final = 4408
_CLOSE_WAIT_S: Final = 2.0
_DEFAULT_INTERVAL: Final = 10


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame (RFC 6455 section 5.2) of a payload below 64 KiB."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    return b"\x81\x7e%b%b" % (length.to_bytes(2, "big"), payload)


def _origin_of(request: Request) -> str | None:
    """Return which page asks, if it is told. Cut where no event's origin is as long, so it fits none."""
    origins = request.headers.get_all("Origin")
    # Two of them are none that an event could name.
    return ", ".join(origins)[: ORIGIN_CHARACTERS_MAX + 1] if origins else None


class ViewerConnection(asyncio.Protocol):
    """One connection to the public port, from its first byte to its last."""

    __slots__ = (
        "_closing", "_fragments", "_gateway", "_head", "_transport", "_websocket", "heard", "holding",
        "idle_s", "last_seq", "late", "number", "session", "stream",
    )  # fmt: skip

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        # The request as far as it has come; None once it is dealt with.
        self._head: bytearray | None = bytearray()
        self._websocket: ServerProtocol | None = None
        # Pieces of a fragmented message. Only set between its first frame and its last.
        self._fragments: list[bytes] | None = None
        self._closing: asyncio.TimerHandle | None = None
        settings = gateway.settings
        self.session = Session(
            Pace(_DEFAULT_INTERVAL, settings.messages_per_interval, settings.messages_burst)
        )
        # Second in which anything was heard; before the hello, in which the connection opened.
        self.heard = gateway.second
        self.idle_s = settings.idle_intervals * _DEFAULT_INTERVAL
        # Set by the hello.
        self.holding: Holding | None = None
        self.number = -1
        self.stream = 0
        self.late = 0
        # The seq of a bye that waits to be acknowledged; -1 when there is none.
        self.last_seq = -1

    # --- asyncio's side ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or refuse it without reading anything."""
        self._transport = cast("asyncio.Transport", transport)
        gateway = self._gateway
        if gateway.draining or not gateway.admission.admit():
            gateway.outcomes.refused_connections += 1
            self._head = None
            self._transport.write(NO_ROOM)
            self._transport.close()
            self._transport = None
            return
        gateway.outcomes.connections += 1
        gateway.opening[self] = None
        self._transport.set_write_buffer_limits(high=gateway.settings.unsent_bytes_max)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Forget the connection. It says nothing about the viewer: no break, no presence."""
        if self._transport is None:
            return
        self._transport = None
        self._forget()
        if self._closing is not None:
            self._closing.cancel()
        # What is held of a heartbeat points here; all that is large goes now.
        self._websocket = self._fragments = self._head = None

    def pause_writing(self) -> None:
        """Drop a viewer who does not read: what waits for them is bounded."""
        self.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network."""
        websocket = self._websocket
        if websocket is None:
            self._receive_head(data)
            return
        websocket.receive_data(data)
        for event in websocket.events_received():
            # After a refusal nothing more is taken.
            if type(event) is Frame and self._closing is None:
                self._receive_frame(event)
        if websocket.parser_exc is not None:
            self._count_failure(websocket)
        self._write_out(websocket)

    def eof_received(self) -> bool | None:
        """Take the end of what the viewer sends; asyncio closes the transport."""
        if self._websocket is not None:
            self._websocket.receive_eof()
        return None

    # --- Opening ----------------------------------------------------------------------------------

    def _receive_head(self, data: bytes) -> None:
        head = self._head
        if head is None or self._transport is None:
            return
        head += data
        if END not in head and len(head) <= self._gateway.settings.head_bytes_max:
            return
        self._head = None
        if asks_for_websocket(bytes(head)):
            self._open_websocket(bytes(head))
        else:
            self._hand_over(bytes(head))

    def _hand_over(self, head: bytes) -> None:
        """Let the HTTP protocol take the transport over; its limits apply from here on."""
        transport, http = self._transport, self._gateway.http
        if transport is None:
            return
        if http is None:
            transport.abort()  # connection_lost gives the place back
            return
        protocol = http(self._gateway.admission.release)
        self._transport = None
        self._gateway.opening.pop(self, None)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(head)

    def _open_websocket(self, head: bytes) -> None:
        websocket = ServerProtocol(
            extensions=None,
            subprotocols=[wire.SUBPROTOCOL],  # type: ignore[list-item]
            max_size=wire.MESSAGE_BYTES_MAX,
            logger=_quiet,
        )
        self._websocket = websocket
        websocket.receive_data(head)
        for event in websocket.events_received():
            if isinstance(event, Request):
                websocket.send_response(answer(websocket, event))
                # Before anything is answered that came along with the request.
                self._write_out(websocket)
                self._gateway.opening[self] = _origin_of(event)
                # The library keeps the request as long as the connection: over 2 KB that nobody reads.
                event.headers.clear()
            elif isinstance(event, Frame) and self._closing is None:
                self._receive_frame(event)
        if isinstance(websocket.handshake_exc, InvalidMessage) and self._transport is not None:
            self._transport.write(UNREADABLE)
        self._write_out(websocket)

    # --- Receiving --------------------------------------------------------------------------------

    def _receive_frame(self, frame: Frame) -> None:
        self.heard = self._gateway.second if self.holding is not None else self.heard
        try:
            opcode = frame.opcode
            if opcode is Opcode.TEXT and frame.fin:
                self._receive_message(frame.data)
            elif opcode is Opcode.PING or opcode is Opcode.PONG:
                self.session.spend(self._gateway.second)
            elif opcode is Opcode.BINARY:
                raise wire.WireError(wire.MALFORMED, "messages are text frames")
            elif opcode is not Opcode.CLOSE:
                self._receive_fragment(frame)
        except wire.WireError as error:
            self.refuse(error.code, error.message)

    def _receive_fragment(self, frame: Frame) -> None:
        """Take a piece of a message; websockets bounds the sum of their sizes."""
        if self._fragments is None:
            self._fragments = []
        self.session.spend(self._gateway.second)
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            whole, self._fragments = b"".join(self._fragments), None
            self._receive_message(whole)

    def _receive_message(self, data: bytes | bytearray | memoryview) -> None:
        step, message = self.session.receive(data, self._gateway.second)
        if step is Step.COUNT:
            self._count(cast("wire.Heartbeat", message))
        elif step is Step.JOIN:
            self._join(cast("wire.Hello", message))
        elif step is Step.LEAVE:
            self._leave(cast("wire.Bye", message))

    def _join(self, hello: wire.Hello) -> None:
        gateway = self._gateway
        if hello.test:
            gateway.tracing.begin(self, hello, gateway.opening.get(self))
        holding, self.stream = gateway.find(hello, gateway.opening.get(self))
        event, settings = holding.event, gateway.settings
        self.number = holding.enter(hello.viewer)
        self.holding = holding
        self.heard = gateway.second
        self.idle_s = settings.idle_intervals * event.interval + 5
        self.session.keep_pace(
            Pace(event.interval, settings.messages_per_interval, settings.messages_burst)
        )
        gateway.opening.pop(self, None)
        gateway.watching.add(self)
        self.send(
            wire.welcome(
                interval=event.interval,
                window=event.window,
                opens_at=opens_at(holding),
                server_time_ms=time_ms(holding, monotonic_us()),
            )
        )

    def _count(self, heartbeat: wire.Heartbeat) -> None:
        holding, gateway = self.holding, self._gateway
        if holding is not None and not gateway.deaf:
            count(gateway, holding, self, heartbeat, self.session.progress, monotonic_us())

    def _leave(self, bye: wire.Bye) -> None:
        """Set the break bit; with a seq, stay until it is acknowledged."""
        holding, gateway = self.holding, self._gateway
        if holding is not None and not gateway.deaf:
            seq = 0 if bye.seq is None else bye.seq
            heard = count_bye(gateway, holding, self, seq, monotonic_us(), again=False)
            if heard and bye.seq is not None:
                self.last_seq = seq
                return
        self.close(1000, "")

    def note(self, seq: int, why: str) -> None:
        """Tell the viewer that a heartbeat set no bit, and why."""
        self._gateway.outcomes.noted += 1
        self.send(wire.noted(seq, why))
        self._answered(seq)

    # --- Answering --------------------------------------------------------------------------------

    def acknowledge(self, seq: int, tail: bytes) -> None:
        """Tell the viewer that a heartbeat is archived."""
        websocket, transport = self._websocket, self._transport
        if transport is None or websocket is None or websocket.state is not OPEN:
            return
        transport.write(text_frame(wire.ack(seq, tail, self.late)))
        self._answered(seq)

    def send(self, message: bytes) -> None:
        """Send a message, if the connection is open."""
        websocket, transport = self._websocket, self._transport
        if transport is not None and websocket is not None and websocket.state is OPEN:
            transport.write(text_frame(message))

    def _answered(self, seq: int) -> None:
        """Close once a bye has its answer."""
        if seq == self.last_seq and self.session.state is State.LEFT:
            self.close(1000, "")

    def refuse(self, code: int, message: str) -> None:
        """Say what was wrong, and close."""
        self.send(wire.error(code, message))
        self.close(code, message)

    def close(self, code: int, reason: str) -> None:
        """Close with a code; whoever does not answer the close is cut off."""
        websocket = self._websocket
        if websocket is None or websocket.state is not OPEN:
            return
        closed = self._gateway.outcomes.closed
        closed[code] = closed.get(code, 0) + 1
        websocket.send_close(code, reason.encode()[:120].decode(errors="ignore"))
        self._write_out(websocket)
        self._closing = asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, self.abort)

    def time_out(self, reason: str) -> None:
        """End a connection that took too long."""
        if self._websocket is not None and self._websocket.state is OPEN:
            self.refuse(TIMED_OUT, reason)
            self._gateway.opening.pop(self, None)
        else:
            self.abort()

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def _count_failure(self, websocket: ServerProtocol) -> None:
        """Count a connection that websockets closed because of what it was sent."""
        if websocket.close_sent is not None and self._closing is None:
            closed, code = self._gateway.outcomes.closed, int(websocket.close_sent.code)
            closed[code] = closed.get(code, 0) + 1
            self._closing = asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, self.abort)

    def _write_out(self, websocket: ServerProtocol) -> None:
        transport = self._transport
        if transport is None:
            return
        for data in websocket.data_to_send():
            if data:
                transport.write(data)
            else:  # the library's way to say that nothing more will be written
                transport.close()

    def _forget(self) -> None:
        gateway = self._gateway
        gateway.admission.release()
        gateway.opening.pop(self, None)
        gateway.watching.discard(self)
        if self.holding is not None and self.number >= 0:
            self.holding.leave(self.number)
