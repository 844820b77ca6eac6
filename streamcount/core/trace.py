"""What the service sees of a connection whose page an operator tests: a trace, and the verdict on it.

An operator makes a code; a page that is opened with it sends it in its hello. The worker which that
connection came to keeps a trace of it and writes it, whole, into the store; the notary's side reads
it from there. A trace is nothing counted: it may be lost, and nothing follows from it.

It holds what the page said of itself and its latest heartbeats: what each does under the event's
policy (core/policy.py), also before the event is open, and how it was answered. No viewer, no address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from streamcount.core.event import STATES
from streamcount.core.policy import Effect
from streamcount.core.wire import SUBPROTOCOL, TEXT_CHARACTERS_MAX, Heartbeat, Hello

# Sixty bits, in letters and digits that nobody mistakes for others.
CODE: Final = re.compile(r"[a-z2-7]{12}")
TRACE_BYTES_MAX: Final = 65_536
HEARTBEATS_MAX: Final = 100
# Close codes after which nothing was wrong with the page: it left, or the server did.
_ORDINARY: Final = {0, 1000, 1001}
_WORD: Final = re.compile(r"[a-z-]{0,30}")
_NUMBER, _TEXT, _FLAG = (int,), (str,), (bool,)
# What each field holds, where it was read back.
_SEEN: Final[dict[str, tuple[type, ...]]] = {
    "number": _NUMBER, "at_ms": _NUMBER, "seq": _NUMBER, "state": _TEXT, "visible": _FLAG,
    "muted": _FLAG, "effect": _TEXT, "why": _TEXT, "tick": (int, type(None)), "noted": (str, type(None)),
}  # fmt: skip
_TRACE: Final[dict[str, tuple[type, ...]]] = {
    "since_ms": _NUMBER, "origin": _TEXT, "event": _TEXT, "stream": _TEXT, "player": _TEXT, "source": _TEXT,
    "protocol": _TEXT,
    "heard": _NUMBER, "late": _NUMBER, "waiting": _FLAG, "closed": (int, type(None)), "message": _TEXT,
}  # fmt: skip


class TraceError(ValueError):
    """The bytes are no trace; the message says what about them."""


@dataclass(slots=True)
class Seen:
    """One heartbeat: what it said, what it does, how it was answered. Times in Unix milliseconds.

    `effect` is the name of an Effect in small letters, `why` its reason when it is neither. `tick` is
    that of the acknowledgement, `noted` the reason of a `noted`; None until it comes.
    """

    number: int
    at_ms: int
    seq: int
    state: str
    visible: bool
    muted: bool
    effect: str
    why: str
    tick: int | None = None
    noted: str | None = None


@dataclass(slots=True)
class Trace:
    """One connection of a test, from its hello on."""

    since_ms: int
    origin: str
    event: str
    stream: str
    player: str
    source: str
    protocol: str = SUBPROTOCOL
    # How many heartbeats came in all; `heartbeats` has the latest.
    heard: int = 0
    # How many of them were read too late to be counted.
    late: int = 0
    # Whether the event was waiting to be opened when the latest heartbeat was noted.
    waiting: bool = False
    heartbeats: list[Seen] = field(default_factory=list)
    # The close code and what was said with it; 0 when the connection was lost. None while it is open.
    closed: int | None = None
    message: str = ""

    @classmethod
    def begun(cls, hello: Hello, origin: str, at_ms: int) -> Trace:
        """Begin with a hello; `origin` as the browser named it, empty when it did not."""
        origin = origin[:TEXT_CHARACTERS_MAX]
        return cls(at_ms, origin, hello.event, hello.stream, hello.player, hello.source)

    def hear(
        self, heartbeat: Heartbeat, does: tuple[Effect, str], at_ms: int, heartbeats_max: int
    ) -> None:
        """Take a heartbeat and what it does; the latest `heartbeats_max` are kept."""
        self.heard += 1
        what, why = does
        self.heartbeats.append(
            Seen(
                self.heard,
                at_ms,
                heartbeat.seq,
                heartbeat.state,
                heartbeat.visible,
                heartbeat.muted,
                what.name.lower(),
                why,
            )
        )
        del self.heartbeats[:-heartbeats_max]

    def acknowledge(self, seq: int, tick: int) -> None:
        """Take note that a heartbeat was acknowledged."""
        for seen in self._unanswered(seq):
            seen.tick = tick

    def note(self, seq: int, why: str, *, waiting: bool) -> None:
        """Take note that a heartbeat was answered with `noted`; `waiting`: the event is not open."""
        self.waiting = waiting
        for seen in self._unanswered(seq):
            seen.noted = why

    def close(self, code: int, message: str) -> None:
        """Take note of the end, the first one told."""
        if self.closed is None:
            self.closed, self.message = code, message[:TEXT_CHARACTERS_MAX]

    def to_json(self) -> bytes:
        """Return the trace as the store keeps it."""
        return orjson.dumps(self)

    def _unanswered(self, seq: int) -> list[Seen]:
        same = [one for one in self.heartbeats if one.seq == seq]
        return [one for one in same if one.tick is None and one.noted is None]


def parse_trace(data: bytes) -> Trace:
    """Read a trace.

    Raises:
        TraceError: the bytes are none.
    """
    if len(data) > TRACE_BYTES_MAX:
        raise TraceError(f"a trace has at most {TRACE_BYTES_MAX} bytes")
    try:
        given: Any = orjson.loads(data)
        if type(given["heartbeats"]) is not list:
            raise TraceError("a trace whose heartbeats are no list")
        given["heartbeats"] = [Seen(**one) for one in given["heartbeats"]]
        trace = Trace(**given)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise TraceError(f"a trace that cannot be read: {error}") from error
    if len(trace.heartbeats) > HEARTBEATS_MAX:
        raise TraceError(f"a trace has at most {HEARTBEATS_MAX} heartbeats")
    _check(trace, _TRACE)
    for seen in trace.heartbeats:
        _check(seen, _SEEN)
        words = (seen.effect, seen.why, seen.noted or "")
        if seen.state not in STATES or not all(_WORD.fullmatch(word) for word in words):
            raise TraceError("a trace with a heartbeat that nobody can have sent")
    return trace


def _check(record: Seen | Trace, kinds: dict[str, tuple[type, ...]]) -> None:
    for name, allowed in kinds.items():
        value = getattr(record, name)
        if type(value) not in allowed:
            raise TraceError(f"a trace whose {name} is {type(value).__name__}")
        if type(value) is str and len(value) > TEXT_CHARACTERS_MAX:
            raise TraceError(f"a trace whose {name} is too long")


def verdict(trace: Trace) -> str:
    """Return in one word whether a page like this would be counted, or why not.

    counted         its latest qualifying heartbeats are acknowledged
    would-count     they qualify, and the event is not open yet
    unanswered      they qualify, and no answer has come so far
    late            they qualify, and were read too late
    silent          no heartbeat came
    refused         the connection was closed for a reason
    paused, ended, hidden     the latest heartbeat breaks, because of this
    else            the reason of a `noted` (docs/protocol.md)
    """
    if trace.closed is not None and trace.closed not in _ORDINARY:
        return "refused"
    if not trace.heartbeats:
        return "silent"
    latest = trace.heartbeats[-1]
    if latest.effect == "breaks":
        return latest.state if latest.state in {"paused", "ended"} else "hidden"
    if latest.effect == "neither":
        return latest.why
    for seen in reversed(trace.heartbeats):
        if seen.effect != "qualifies":
            break
        if seen.tick is not None:
            return "counted"
        if seen.noted is not None:
            # Before an event opens, nobody has asked the store for event time.
            waits = seen.noted == "not-open" or (seen.noted == "not-ready" and trace.waiting)
            return "would-count" if waits else seen.noted
    return "late" if trace.late else "unanswered"
