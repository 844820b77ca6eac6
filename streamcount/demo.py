"""The demonstration: a whole event in a minute and a half, on this machine, with real parts.

A service on free ports, an event, a crowd of real websocket viewers, the close, the claim, the pack, and
its verification with the key and a checkpoint kept from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from streamcount.config import Settings
from streamcount.core.event import parse_event
from streamcount.evidence.findings import Findings
from streamcount.evidence.verify import verify
from streamcount.operator.client import OperatorClient, find
from streamcount.simulate.plan import Shape, make_plans
from streamcount.simulate.run import Audience, Show, Watcher, websocket_address
from streamcount.simulate.squads import crowd_of
from streamcount.simulate.told import Comparison, compare
from streamcount.supervise import Service

WINDOW_TICKS = 12
INTERVAL_TICKS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    comparison: Comparison
    crowd: Audience
    findings: Findings
    pack: Path
    key: str
    seconds: float


async def demonstrate(
    shape: Shape, out: Path, settings: Settings, show: Show, processes: int = 1
) -> Result:
    """Run all of it; `out` is the folder the pack is written to.

    `processes`: of the crowd, where one may not open enough files; then workers are more, too.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="streamcount-demo-") as folder:
        workers = settings.workers if processes == 1 else max(settings.workers, 2 * processes)
        here = {"data": Path(folder), "public_port": 0, "operator_port": 0, "redis_url": None}
        own = settings.model_copy(update={**here, "workers": workers})
        async with running(own) as client:
            return await _event(client, shape, out, show, started, processes)


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[OperatorClient]:
    """Run a service; yields a client of it, and ends it."""
    service = Service(settings, log_level="ERROR")
    watching: asyncio.Task[None] | None = None
    try:
        await service.start()
        watching = asyncio.create_task(service.watch())
        async with find(settings.data) as client:
            yield client
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await service.end()


async def _event(
    client: OperatorClient, shape: Shape, out: Path, show: Show, started: float, processes: int
) -> Result:
    event_id = f"demo-{secrets.token_hex(3)}"
    definition = {
        "id": event_id,
        "kind": "demo",
        "title": {"ar": "عرض تجريبي", "en": "Demonstration"},
        "window": WINDOW_TICKS,
        "interval": INTERVAL_TICKS,
        "target": shape.viewers,
        "streams": [{"id": f"stream-{number}"} for number in range(shape.streams)],
    }
    created = await client.call("POST", "/api/events", definition)
    key = created["key"]
    opened = await client.call("POST", f"/api/events/{event_id}/open")
    watcher = Watcher(client, event_id, show)
    await watcher.until("opening", lambda counts: (counts["now"] or 0) >= opened["first_tick"])
    crowd = crowd_of(
        websocket_address(client.public),
        parse_event(created["definition"]),
        make_plans(shape),
        processes,
    )
    watcher.crowd = crowd
    driving = asyncio.create_task(crowd.run())
    # The adjudicator's part: a checkpoint kept from outside while it happens.
    await watcher.until("people join", lambda _: crowd.elapsed_s > shape.ramp_s or driving.done())
    kept = await _checkpoint(client.public, event_id)
    await watcher.until("watching", lambda _: driving.done())
    await driving
    await client.call("POST", f"/api/events/{event_id}/close")
    await watcher.until("closed; the last window passes", lambda c: c["stage"] == "final")
    timeline = await client.call("GET", f"/api/events/{event_id}/timeline?most=20000")
    pack = out / f"streamcount-{event_id}.zip"
    await client.save(f"/api/events/{event_id}/evidence", pack)
    findings = await asyncio.to_thread(verify, pack, key=key, checkpoints=[kept])
    comparison = compare(crowd.told, timeline, WINDOW_TICKS)
    return Result(comparison, crowd, findings, pack, key, time.monotonic() - started)


async def _checkpoint(public: str, event_id: str) -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{public}/v1/events/{event_id}/log/checkpoint") as response,
    ):
        response.raise_for_status()
        return await response.read()
