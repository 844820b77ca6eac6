"""Viewers of whom it is known what they did and what they were told, and their end of a connection.

The gateway's side of a connection is the real one without its bytes: what it does with a message, and what
it answers, is `ingest/connection.py`; only frames and sockets are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from streamcount.core import wire
from streamcount.ingest.connection import ViewerConnection

_EVENT = "sim"


@dataclass(slots=True)
class Sent:
    """One heartbeat: what it was, and what became of it."""

    viewer: str
    seq: int
    state: str
    at_s: float
    again: bool = False
    # As heard by a worker: P (presence), X (break), late, or "" when it was not counted or not heard.
    heard: str = ""
    tick: int = 0
    # As answered by the worker, and whether the client got that.
    answer: str = ""
    got: bool = False


class Wires:
    """The transport under a connection, as far as it is asked for anything."""

    def __init__(self, speaker):
        self.speaker = speaker

    def set_write_buffer_limits(self, high):
        pass

    def write(self, data):
        self.speaker.cut()

    def abort(self):
        self.speaker.cut()

    close = abort


class Speaker(ViewerConnection):
    """The worker's end of a connection."""

    def __init__(self, host, client):
        super().__init__(host.gateway)
        self.host, self.client, self.world = host, client, host.world
        self.open = True
        self.sent: dict[int, Sent] = {}
        self._there = self._back = 0.0
        host.world.connections += 1
        self._number = host.world.connections
        self.connection_made(Wires(self))

    def __hash__(self):
        """Not where it lies in memory: the gateway has its connections in sets."""
        return self._number

    # --- Ways there and back, in order --------------------------------------------------------------

    def to_worker(self, call, *arguments):
        self._there = max(self._there, self.world.now + self._way_s())
        self.host.process.post(self._there, self._at_worker, call, arguments)

    def _at_worker(self, call, arguments):
        if self.open:
            call(*arguments)

    def to_client(self, call, *arguments):
        if self.open:
            self._back = max(self._back, self.world.now + self._way_s())
            self.world.at(self._back, self._at_client, call, arguments)

    def _at_client(self, call, arguments):
        if self.client.speaker is self:
            call(*arguments)

    def _way_s(self):
        return 0.001 + self.world.rng.random() ** 3 * 0.05

    # --- What happens at the worker -----------------------------------------------------------------

    def hello(self):
        try:
            self._join(wire.Hello(_EVENT, self.client.stream, self.client.viewer, "", ""))
        except wire.WireError as error:
            self.refuse(error.code, error.message)

    def heartbeat(self, message: Sent, heartbeat):
        self.sent[message.seq] = message
        self.heard = self._gateway.second
        self._watch(message, self._count, heartbeat)

    def bye(self, message: Sent):
        self.sent[message.seq] = message
        self._watch(message, self._leave, wire.Bye(message.seq))

    def _watch(self, message, call, *arguments):
        """Note what the worker makes of a message."""
        outcomes, late = self._gateway.outcomes, self.late
        before = (outcomes.presences, outcomes.breaks)
        call(*arguments)
        if outcomes.presences > before[0]:
            message.heard = "P"
        elif outcomes.breaks > before[1]:
            message.heard = "X"
        elif self.late > late:
            message.heard = "late"
        holding = self.holding
        if holding is not None:
            message.tick = holding.tick
            self.world.judge.heard(self, message)

    def lost(self):
        """The client's end is gone."""
        if self.open:
            self.open = False
            self.connection_lost(None)

    # --- What the worker says -----------------------------------------------------------------------

    def acknowledge(self, seq, tail):
        self.world.judge.acknowledged(
            self, self.sent[seq], orjson.loads(wire.ack(seq, tail, self.late))
        )
        self.to_client(self.client.answered, seq)
        self._answered(seq)

    def send(self, message):
        told = orjson.loads(message)
        if told["type"] == "noted":
            sent = self.sent[told["seq"]]
            sent.answer = told["why"]
            self.to_client(self.client.answered, told["seq"])
        elif told["type"] == "welcome":
            self.to_client(self.client.welcomed, told)
        elif told["type"] == "reconnect":
            self.to_client(self.client.move, told["after"])

    def close(self, code, reason):
        self.to_client(self.client.closed, code)
        self.cut()

    def cut(self):
        if self.open:
            self.to_client(self.client.disconnected)
            self.open = False
            self.host.process.post(self.world.now, self.connection_lost, None)


