"""`POST /v1/heartbeats`: heartbeats in one HTTP request, for sendBeacon and who has no websocket.

Theory of operation. The body is a hello, heartbeats and perhaps a bye (core/beacon.py). They are counted
as those of a socket are (counting.py), all in one step of the loop, and the request waits for what becomes
of them: it is answered when all are archived or noted, at the latest after `beacon_wait_s`, then with
"heard" for the rest. That is no acknowledgement; what was heard stays in its tick, whether anybody waits or
not. So while `beacons_waiting_max` wait, others need not: they are answered at once, and hold no connection
that a viewer's socket would want.

    body -> read -> whose, of what event -> pace -> count each -> wait -> one answer for each

Whoever sends a request twice is counted once: a bit is a bit. Which of a viewer's requests came first
nobody knows, as each may go to another worker. So nothing here depends on that: a presence has to be
young, a break takes the place of all presences that came with it, and core/proof.py says what a client
does.

Of each viewer a worker remembers pace and progress, in a table that is bounded: at most
`beacon_viewers_max`, and none who was silent for more than the event's window, over which no proof
reaches. Who is forgotten starts anew, with a whole burst and a position that has just moved; with N workers
that goes for each of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import orjson
from aiohttp import web

from streamcount.core import beacon as beacons
from streamcount.core import wire
from streamcount.core.beacon import BYTES_MAX, STATUSES, Beacon
from streamcount.core.event import Event
from streamcount.core.policy import Progress
from streamcount.core.session import Pace, Session
from streamcount.core.wire import WireError
from streamcount.ingest.admission import Outcomes
from streamcount.ingest.counting import Made, count, count_bye, opens_at, time_ms
from streamcount.ingest.delivery import monotonic_us
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.holding import Holding

_RETRY_S: Final = "10"
_ALLOW: Final = "Access-Control-Allow-Origin"
# Not a seq: a bye that asks for no answer.
_UNASKED: Final = -1
# Before it is known for which event: any page may ask, and most are told nothing that they could not guess.
_PREFLIGHT: Final = {
    _ALLOW: "*",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Max-Age": "86400",
}


class Posted:
    """One request, as the speaker of its heartbeats."""

    __slots__ = ("_outcomes", "answers", "done", "late", "number", "stream", "unanswered")

    def __init__(self, outcomes: Outcomes, number: int, stream: int, asked: list[int]) -> None:
        """`asked`: the seqs that an answer is owed for."""
        self._outcomes = outcomes
        self.number, self.stream = number, stream
        self.late = 0
        self.answers = {seq: beacons.heard(seq) for seq in asked}
        self.unanswered = set(asked)
        # Set when all are answered; while somebody waits for that.
        self.done: asyncio.Event | None = None

    def note(self, seq: int, why: str) -> None:
        """Take note that a heartbeat set no bit."""
        self._outcomes.noted += 1
        self._answer(seq, wire.noted(seq, why))

    def acknowledge(self, seq: int, tail: bytes) -> None:
        """Take note that a heartbeat is archived."""
        self._answer(seq, wire.ack(seq, tail, self.late))

    @property
    def waits(self) -> bool:
        """True while there is something to wait for: what is late already will not be acknowledged."""
        return len(self.unanswered) > self.late

    async def wait(self, longest_s: float) -> None:
        """Return when there is nothing more to wait for, or after so many seconds."""
        if self.waits:
            self.done = asyncio.Event()
            try:
                async with asyncio.timeout(longest_s):
                    await self.done.wait()
            except TimeoutError:
                pass

    def forget(self) -> None:
        """Let go of what nobody will read: a tick that is held for long points here."""
        self.answers, self.unanswered, self.done = {}, set(), None

    def _answer(self, seq: int, message: bytes) -> None:
        if seq in self.answers:
            self.answers[seq] = message
            self.unanswered.discard(seq)
        if self.done is not None and not self.waits:
            self.done.set()


class Known:
    """Pace and progress of the viewers who sent beacons lately, of all events."""

    def __init__(self, viewers_max: int, per_interval: int, burst: int) -> None:
        self._most = viewers_max
        self._per_interval, self._burst = per_interval, burst
        # (event, viewer) -> the session, and until which second it is kept; the latest beacon's last.
        self._sessions: OrderedDict[tuple[str, str], tuple[Session, int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sessions)

    def session(self, event: Event, viewer: str, second: int) -> Session:
        """Return a viewer's session, and let go of who was silent for long."""
        session, until = self._sessions.pop((event.id, viewer), (None, 0))
        if session is None or until < second:
            session = Session(Pace(event.interval, self._per_interval, self._burst))
        self._sessions[event.id, viewer] = session, second + event.window
        # Two for each that comes, so that the table shrinks again.
        for _ in range(2):
            oldest, (_, until) = next(iter(self._sessions.items()))
            if len(self._sessions) > self._most or until < second:
                del self._sessions[oldest]
        return session


