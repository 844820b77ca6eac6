"""Viewers for locust: real websockets, a heartbeat an interval, each answer checked.

    STREAMCOUNT_EVENT=lesson locust -f loadtests/locustfile.py --host ws://127.0.0.1:8080

What locust shows as a request is the time from a heartbeat to its acknowledgement: that is, until it is
in durable evidence. An acknowledgement of a heartbeat that was not sent, or that comes too late, is a
failure. Every user is one viewer, for as long as locust runs it; at its end it says bye.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any

import gevent
import websocket
from locust import User, constant, task

EVENT = os.environ.get("STREAMCOUNT_EVENT", "lesson")
STREAM = os.environ.get("STREAMCOUNT_STREAM", "main")
ACK_MOST_S = float(os.environ.get("STREAMCOUNT_ACK_MOST_S", "20"))


class Viewer(User):
    """Watches one stream."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Connect and say hello."""
        self.seq = 0
        # seq -> when it was sent.
        self.sent: dict[int, float] = {}
        started = time.perf_counter()
        self.socket = websocket.create_connection(
            f"{self.host}/v1/viewers", subprotocols=["streamcount.v1"], timeout=ACK_MOST_S
        )
        hello = {
            "type": "hello",
            "event": EVENT,
            "stream": STREAM,
            "viewer": f"locust-{uuid.uuid4().hex}",
        }
        self.socket.send(json.dumps(hello))
        welcome = json.loads(self.socket.recv())
        if welcome["type"] != "welcome":
            raise RuntimeError(f"refused: {welcome}")
        self.interval_s = welcome["interval"]
        self._tell("hello to welcome", started)
        self.listening = gevent.spawn(self._listen)

    @task
    def watch(self) -> None:
        """Send a heartbeat, then watch for an interval."""
        self.seq += 1
        self.sent[self.seq] = time.perf_counter()
        beat = {
            "type": "heartbeat",
            "seq": self.seq,
            "state": "playing",
            "position": self.seq * 1.5,
        }
        self.socket.send(json.dumps(beat))
        overdue = [seq for seq, at in self.sent.items() if time.perf_counter() - at > ACK_MOST_S]
        for seq in overdue:
            self._tell("heartbeat to ack", self.sent.pop(seq), TimeoutError("not acknowledged"))
        gevent.sleep(self.interval_s)

    def on_stop(self) -> None:
        """Say bye and wait until all is acknowledged."""
        self.seq += 1
        self.sent[self.seq] = time.perf_counter()
        try:
            self.socket.send(json.dumps({"type": "bye", "seq": self.seq}))
            self.listening.join(timeout=ACK_MOST_S)
        except websocket.WebSocketException as error:
            self._tell("heartbeat to ack", time.perf_counter(), error)
        for at in self.sent.values():
            self._tell("heartbeat to ack", at, TimeoutError("not acknowledged at the end"))
        self.socket.close()

    def _listen(self) -> None:
        while True:
            try:
                text = self.socket.recv()
            except (websocket.WebSocketException, OSError):
                return
            if not text:
                return
            answer: dict[str, Any] = json.loads(text)
            if answer["type"] == "ack":
                started = self.sent.pop(answer["seq"], None)
                wrong = None if started else ValueError(f"acknowledged what was not sent: {answer}")
                self._tell("heartbeat to ack", started or time.perf_counter(), wrong)
            elif answer["type"] == "error":
                self._tell("heartbeat to ack", time.perf_counter(), RuntimeError(answer["message"]))

    def _tell(self, name: str, started: float, error: Exception | None = None) -> None:
        self.environment.events.request.fire(
            request_type="ws",
            name=name,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=0,
            exception=error,
            context={},
        )
