"""What goes over a page's websockets, and waiting for what was answered: an answer is a fact, a second that passed is none."""

from __future__ import annotations

import json
import time

from tests.service import PATIENT_S


def until(page, reached, told=lambda: "did not happen in time"):
    """Wait, while a page goes on, until something is so; returns it. `told` says what is wrong if it never is."""
    end = time.monotonic() + PATIENT_S
    while not (found := reached()):
        assert time.monotonic() < end, told()
        page.wait_for_timeout(50)
    return found


class Frames:
    """The messages of a page, from before it is loaded, each with the number of its connection as "on"."""

    def __init__(self, page):
        self.page = page
        self.sent, self.heard, self.complaints = [], [], []
        self.connections = 0
        page.on("websocket", self._websocket)

    def _websocket(self, socket):
        self.connections += 1
        on = {"on": self.connections}
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame) | on))
        socket.on("framereceived", lambda frame: self.heard.append(json.loads(frame) | on))

    def of(self, kind):
        return [said for said in self.sent if said["type"] == kind]

    def acks(self, since=0, **fields):
        """The acknowledged of the messages since then that say this, each with its tick."""
        acks = [told for told in self.heard if told["type"] == "ack"]
        ticks = {(told["on"], told["seq"]): told["tick"] for told in acks}
        said = [said for said in self.sent[since:] if fields.items() <= said.items()]
        keys = [(one["on"], one.get("seq")) for one in said]
        return [(one, ticks[key]) for one, key in zip(said, keys, strict=True) if key in ticks]

    def ticks(self, since=0, **fields):
        return {tick for _, tick in self.acks(since, **fields)}

    def until(self, reached):
        """Wait, while the page goes on, until something is so; returns it."""
        return until(self.page, reached, lambda: (self.sent[-3:], self.heard[-3:], self.complaints))

    def until_ticks(self, ticks=2, since=0, **fields):
        """Wait for acknowledgements in so many ticks of heartbeats that say this; returns the ticks.

        In the second of a presence, presence wins over a break; of two seconds of breaks the second one has none.
        """
        return self.until(lambda: len(found := self.ticks(since, **fields)) >= ticks and found)