class Viewer:
    """One person at one player; tabs of the same viewer share the id."""

    def __init__(self, world, viewer, stream, *, tabs):
        self.world, self.viewer, self.stream, self.tabs = world, viewer, stream, tabs
        self.speaker: Speaker | None = None
        self.connected = False  # welcomed
        self.state = "away"
        self.seq = 0
        self.sent: list[Sent] = []
        self._timer = None
        self._over = False
        # The latest break without an answer, to be told again over the next connection.
        self._break: Sent | None = None

    def begin(self, begin_s, end_s):
        """Plan what they do from `begin_s` to `end_s`."""
        rng, now = self.world.rng, begin_s
        while now < end_s:
            kind = rng.choices(["playing", "paused", "away"], [6, 2, 1])[0]
            if now == begin_s:
                kind = "playing"
            self.world.at(now, self._be, kind)
            now += {
                "playing": rng.uniform(2, 15),
                "paused": rng.uniform(0.2, 5),
                "away": rng.uniform(0.3, 9),
            }[kind]
        if rng.random() < 0.3:
            self.world.at(rng.uniform(begin_s + 2, end_s), self._leave)

    # --- What they do -------------------------------------------------------------------------------

    def _be(self, state):
        if self._over or state == self.state:
            return
        self.state = state
        self.world.say("viewer %s: %s", self.viewer, state)
        if state == "away":
            self._drop()
        elif self.connected:
            self._beat()
        elif self.speaker is None:
            self._connect()

    def _leave(self):
        if self._over:
            return
        self._over = True
        self.world.say("viewer %s: bye", self.viewer)
        if self.connected:
            self._say_bye()

    def _say_bye(self):
        message = self._next("bye")
        self.speaker.to_worker(self.speaker.bye, message)

    def _drop(self):
        """The connection is gone without a word."""
        speaker, self.speaker, self.connected = self.speaker, None, False
        if speaker is not None:
            speaker.to_worker(speaker.lost)

    def _connect(self):
        if self.state == "away" or self._over or self.speaker is not None:
            return
        hosts = [host for host in self.world.workers if host.accepts]
        if not hosts:
            self._connect_later()
            return
        host = self.world.rng.choice(hosts)
        self.speaker = Speaker(host, self)
        self.speaker.to_worker(self.speaker.hello)

    def _connect_later(self):
        self.world.after(self.world.rng.uniform(0.05, 0.7), self._connect)

    def _next(self, state):
        self.seq += 1
        message = Sent(self.viewer, self.seq, state, self.world.now)
        self.sent.append(message)
        return message

    def _beat(self):
        """Send a heartbeat now, and every interval from now on."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.connected or self._over:
            return
        message = self._next(self.state)
        if self.state == "paused":
            self._break = message
        self._say(message)
        self._timer = self.world.after(self.world.event.interval, self._beat)

    def _say(self, message):
        heartbeat = wire.Heartbeat(
            message.seq, message.state, True, False, self.world.now, None, "", message.again
        )
        self.speaker.to_worker(self.speaker.heartbeat, message, heartbeat)

    # --- What they are told -------------------------------------------------------------------------

    def welcomed(self, told):
        self.connected = True
        if self._break is not None:
            # As `embed/client.py` does: before any other heartbeat.
            self._break = self._next("paused")
            self._break.again = True
            self._say(self._break)
        if self._over:
            self._say_bye()
        else:
            self._beat()

    def answered(self, seq):
        self.sent[seq - 1].got = True
        if self._break is not None and self._break.seq == seq:
            self._break = None

    def move(self, after_s):
        self.world.after(after_s, self._move, self.speaker)

    def _move(self, speaker):
        if self.speaker is speaker:
            self._drop()
            self._connect_later()

    def closed(self, code):
        if code in {wire.CLOSED, wire.NOT_FOUND}:
            self._over = True

    def disconnected(self):
        self.speaker, self.connected = None, False
        self._connect_later()
