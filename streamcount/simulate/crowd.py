"""Drives a crowd of real websocket viewers through its plans, and keeps every acknowledgement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamcount.core.event import Event
from streamcount.core.policy import an_origin
from streamcount.embed.client import Viewer
from streamcount.simulate.plan import Plan
from streamcount.simulate.told import Told


@dataclass(slots=True)
class Figures:
    """How a crowd is doing. `here` is people, `connections` theirs that are open."""

    here: int = 0
    connections: int = 0
    reconnects: int = 0
    sent: int = 0
    acked: int = 0
    late: int = 0
    # Heartbeats whose answer never came: the connection was lost before it.
    unanswered: int = 0


class Crowd:
    """Viewers of one event."""

    def __init__(self, url: str, event: Event, plans: Sequence[Plan]) -> None:
        """`url` is the websocket address of the public port."""
        # Viewer id -> what was acknowledged to them.
        self.told: dict[str, Told] = {plan.viewer: Told() for plan in plans}
        self.figures = Figures()
        self._url = url
        self._event = event
        self._plans = plans
        self._started = 0.0

    async def run(self) -> None:
        """Let everybody do what they plan; return when the last has left."""
        self._started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for plan in self._plans:
                group.create_task(_Person(self, plan).live())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def viewer(self, plan: Plan) -> Viewer:
        """Return one connection's client, whose acks are kept."""
        told = self.told[plan.viewer]

        def on_ack(_seq: int, state: str, answer: dict[str, Any]) -> None:
            self.figures.acked += 1
            told.take(state, answer["tick"])

        return Viewer(
            self._url,
            event=self._event.id,
            stream=self._event.streams[plan.stream].id,
            viewer=plan.viewer,
            player="streamcount-simulate",
            origin=an_origin(self._event.policy),
            on_ack=on_ack,
        )


class _Person:
    """One viewer at work: up to two tabs."""

    def __init__(self, crowd: Crowd, plan: Plan) -> None:
        self._crowd = crowd
        self._figures = crowd.figures
        self._plan = plan
        self._tabs: list[tuple[Viewer, asyncio.Task[None]]] = []

    async def live(self) -> None:
        for at_s, action in self._plan.actions:
            await asyncio.sleep(max(0.0, at_s - self._crowd.elapsed_s))
            await self._do(action)

    async def _do(self, action: str) -> None:
        if action == "join":
            self._figures.here += 1
            self._open()
        elif action == "open tab":
            self._open()
        elif action == "pause":
            self._tabs[0][0].pause()
        elif action == "play":
            self._tabs[0][0].play()
        elif action == "reconnect":
            # Only once all is answered, so that every heartbeat's tick is known to the crowd.
            await self._tabs[0][0].settle()
            self._figures.reconnects += 1
            self._tabs[0][0].reconnect()
        elif action == "close tab":
            await self._close(self._tabs.pop(), politely=True)
        elif action in {"leave", "drop"}:
            while self._tabs:
                await self._close(self._tabs.pop(), politely=action == "leave")
            self._figures.here -= 1

    def _open(self) -> None:
        viewer = self._crowd.viewer(self._plan)
        viewer.play()
        self._tabs.append((viewer, asyncio.create_task(viewer.run())))
        self._figures.connections += 1

    async def _close(self, tab: tuple[Viewer, asyncio.Task[None]], *, politely: bool) -> None:
        viewer, running = tab
        if politely:
            await viewer.leave()
        else:
            await viewer.settle()
            viewer.drop()
        await running
        figures = self._figures
        figures.connections -= 1
        figures.sent += viewer.seq
        figures.unanswered += viewer.unanswered + len(viewer.outstanding)
        figures.late += viewer.last_ack["late"] if viewer.last_ack else 0
