"""What a worker sees of the connections that operators test their pages with (core/trace.py).

Theory of operation. A hello may carry a code. If an operator made it, the connection becomes a
`TracedConnection`, which does what it did before and tells its trace; all others go on without so much as a
question. Traces that changed are written into the store twice a second, whole, so that a lost
answer does no harm. Codes nobody made are ignored. What is kept is bounded by the number of tests, and
the connections and heartbeats of each.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable

import orjson

from streamcount.config import Settings
from streamcount.core import wire
from streamcount.core.bucket import BucketError
from streamcount.core.event import Event
from streamcount.core.listing import EventDirectory, Listed
from streamcount.core.policy import Progress, effect
from streamcount.core.trace import Trace
from streamcount.ingest.connection import ViewerConnection

_log = logging.getLogger(__name__)


class Traced:
    """One connection of a test: its code, its name in the store, its trace."""

    __slots__ = ("changed", "code", "name", "progress", "trace")

    def __init__(self, code: str, name: str, trace: Trace) -> None:
        self.code = code
        self.name = name
        self.trace = trace
        # Its own, so that being looked at changes nothing.
        self.progress = Progress()
        # True while the store does not have the trace as it is.
        self.changed = True


class Tracing:
    """The connections of one worker that are being tested."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Open connections, and those that ended and are not written yet.
        self._open: dict[ViewerConnection, Traced] = {}
        self._ended: list[Traced] = []
        self._codes: set[str] = set()
        # Of this worker's life, so that names are its own.
        self._life = secrets.token_hex(4)
        self._begun = 0

    def learn(self, events: Iterable[Listed]) -> None:
        """Take the codes that there are now; traces of others are let go."""
        self._codes = {code for listed in events for code in listed.tests}
        self._open = {c: traced for c, traced in self._open.items() if traced.code in self._codes}

    def begin(self, connection: ViewerConnection, hello: wire.Hello, origin: str | None) -> None:
        """Trace a connection from its hello on, if an operator made its code and there is room."""
        most = self._settings.test_connections_max
        if hello.test not in self._codes or self._number_open(hello.test) >= most:
            return
        now_ms = _now_ms()
        self._begun += 1
        name = f"{now_ms:013}-{self._life}-{self._begun:06}"
        self._open[connection] = Traced(hello.test, name, Trace.begun(hello, origin or "", now_ms))
        connection.__class__ = TracedConnection

    def of(self, connection: ViewerConnection) -> Traced | None:
        """Return what is kept of a connection; None when its test is over."""
        return self._open.get(connection)

    def end(self, connection: ViewerConnection) -> None:
        """Take note that a connection is gone; what it saw is written a last time."""
        traced = self._open.pop(connection, None)
        if traced is not None and len(self._ended) < self._settings.test_connections_max:
            traced.trace.close(0, "")
            traced.changed = True
            self._ended.append(traced)

    async def report(self, directory: EventDirectory) -> None:
        """Write what has changed; what the store does not take now is written next time."""
        changed: dict[str, list[Traced]] = {}
        for connection, traced in self._open.items():
            if traced.trace.late != connection.late:
                traced.trace.late, traced.changed = connection.late, True
        for traced in (*self._open.values(), *self._ended):
            if traced.changed and traced.code in self._codes:
                changed.setdefault(traced.code, []).append(traced)
        ended, self._ended = self._ended, []
        for code, several in changed.items():
            # Before it is written: meanwhile it may change again.
            for traced in several:
                traced.changed = False
            try:
                await directory.trace(code, {one.name: one.trace.to_json() for one in several})
            except BucketError as error:
                _log.debug("the test %s could not be written: %s", code, error)
                for traced in several:
                    traced.changed = True
        self._ended += [one for one in ended if one.changed and one.code in self._codes]

    def hear(self, traced: Traced, event: Event, second: int, heartbeat: wire.Heartbeat) -> None:
        """Take a heartbeat: what it does, whether or not the event is open.

        `second` is of the worker's own clock, as event time may not be known yet.
        """
        does = effect(event.policy, event.window, heartbeat, traced.progress, second)
        traced.trace.hear(heartbeat, does, _now_ms(), self._settings.test_heartbeats_max)
        traced.changed = True

    def _number_open(self, code: str) -> int:
        return sum(traced.code == code for traced in self._open.values())


class TracedConnection(ViewerConnection):
    """A connection that is being tested: it does what it did as a ViewerConnection, and tells.

    `Tracing.begin` makes it one. No other connection pays for that, not even by a question on its way.
    """

    __slots__ = ()

    def _count(self, heartbeat: wire.Heartbeat) -> None:
        gateway = self._gateway
        holding, traced = self.holding, gateway.tracing.of(self)
        if traced is not None and holding is not None and not gateway.deaf:
            gateway.tracing.hear(traced, holding.event, gateway.second, heartbeat)
        super()._count(heartbeat)

    def acknowledge(self, seq: int, tail: bytes) -> None:
        """Tell the viewer that a heartbeat is archived."""
        traced = self._gateway.tracing.of(self)
        if traced is not None:
            tick = orjson.loads(wire.ack(seq, tail, self.late))["tick"]
            traced.trace.acknowledge(seq, tick)
            traced.changed = True
        super().acknowledge(seq, tail)

    def note(self, seq: int, why: str) -> None:
        """Tell the viewer that a heartbeat set no bit, and why."""
        traced = self._gateway.tracing.of(self)
        if traced is not None and self.holding is not None:
            traced.trace.note(seq, why, waiting=self.holding.listed.state == "waiting")
            traced.changed = True
        super().note(seq, why)

    def refuse(self, code: int, message: str) -> None:
        """Say what was wrong, and close."""
        traced = self._gateway.tracing.of(self)
        if traced is not None:
            traced.trace.close(code, message)
            traced.changed = True
        super().refuse(code, message)

    def _forget(self) -> None:
        super()._forget()
        self._gateway.tracing.end(self)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
