"""A crowd on a running service: drive it, then set told and counted side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from streamcount.core.event import ActRefusedError, ServiceAwayError, parse_event
from streamcount.operator.client import OperatorClient, event_path, find
from streamcount.simulate.crowd import Crowd
from streamcount.simulate.plan import Shape, make_plans
from streamcount.simulate.squads import Squads, crowd_of
from streamcount.simulate.told import Comparison, compare

AWAY_MOST_S: Final = 30.0
Audience = Crowd | Squads
Show = Callable[[str, dict[str, Any], Audience | None, dict[str, Any]], None]


def websocket_address(public: str) -> str:
    """Return where viewers of a service connect, given its public address."""
    return public.replace("http", "ws", 1) + "/v1/viewers"


class Watcher:
    """Looks at an event's counts twice a second, shows them, and waits for something."""

    def __init__(self, client: OperatorClient, event_id: str, show: Show) -> None:
        self.crowd: Audience | None = None
        self._client = client
        self._path = event_path(event_id)
        self._show = show

    async def until(self, phase: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the counts as soon as they are what was waited for.

        Raises:
            ServiceAwayError: the service has not answered for `AWAY_MOST_S`.
        """
        answered = time.monotonic()
        while True:
            try:
                counts: dict[str, Any] = await self._client.call("GET", f"{self._path}/counts")
                timeline = await self._client.call("GET", f"{self._path}/timeline?most=20000")
            except ServiceAwayError:
                # A notary that was restarted answers again in a moment; the viewers go on meanwhile.
                if time.monotonic() - answered > AWAY_MOST_S:
                    raise
            else:
                answered = time.monotonic()
                self._show(phase, counts, self.crowd, timeline)
                if reached(counts):
                    return counts
            await asyncio.sleep(0.5)


async def simulate_on(
    data: Path, event_id: str, shape: Shape, show: Show, processes: int = 1
) -> tuple[Comparison, Audience]:
    """Send a crowd, from so many processes, to an open event of the service on this data directory.

    Raises:
        ActRefusedError: the event is an attempt, is not open, or somebody watches it already.
    """
    async with find(data) as client:
        event = await client.call("GET", event_path(event_id))
        if event["kind"] == "attempt":
            raise ActRefusedError(
                f"event {event_id} is an attempt: simulated viewers have no business there. Create one "
                f"of kind rehearsal"
            )
        if event["stage"] != "open":
            raise ActRefusedError(
                f"event {event_id} is {event['stage']}, not open. Open it with: streamcount event open "
                f"{event_id}"
            )
        definition = parse_event(event["definition"])
        watcher = Watcher(client, event_id, show)
        counts = await watcher.until("opening", lambda c: (c["now"] or 0) >= event["first_tick"])
        if counts["uniques"]:
            raise ActRefusedError(
                f"event {event_id} has been watched already, by {counts['uniques']}; told and counted "
                f"can only be compared when the crowd is the whole audience. Create another event"
            )
        watcher.crowd = crowd = crowd_of(
            websocket_address(client.public), definition, make_plans(shape), processes
        )
        driving = asyncio.create_task(crowd.run())
        await watcher.until("watching", lambda _: driving.done())
        await driving
        last = max((max(t.presence | t.breaks, default=0) for t in crowd.told.values()), default=0)
        settled = last + definition.window
        await watcher.until("the last window passes", lambda c: (c["archived"] or 0) >= settled)
        timeline = await client.call("GET", f"{event_path(event_id)}/timeline?most=20000")
        return compare(crowd.told, timeline, definition.window), crowd