class Beacons:
    """Answers beacons at one worker."""

    def __init__(self, gateway: Gateway) -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._waiting = 0
        self.known = Known(
            settings.beacon_viewers_max, settings.messages_per_interval, settings.messages_burst
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Answer any request on the path of beacons."""
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_PREFLIGHT)
        try:
            response = await self._answer(request)
        except WireError as error:
            response = _error(STATUSES[error.code], error.message)
            if error.code == wire.FORBIDDEN:
                del response.headers["Access-Control-Allow-Origin"]
        answered = self._gateway.outcomes.beacons
        answered[response.status] = answered.get(response.status, 0) + 1
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        gateway = self._gateway
        if request.method != "POST":
            return _error(405, "beacons are sent with POST", Allow="POST, OPTIONS")
        try:
            async with asyncio.timeout(gateway.settings.handshake_s):
                body = await _body(request)
        except TimeoutError:
            return _error(408, "the body did not come in time")
        if gateway.draining:
            return _error(503, "this server is going away", **{"Retry-After": _RETRY_S})
        beacon = beacons.read(body)
        origins = request.headers.getall("Origin", [])
        # Two of them are none that an event could name.
        origin = ", ".join(origins) if origins else None
        holding, stream = gateway.find(beacon.hello, origin)
        readers = _readers(holding.event, origin)
        session = self.known.session(holding.event, beacon.hello.viewer, gateway.second)
        try:
            session.spend_together(gateway.second, beacon.messages)
        except WireError as error:
            pause_s = session.wait_s(gateway.second, beacon.messages)
            return _error(429, error.message, **readers, **{"Retry-After": str(pause_s)})
        posted = self._count(beacon, holding, stream, session.progress)
        try:
            if request.query.get("wait") != "0":
                await self._wait(posted)
            return web.Response(
                body=beacons.answer(
                    interval=holding.event.interval,
                    window=holding.event.window,
                    opens_at=opens_at(holding),
                    server_time_ms=time_ms(holding, monotonic_us()),
                    age_s=gateway.settings.beacon_age_s,
                    answers=posted.answers.values(),
                ),
                status=202 if posted.unanswered else 200,
                content_type="application/json",
                headers=readers,
            )
        finally:
            holding.leave(posted.number)
            posted.forget()

    async def _wait(self, posted: Posted) -> None:
        """Wait for the answers, if there is room for one more that waits."""
        settings = self._gateway.settings
        if self._waiting < settings.beacons_waiting_max:
            self._waiting += 1
            try:
                await posted.wait(settings.beacon_wait_s)
            finally:
                self._waiting -= 1

    def _count(self, beacon: Beacon, holding: Holding, stream: int, progress: Progress) -> Posted:
        """Count all that a beacon says, as of one instant."""
        gateway, bye = self._gateway, beacon.bye
        asked = [heartbeat.seq for heartbeat in beacon.heartbeats]
        farewell = _UNASKED if bye is None or bye.seq is None else bye.seq
        if farewell != _UNASKED:
            asked.append(farewell)
        number = holding.enter(beacon.hello.viewer)
        posted = Posted(gateway.outcomes, number, stream, asked)
        made = Made(beacon.made_at_ms, gateway.settings.beacon_age_s)
        now_us = monotonic_us()
        together = beacon.messages > 1
        for heartbeat in beacon.heartbeats:
            one = heartbeat._replace(again=True) if together else heartbeat
            count(gateway, holding, posted, one, progress, now_us, made)
        if bye is not None:
            heard = count_bye(gateway, holding, posted, farewell, now_us, again=together)
            if not heard and holding.closed_because:
                posted.note(farewell, holding.closed_because)
        return posted


async def _body(request: web.Request) -> bytes:
    """Return the body of a request, which may come without its length.

    Raises:
        WireError: it is too long; nothing beyond the bound is read.
    """
    body = bytearray()
    if (request.content_length or 0) <= BYTES_MAX:
        while len(body) <= BYTES_MAX:
            piece = await request.content.readany()
            if not piece:
                return bytes(body)
            body += piece
    raise WireError(wire.TOO_BIG, f"a beacon has at most {BYTES_MAX} bytes")


def _readers(event: Event, origin: str | None) -> dict[str, str]:
    """Return the headers that let the page read the answer that asked, which may count here."""
    if not event.policy.origins:
        return {_ALLOW: "*"}
    return {"Vary": "Origin"} | ({} if origin is None else {_ALLOW: origin})


def _error(status: int, message: str, **headers: str) -> web.Response:
    return web.Response(
        body=orjson.dumps({"error": message}),
        status=status,
        content_type="application/json",
        headers={_ALLOW: "*"} | headers,
    )
