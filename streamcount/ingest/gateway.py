"""All connections of one worker: what they share, what ends them, and how a tick is acknowledged.

The tick a heartbeat falls in is that of the moment it is read. If the worker was stopped or busy for
longer than `stall_s`, what it then finds in its sockets may have arrived in any tick since: it is late.
A pulse ten times a second notices. Between two pulses all sockets that have something are read; so only
a pulse that comes in time again says that what waited has been taken, however long that took.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, cast

from streamcount.config import Settings
from streamcount.core import wire
from streamcount.core.policy import admits
from streamcount.ingest.admission import Admission, Outcomes
from streamcount.ingest.connection import ViewerConnection
from streamcount.ingest.counting import Answerable
from streamcount.ingest.delivery import monotonic_us
from streamcount.ingest.hearing import HeldTick
from streamcount.ingest.holding import Holding
from streamcount.ingest.tracing import Tracing

_PULSE_S: Final = 0.1
_SWEEP_S: Final = 1.0


class Gateway:
    """All connections of one worker."""

    def __init__(
        self,
        settings: Settings,
        http: Callable[[Callable[[], None]], asyncio.Protocol] | None = None,
    ) -> None:
        """`http` makes the protocol that answers requests which are no websocket of ours.

        It is given what to call when its connection ends.
        """
        self.settings = settings
        self.holdings: dict[str, Holding] = {}
        self.outcomes = Outcomes()
        self.admission = Admission(settings.connections_max)
        self.http = http
        self.tracing = Tracing(settings)
        # Leaving: no new connections; a little later, nothing more is heard either.
        self.draining = False
        self.deaf = False
        # Whole seconds of the monotonic clock, kept by `_sweep`: what connections are timed by.
        self.second = int(time.monotonic())
        self.watching: set[ViewerConnection] = set()
        # Those that have not said hello, each with the Origin of its upgrade: who may count is known then,
        # and nobody keeps it afterwards.
        self.opening: dict[ViewerConnection, str | None] = {}
        # Monotonic microseconds of the latest pulse, and whether it came too late.
        self._pulsed_us = monotonic_us()
        self._stalled = False
        self._pulse_timer: asyncio.TimerHandle | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin timing connections and looking out for stalls."""
        self._pulse()
        self._sweep()

    def stop(self) -> None:
        """End that, and every connection."""
        for timer in (self._pulse_timer, self._sweep_timer):
            if timer is not None:
                timer.cancel()
        for connection in [*self.watching, *self.opening]:
            connection.abort()

    def connection(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return ViewerConnection(self)

    def stalled(self, now_us: int) -> bool:
        """Tell whether what is read now may have waited for longer than `stall_s`."""
        return self._stalled or now_us - self._pulsed_us > self.settings.stall_s * 1e6

    def drain(self) -> None:
        """Ask every viewer to come back over a new connection, spread in time."""
        self.draining = True
        spread = self.settings.reconnect_spread_s
        for connection in list(self.watching):
            connection.send(wire.reconnect(random.uniform(0, spread)))  # noqa: S311 (jitter)
        for connection in list(self.opening):
            connection.abort()

    def find(self, hello: wire.Hello, origin: str | None) -> tuple[Holding, int]:
        """Return the event that a viewer watches on a page of this origin, and the stream's number.

        Raises:
            WireError: there is none, it is over, or the page may not count.
        """
        holding = self.holdings.get(hello.event)
        if holding is None:
            raise wire.WireError(wire.NOT_FOUND, f"there is no event {hello.event!r} here")
        if not admits(holding.event.policy, origin):
            raise wire.WireError(
                wire.FORBIDDEN, "pages of this origin do not count; see the event's policy.origins"
            )
        stream = holding.stream_numbers.get(hello.stream)
        if stream is None:
            raise wire.WireError(
                wire.NOT_FOUND, f"event {hello.event!r} has no stream {hello.stream!r}"
            )
        if holding.over or holding.listed.state == "final":
            raise wire.WireError(wire.CLOSED, "the event is closed")
        return holding, stream

    def settle(self, holding: Holding, held: HeldTick) -> None:
        """Acknowledge the heartbeats of an archived tick, each by its own message."""
        state = holding.state
        tail = wire.ack_tail(
            tick=held.tick,
            live=state.live,
            peak=state.peak,
            uncertain=holding.uncertain(monotonic_us()),
        )
        unset = holding.unset(held)
        for speaker, seq in zip(held.speakers, held.seqs, strict=True):
            heard = cast("Answerable", speaker)
            if unset and heard.number in unset:
                heard.note(seq, unset[heard.number])
            else:
                heard.acknowledge(seq, tail)
                self.outcomes.acknowledged += 1

    def close_event(self, holding: Holding) -> None:
        """End the connections of an event that is over and settled."""
        for connection in [c for c in self.watching if c.holding is holding]:
            connection.refuse(wire.CLOSED, "the event is closed")

    def _pulse(self) -> None:
        """Run ten times a second, to notice when it did not."""
        now_us = monotonic_us()
        self._stalled = now_us - self._pulsed_us > self.settings.stall_s * 1e6
        self._pulsed_us = now_us
        self._pulse_timer = asyncio.get_running_loop().call_later(_PULSE_S, self._pulse)

    def _sweep(self) -> None:
        """End connections that take too long to open, or were silent for too long."""
        self.second = int(time.monotonic())
        settings = self.settings
        for connection in [c for c in self.opening if self.second - c.heard > settings.handshake_s]:
            connection.time_out("no hello in time")
        if self.second % 5 == 0:
            for connection in list(self.watching):
                if self.second - connection.heard > connection.idle_s:
                    connection.time_out("no heartbeat in time")
        self._sweep_timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
