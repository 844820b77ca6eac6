"""A viewer in Python without a websocket: the same, over HTTP requests. docs/protocol.md, "Beacons".

    from streamcount.embed.beacons import BeaconViewer

    async def main():
        viewer = BeaconViewer("http://127.0.0.1:8080/v1/heartbeats", event="lesson", viewer="my-device-id")
        watching = asyncio.create_task(viewer.run())
        viewer.play()
        await asyncio.sleep(60)
        await viewer.leave()
        await watching

`run` asks for the time, then sends a request every interval and at once when the state changes. Each is
answered when it is archived, two or three seconds later; a change does not wait for that, so several may be
under way. What was not answered is not sent again, as the next heartbeat serves as well; but after a pause
nothing plays before a break is acknowledged, as core/proof.py has it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import aiohttp
import orjson

from streamcount.core import wire
from streamcount.core.proof import Proof
from streamcount.embed.client import Viewer

# More than the server waits before it answers.
_ANSWER_S: Final = 20.0
_ANSWER_BYTES_MAX: Final = 64 * 1024
_UNDER_WAY_MOST: Final = 6
_LOOK_S: Final = 0.5
# Statuses after which another request may be taken; other errors end the viewing, with these close codes.
_PASSING: Final = {408, 429}
_CODES: Final = {
    401: wire.UNAUTHORISED, 403: wire.FORBIDDEN, 404: wire.NOT_FOUND, 409: wire.CLOSED,
}  # fmt: skip


class BeaconViewer(Viewer):
    """One viewer, whose heartbeats are requests. Arguments are those of `Viewer`; `url` is http(s)."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        # A page that is hidden breaks, or counts, as the policy has it, and nobody tells which: the rule is
        # kept for both.
        self._hidden_breaks, self._hidden_counts = self._proofs = Proof(), Proof()
        # Event time as the latest answer told it, and monotonic seconds when that came.
        self._told_ms, self._told_at = 0, 0.0
        # Of the breaks that are under way: seq -> when it was made; and the seqs of what was played hidden.
        self._breaks: dict[int, int] = {}
        self._hidden: set[int] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        # Monotonic seconds before which nothing is sent; failures in a row; the pause the server asked for.
        self._not_before = 0.0
        self._failures = 0
        self._asked_pause_s = 0.0
        self._http: aiohttp.ClientSession | None = None
        # Set once `leave` or `drop` has said what it has to say.
        self._left = asyncio.Event()

    async def run(self) -> None:
        """Watch until `leave`, or until the server says that there is nothing to come back for."""
        async with aiohttp.ClientSession(
            headers={"Origin": self.origin} if self.origin else {},
            timeout=aiohttp.ClientTimeout(total=_ANSWER_S),
            connector=aiohttp.TCPConnector(force_close=True, limit=2 * _UNDER_WAY_MOST),
        ) as http:
            self._http = http
            try:
                await self._until_known()
                await self._beats()
                if self._leaving:
                    await self._left.wait()
            finally:
                self.reconnect()
                await asyncio.gather(*self._under_way, return_exceptions=True)
                self._http = None

    async def leave(self, timeout_s: float = 20.0) -> bool:
        """Say bye until it is acknowledged, and end `run`; tell whether all that was sent is answered."""
        self._leaving = True
        self._changed.set()
        try:
            if self.welcome is None:
                return False
            seq = self._next("bye")
            async with asyncio.timeout(timeout_s):
                # The same each time: a break that is heard twice is a break.
                while seq in self.outstanding and self._http and self.closed_with is None:
                    if not await self._ask({"bye": {"seq": seq}}):
                        await asyncio.sleep(self._pause_s(self._failures))
                await asyncio.gather(*self._under_way, return_exceptions=True)
        except TimeoutError:
            pass
        finally:
            self._left.set()
        return not self.outstanding

    def reconnect(self) -> None:
        """Lose what is under way, as a network does, without a word."""
        for task in self._under_way:
            task.cancel()

    def drop(self) -> None:
        """Say nothing any more: what a closed laptop does."""
        super().drop()
        self._left.set()
        self._changed.set()

    # --- Inside -------------------------------------------------------------------------------------

    async def _until_known(self) -> None:
        """Ask for the time until it is told."""
        while self.welcome is None and not self._over():
            if await self._ask({}):
                self.connects += 1
            else:
                await asyncio.sleep(self._pause_s(self._failures))

    async def _beats(self) -> None:
        """Send a heartbeat now, every interval, and at once when the state changes."""
        while not self._over():
            self._changed.clear()
            wait_s = self._not_before - time.monotonic()
            if wait_s <= 0:
                free = not self._quiet and len(self._under_way) < _UNDER_WAY_MOST
                wait_s = self._say() if free else _LOOK_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _say(self) -> float:
        """Send what is to be said now; return after how many seconds there is more, at the latest."""
        now_ms = self._time_ms()
        presence_of = self._proofs if self.visible else (self._hidden_counts,)
        useful_ms = max(
            (one.useful_from_ms() for one in presence_of if not one.may_play(now_ms)), default=0
        )
        if self.state in {"paused", "ended"}:
            for proof in self._proofs:
                proof.end()
            heartbeat = self._heartbeat()
            self._breaks[heartbeat["seq"]] = now_ms
        elif self.state != "playing":
            heartbeat = self._heartbeat()
        elif not useful_ms:
            heartbeat = self._heartbeat()
            for proof in presence_of:
                proof.play(now_ms)
            if not self.visible:
                self._hidden_breaks.end()
                self._hidden.add(heartbeat["seq"])
        elif now_ms < useful_ms:
            return (useful_ms - now_ms) / 1000
        elif max(self._breaks.values(), default=0) >= useful_ms:
            return _LOOK_S  # its answer is waited for
        else:
            heartbeat = {"seq": self._next("paused"), "state": "paused", "again": True}
            self._breaks[heartbeat["seq"]] = now_ms
        heartbeat.pop("type", None)
        task = asyncio.create_task(self._tell(heartbeat, now_ms))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return float(max(1, self.welcome["interval"])) if self.welcome else _LOOK_S

    async def _tell(self, heartbeat: dict[str, Any], made_at_ms: int) -> None:
        """Send one heartbeat; what becomes of it without an answer nobody will ever say."""
        try:
            if not await self._ask({"made_at": made_at_ms, "heartbeats": [heartbeat]}):
                pause_s = max(self._asked_pause_s, self._pause_s(self._failures))
                self._not_before = time.monotonic() + pause_s
                self._changed.set()
        finally:
            if self.outstanding.pop(heartbeat["seq"], None) is not None:
                self.unanswered += 1
            self._breaks.pop(heartbeat["seq"], None)
            self._hidden.discard(heartbeat["seq"])
            if not self.outstanding:
                self._settled.set()

    async def _ask(self, what: dict[str, Any]) -> bool:
        """Send one request, and take the answer; tell whether there was one that says what became of it."""
        who = {"event": self.event, "stream": self.stream, "viewer": self.viewer}
        body = who | {"source": self.source, "player": self.player} | what
        self._failures, self._asked_pause_s = self._failures + 1, 0.0
        if self._http is None:
            return False
        try:
            async with self._http.post(self.url, data=orjson.dumps(body)) as response:
                text = await response.content.read(_ANSWER_BYTES_MAX)
                if response.status in {200, 202}:
                    self._take_answers(orjson.loads(text))
                    self._failures = 0
                    return response.status == 200
                self._asked_pause_s = min(60.0, float(response.headers.get("Retry-After", "0")))
                if 400 <= response.status < 500 and response.status not in _PASSING:
                    self.closed_with = _CODES.get(response.status, wire.MALFORMED)
                    self._changed.set()
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError, KeyError, TypeError):
            pass  # no answer, or none of this protocol
        return False

    def _take_answers(self, told: dict[str, Any]) -> None:
        """Take an answer: the time, and what became of heartbeats."""
        self._told_ms, self._told_at = int(told["server_time"]), time.monotonic()
        for proof in self._proofs:
            proof.age_max_s, proof.window_s = float(told["age_max"]), int(told["window"])
        self.welcome = {key: value for key, value in told.items() if key != "answers"}
        for answer in told["answers"]:
            if answer["type"] in {"ack", "noted"}:
                self._take(answer)

    def _take(self, answer: dict[str, Any]) -> None:
        super()._take(answer)
        if answer["type"] != "ack":
            return
        breaks_for: tuple[Proof, ...] = self._proofs if answer["seq"] in self._breaks else ()
        if answer["seq"] in self._hidden:
            breaks_for = (self._hidden_breaks,)
        held_back = any(proof.broken for proof in breaks_for)
        for proof in breaks_for:
            proof.acknowledge(answer["tick"])
        if held_back and self.state == "playing":
            self._changed.set()

    def _time_ms(self) -> int:
        """Return event time now, if anything too early: the answer that told it was under way."""
        return self._told_ms + int((time.monotonic() - self._told_at) * 1000)
