"""Probes: viewers whom the follower knows, because it is they, and whose acks must be in the log.

They are excluded before they join, so that no number changes by them. They play, keep what they are
told, and leave; then each acknowledged heartbeat must be a bit in the body of its tick. They look like
others, but the operator excluded them and could spare them: probes find mistakes rather than malice.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from streamcount.config import FollowLimits
from streamcount.core import wire
from streamcount.core.body import Body
from streamcount.core.entries import TickEntry
from streamcount.core.event import Event
from streamcount.core.policy import an_origin
from streamcount.embed.client import Viewer
from streamcount.follow.following import Follower
from streamcount.follow.source import RefusedError

REASON: Final = "probe by follow"
_LOOK_S: Final = 0.1


@dataclass(slots=True)
class Probe:
    """One known viewer: ticks it was told a heartbeat of counts in, and the bits found of it."""

    viewer: str
    name: bytes
    told_present: set[int] = field(default_factory=set)
    told_break: set[int] = field(default_factory=set)
    present: set[int] = field(default_factory=set)
    broke: set[int] = field(default_factory=set)
    # Sent, and never answered.
    unanswered: int = 0

    @property
    def acks(self) -> int:
        """In how many ticks it was told that it counts."""
        return len(self.told_present) + len(self.told_break)

    def missing(self, last: int) -> list[int]:
        """Ticks up to the last one in the log that it was told of and is not in.

        Presence wins where both came in one tick.
        """
        here = self.told_present - self.present
        gone = here | (self.told_break - self.broke - self.present)
        return sorted(tick for tick in gone if tick <= last)

    def ahead(self, last: int) -> int:
        """In how many ticks it was told that it counts, beyond the last one in the log."""
        return sum(tick > last for ticks in (self.told_present, self.told_break) for tick in ticks)

    def take_ack(self, _seq: int, state: str, ack: dict[str, Any]) -> None:
        """Remember an acknowledgement."""
        told = self.told_break if state in {"bye", "paused", "ended"} else self.told_present
        told.add(ack["tick"])


class Watch:
    """Looks for probes in the bodies as they come."""

    def __init__(self, probes: list[Probe]) -> None:
        self.probes = probes
        # The last tick whose body was looked at.
        self.last = 0
        self._new = {probe.name: probe for probe in probes}
        self._known: dict[int, Probe] = {}

    def __call__(self, entry: TickEntry, body: Body) -> None:
        """Take the body of the next tick."""
        if self._new and entry.new:
            first = entry.viewers - entry.new
            for offset, name in enumerate(body.registrations["pseudonym"]):
                probe = self._new.pop(name.tobytes(), None)
                if probe is not None:
                    self._known[first + offset] = probe
        for index, probe in self._known.items():
            bit = 0x80 >> (index & 7)
            if body.presence[index >> 3] & bit:
                probe.present.add(entry.tick)
            if body.breaks[index >> 3] & bit:
                probe.broke.add(entry.tick)
        self.last = entry.tick

    @property
    def ahead(self) -> int:
        """Acknowledgements for ticks that the log has not reached here, so nothing is known of them."""
        return sum(probe.ahead(self.last) for probe in self.probes)


async def probe(follower: Follower, count: int, seconds: float, limits: FollowLimits) -> Watch:
    """Join `count` probes for `seconds`; return what was told to them, and what was found of it.

    The follower runs meanwhile, with bodies; for as long as it does, it goes on looking.

    Raises:
        RefusedError: the event is not open, or the operators' API says no.
    """
    await _until(lambda: follower.course.event is not None, limits)
    course, event = follower.course, follower.course.event
    if event is None or course.first is None or course.close is not None:
        raise RefusedError("--probe: the event is not open, so no viewer can join")
    ids = [str(uuid.uuid4()) for _ in range(count)]
    before = set(course.excluded)
    names = await follower.source.exclude(event.event.id, ids, REASON)
    if len(set(names)) < count or before.intersection(names):
        raise RefusedError(
            "--probe: the operators' API answered pseudonyms that are not of new viewers, so none joined"
        )
    probes = [Probe(viewer, name) for viewer, name in zip(ids, names, strict=True)]
    watch = follower.watch = Watch(probes)
    if not await _until(lambda: course.excluded.issuperset(names), limits):
        raise RefusedError(
            f"--probe: the log did not exclude the probes within {limits.probe_answer_s:.0f} s, so none "
            f"joined: they would have been counted. Ask the operators, and try again"
        )
    url = viewers_url(follower.source.url)
    await asyncio.gather(*(_play(one, url, event.event, seconds) for one in probes))
    await _until(lambda: not watch.ahead, limits)
    return watch


def viewers_url(log_url: str) -> str:
    """Return where viewers of a log's event connect.

    Raises:
        RefusedError: it does not follow from the log's address.
    """
    head, found, _ = log_url.partition("/v1/events/")
    if not found or not head.startswith("http"):
        raise RefusedError(
            f"--probe: {log_url} is not the address .../v1/events/ID/log of a service"
        )
    return f"ws{head.removeprefix('http')}{wire.PATH}"


async def _play(one: Probe, url: str, event: Event, seconds: float) -> None:
    viewer = Viewer(
        url,
        event=event.id,
        viewer=one.viewer,
        stream=event.streams[0].id,
        origin=an_origin(event.policy),
        on_ack=partial(one.take_ack),
    )
    viewer.play()
    running = asyncio.create_task(viewer.run())
    try:
        await asyncio.wait({running}, timeout=seconds)
        await viewer.leave()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    one.unanswered = viewer.unanswered + len(viewer.outstanding)


async def _until(reached: Callable[[], bool], limits: FollowLimits) -> bool:
    """Wait until something is so, for as long as there is any hope; tell whether it is."""
    end = time.monotonic() + limits.probe_answer_s
    while not (so := reached()) and time.monotonic() < end:  # noqa: ASYNC110 (a log tells nobody)
        await asyncio.sleep(_LOOK_S)
    return so
