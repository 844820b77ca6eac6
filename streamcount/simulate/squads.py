"""A crowd in several processes, for where one process may not open enough files.

    parent  --(a line: url, event, plans)-->  squad      a `Crowd` of some of the viewers
            <--(a line: ready)--
            --(a line: go)-->
            <--(a line twice a second: figures)--
            <--(the last line: figures and everything that was acknowledged)--

A squad ends when its standard input does, so none outlives its parent.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, Final

from streamcount.core.event import Event, ServiceAwayError, parse_event
from streamcount.simulate.crowd import Crowd, Figures
from streamcount.simulate.plan import Plan
from streamcount.simulate.told import Told

_TELL_EVERY_S: Final = 0.5
# A job is one line, and so is what a squad has to tell at the end.
_LINE_BYTES_MAX: Final = 256 * 2**20


class Squads:
    """Viewers of one event, in several processes; from outside it is a `Crowd`."""

    def __init__(self, url: str, event: Event, plans: Sequence[Plan], processes: int) -> None:
        """`url` is the websocket address of the public port."""
        self.told: dict[str, Told] = {}
        self._url = url
        self._event = event
        self._parts = [plans[number::processes] for number in range(processes)]
        # What each squad told last of itself.
        self._figures = [Figures() for _ in self._parts]
        self._ready = asyncio.Barrier(processes)
        self._started = 0.0

    @property
    def figures(self) -> Figures:
        """The squads' figures, added up."""
        return Figures(
            *(sum(getattr(f, one.name) for f in self._figures) for one in fields(Figures))
        )

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    async def run(self) -> None:
        """Let everybody do what they plan; return when the last has left.

        Raises:
            ServiceAwayError: a squad's process ended before its viewers had left.
        """
        self._started = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(self._parts)):
                    group.create_task(self._command(number))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _command(self, number: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streamcount.simulate.squads"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES_MAX,
        )
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process without pipes")
        try:
            plans = [[plan.viewer, plan.stream, plan.actions] for plan in self._parts[number]]
            job = {"url": self._url, "event": self._event.as_dict(), "plans": plans}
            process.stdin.write(json.dumps(job).encode() + b"\n")
            await self._listen(number, process.stdin, process.stdout)
        finally:
            process.stdin.close()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _listen(
        self, number: int, tell: asyncio.StreamWriter, hear: asyncio.StreamReader
    ) -> None:
        while line := await hear.readline():
            told = json.loads(line)
            if told.get("ready"):
                await self._ready.wait()
                self._started = time.monotonic()
                tell.write(b"go\n")
                continue
            self._figures[number] = Figures(**told["figures"])
            if "told" in told:
                for viewer, (presence, breaks) in told["told"].items():
                    self.told[viewer] = Told(set(presence), set(breaks))
                return
        raise ServiceAwayError("a part of the crowd ended before its viewers had left")


def crowd_of(url: str, event: Event, plans: Sequence[Plan], processes: int) -> Crowd | Squads:
    """Return a crowd in this process, or in several when it takes so many."""
    if processes == 1:
        return Crowd(url, event, plans)
    return Squads(url, event, plans, processes)


# --- A squad's process ------------------------------------------------------------------------------


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _squad() -> None:
    loop = asyncio.get_running_loop()
    hear = asyncio.StreamReader(limit=_LINE_BYTES_MAX)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(hear), os.fdopen(os.dup(0), "rb")
    )
    job = json.loads(await hear.readline())
    plans = [
        Plan(viewer, stream, tuple((at_s, action) for at_s, action in actions))
        for viewer, stream, actions in job["plans"]
    ]
    crowd = Crowd(job["url"], parse_event(job["event"]), plans)
    _tell({"ready": True})
    if not await hear.readline():
        return
    over = asyncio.create_task(hear.read())
    driving = asyncio.create_task(crowd.run())
    while not driving.done() and not over.done():
        await asyncio.wait({driving, over}, timeout=_TELL_EVERY_S, return_when="FIRST_COMPLETED")
        _tell({"figures": asdict(crowd.figures)})
    if driving.done():
        driving.result()
        told = {who: (sorted(one.presence), sorted(one.breaks)) for who, one in crowd.told.items()}
        _tell({"figures": asdict(crowd.figures), "told": told})
    driving.cancel()
    over.cancel()
    await asyncio.gather(driving, over, return_exceptions=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_squad())
