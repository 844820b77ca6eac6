"""One viewer's connection as a state machine, without the connection.

Rules of this file: everything that decides what a message means in which state stands in `TABLE`;
a `Session` never does anything itself, it names the step its owner is to take, and raises WireError
for what must end the connection with that close code.

    WAITING --hello--> WATCHING --bye--> LEFT
                        |    ^
                        +----+ heartbeat

docs/protocol.md draws the same table; a test compares the two.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from streamcount.core import wire
from streamcount.core.policy import Progress


class State(enum.Enum):
    """Where a connection is between its opening and its end."""

    WAITING = "waiting"  # for the hello; it has to come within the handshake time
    WATCHING = "watching"  # hello accepted: a viewer of an event's stream
    LEFT = "left"  # said bye; stays until what it sent is acknowledged


class Step(enum.Enum):
    """What the owner of the session has to do with the message just received."""

    JOIN = "join"  # look the event and stream up, answer welcome
    COUNT = "count"  # apply the policy, set a bit, acknowledge later
    LEAVE = "leave"  # set the break bit, close when that is done
    REFUSE = "refuse"  # close with MALFORMED: no such message in this state
    IGNORE = "ignore"


TABLE: Final[dict[tuple[State, type[wire.Message]], tuple[Step, State]]] = {
    (State.WAITING, wire.Hello): (Step.JOIN, State.WATCHING),
    (State.WAITING, wire.Heartbeat): (Step.REFUSE, State.LEFT),
    (State.WAITING, wire.Bye): (Step.LEAVE, State.LEFT),
    (State.WATCHING, wire.Hello): (Step.REFUSE, State.LEFT),
    (State.WATCHING, wire.Heartbeat): (Step.COUNT, State.WATCHING),
    (State.WATCHING, wire.Bye): (Step.LEAVE, State.LEFT),
    (State.LEFT, wire.Hello): (Step.IGNORE, State.LEFT),
    (State.LEFT, wire.Heartbeat): (Step.IGNORE, State.LEFT),
    (State.LEFT, wire.Bye): (Step.IGNORE, State.LEFT),
}

_REFUSALS: Final = {
    State.WAITING: "the first message must be hello",
    State.WATCHING: "hello was said already on this connection",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast messages may come: `burst` at once, `per_interval` in `interval` ticks for long."""

    interval: int
    per_interval: int
    burst: int


class Session:
    """The state of one connection. Ticks are event seconds; they never go back."""

    __slots__ = ("_credit", "_pace", "_ticked", "progress", "state")

    def __init__(self, pace: Pace) -> None:
        """Start before the hello, with a whole burst of credit."""
        self.state = State.WAITING
        self._pace = pace
        self.progress = Progress()
        # Counted in message-ticks so that it stays whole: a message costs the pace's interval.
        self._credit = pace.burst * pace.interval
        # Tick of the latest message; 0 before the first, when credit is full anyway.
        self._ticked = 0

    def receive(self, data: bytes | bytearray | memoryview, tick: int) -> tuple[Step, wire.Message]:
        """Take a text message received in `tick`.

        Raises:
            wire.WireError: the message is malformed, comes too soon, or has no place in this state.
        """
        self.spend(tick)
        message = wire.read(data)
        state = self.state
        step, self.state = TABLE[state, type(message)]
        if step is Step.REFUSE:
            raise wire.WireError(wire.MALFORMED, _REFUSALS[state])
        return step, message

    def keep_pace(self, pace: Pace) -> None:
        """Change how fast messages may come; what is left of the credit stays the same share."""
        old, self._pace = self._pace, pace
        self._credit = self._credit * pace.interval * pace.burst // (old.interval * old.burst)

    def spend(self, tick: int) -> None:
        """Pay for one frame of any kind received in `tick`.

        Raises:
            wire.WireError: there is no credit left.
        """
        if tick != self._ticked:
            self._earn(tick)
        self._credit -= self._pace.interval
        if self._credit < 0:
            raise self._too_fast()

    def spend_together(self, tick: int, messages: int) -> None:
        """Pay for messages that came together, at most a whole burst; all of them or none.

        Raises:
            wire.WireError: there is not credit enough; `wait_s` says when there will be.
        """
        if self.wait_s(tick, messages):
            raise self._too_fast()
        self._credit -= self._cost(messages)

    def wait_s(self, tick: int, messages: int) -> int:
        """Return after how many seconds so many messages can be paid for together."""
        if tick != self._ticked:
            self._earn(tick)
        return max(0, -((self._credit - self._cost(messages)) // self._pace.per_interval))

    def _cost(self, messages: int) -> int:
        return self._pace.interval * min(messages, self._pace.burst)

    def _earn(self, tick: int) -> None:
        pace = self._pace
        earned = (tick - self._ticked) * pace.per_interval
        self._credit = min(pace.burst * pace.interval, self._credit + earned)
        self._ticked = tick

    def _too_fast(self) -> wire.WireError:
        pace = self._pace
        return wire.WireError(
            wire.TOO_FAST,
            f"more than {pace.per_interval} messages in {pace.interval} s after a burst of {pace.burst}",
        )
