"""A beacon: one HTTP request that carries what a viewer's player did, for who has no websocket.

docs/protocol.md, "Beacons", describes it. Its parts are those of the socket's messages, read by the same
code: a hello without its type, up to `HEARTBEATS_MAX` heartbeats, and perhaps a bye. One thing is new. A
socket delivers in order, or not at all; requests overtake each other, come twice, or arrive when the
player was closed long ago. So a presence says when it was made, in the server's own time, and counts
only while it is young (`untimely`). What a client has to do is in `core/proof.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from streamcount.core import wire
from streamcount.core.wire import Bye, Heartbeat, Hello, WireError

PATH: Final = "/v1/heartbeats"
BYTES_MAX: Final = 8_192
HEARTBEATS_MAX: Final = 8
TIME_MS_MAX: Final = 2**53 - 1
# How far ahead of a worker's event time a client may be: workers' clocks differ by some milliseconds.
_AHEAD_MS_MAX: Final = 1_000

# Statuses of HTTP (RFC 9110 section 15) for what a websocket would be closed with.
STATUSES: Final = {
    wire.TOO_BIG: 413,
    wire.MALFORMED: 400,
    wire.UNAUTHORISED: 401,
    wire.FORBIDDEN: 403,
    wire.NOT_FOUND: 404,
    wire.CLOSED: 409,
    wire.TOO_FAST: 429,
}


class Beacon(NamedTuple):
    """What a request says. `made_at_ms`: event time when it was made, as far as the client knows."""

    hello: Hello
    made_at_ms: int | None
    heartbeats: tuple[Heartbeat, ...]
    bye: Bye | None

    @property
    def messages(self) -> int:
        """How many messages of a socket it stands for; one at least."""
        return max(1, len(self.heartbeats) + (self.bye is not None))


def read(data: bytes) -> Beacon:
    """Return the beacon in the body of a request.

    Raises:
        WireError: it is none; the message names the key that is wrong.
    """
    if len(data) > BYTES_MAX:
        raise WireError(wire.TOO_BIG, f"a beacon has at most {BYTES_MAX} bytes")
    given = wire.read_object(data)
    hello = wire.read_hello(given)
    made_at_ms = given.get("made_at")
    if made_at_ms is not None and not (type(made_at_ms) is int and 0 <= made_at_ms <= TIME_MS_MAX):
        raise WireError(wire.MALFORMED, "made_at: must be milliseconds, a whole number, or null")
    items = given.get("heartbeats")
    if items is None:
        items = []
    if type(items) is not list or len(items) > HEARTBEATS_MAX:
        raise WireError(
            wire.MALFORMED, f"heartbeats: must be a list of at most {HEARTBEATS_MAX} heartbeats"
        )
    heartbeats = tuple(_within(f"heartbeats[{n}]", item) for n, item in enumerate(items))
    bye = _bye(given.get("bye"))
    seqs = [heartbeat.seq for heartbeat in heartbeats]
    if bye is not None and bye.seq is not None:
        seqs.append(bye.seq)
    if any(later <= earlier for earlier, later in itertools.pairwise(seqs)):
        raise WireError(wire.MALFORMED, "seq: each must be above the one before it")
    return Beacon(hello, made_at_ms, heartbeats, bye)


def _within(place: str, item: Any) -> Heartbeat:
    if type(item) is not dict:
        raise WireError(wire.MALFORMED, f"{place}: must be an object")
    try:
        return wire.read_heartbeat(item)
    except WireError as error:
        raise WireError(error.code, f"{place}.{error.message}") from error


def _bye(given: Any) -> Bye | None:
    if given is None:
        return None
    if type(given) is not dict:
        raise WireError(wire.MALFORMED, "bye: must be an object, with or without a seq")
    try:
        return wire.read_bye(given)
    except WireError as error:
        raise WireError(error.code, f"bye.{error.message}") from error


def untimely(made_at_ms: int | None, now_ms: int, age_s: float) -> str:
    """Return why a presence made then does not count now, in event time; empty when it does."""
    if made_at_ms is None or made_at_ms > now_ms + _AHEAD_MS_MAX:
        return "no-time"
    return "too-old" if now_ms - made_at_ms > age_s * 1000 else ""


def heard(seq: int) -> bytes:
    """Say that a heartbeat was heard, and that it is not known what becomes of it."""
    return b'{"type":"heard","seq":%d}' % seq


def answer(
    *,
    interval: int,
    window: int,
    opens_at: int | None,
    server_time_ms: int,
    age_s: float,
    answers: Iterable[bytes],
) -> bytes:
    """Answer a beacon. As `wire.welcome`, with how old a presence may be, and one answer a heartbeat."""
    plain: dict[str, Any] = {
        "interval": interval,
        "window": window,
        "server_time": server_time_ms,
        "age_max": age_s,
    }
    if opens_at is not None:
        plain["opens_at"] = opens_at
    return b'%b,"answers":[%b]}' % (orjson.dumps(plain)[:-1], b",".join(answers))
