"""What one heartbeat does to the tick under way: the same for websockets and beacons.

    policy (core/policy.py)  ->  holding (holding.py)

It is answered by `note` at once where it sets no bit, else when its tick is archived (`Gateway.settle`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from streamcount.core.beacon import untimely
from streamcount.core.policy import Effect, Progress, effect
from streamcount.core.wire import Heartbeat
from streamcount.ingest.hearing import Speaker

if TYPE_CHECKING:
    from streamcount.ingest.gateway import Gateway
    from streamcount.ingest.holding import Holding


class Answerable(Speaker, Protocol):
    """Whom a heartbeat came from, and who is told what became of it."""

    def note(self, seq: int, why: str) -> None:
        """Tell that a heartbeat set no bit, and why."""

    def acknowledge(self, seq: int, tail: bytes) -> None:
        """Tell that a heartbeat is archived; `tail` is `wire.ack_tail`'s."""


class Made(NamedTuple):
    """When a beacon was made, in event time as its client knows it, and how old a presence may be."""

    at_ms: int | None
    age_s: float


def count(  # noqa: PLR0913, PLR0917 (the hot path makes no object to pass them in)
    gateway: Gateway,
    holding: Holding,
    speaker: Answerable,
    heartbeat: Heartbeat,
    progress: Progress,
    now_us: int,
    made: Made | None = None,
) -> None:
    """Count a heartbeat that was read at `now_us` (monotonic); `made`: when, if that decides, too."""
    if now_us >= holding.boundary_us:
        holding.roll(now_us)
    if holding.closed_because:
        hidden = not heartbeat.visible and not holding.event.policy.hidden_counts
        if hidden or heartbeat.state in {"paused", "ended"}:
            holding.hear_early_break(speaker)
        speaker.note(heartbeat.seq, holding.closed_because)
        return
    event = holding.event
    what, why = effect(event.policy, event.window, heartbeat, progress, holding.tick)
    if made is not None and what is Effect.QUALIFIES:
        why = untimely(made.at_ms, time_ms(holding, now_us), made.age_s)
        what = Effect.NEITHER if why else what
    if what is Effect.NEITHER:
        speaker.note(heartbeat.seq, why)
    elif gateway.stalled(now_us):
        holding.hear_late(speaker, breaks=what is Effect.BREAKS)
        gateway.outcomes.late += 1
    elif what is Effect.QUALIFIES:
        gateway.outcomes.presences += 1
        holding.hear_presence(
            speaker, heartbeat.seq, muted=heartbeat.muted, hidden=not heartbeat.visible
        )
    else:
        gateway.outcomes.breaks += 1
        holding.hear_break(speaker, heartbeat.seq, again=heartbeat.again)


def count_bye(
    gateway: Gateway, holding: Holding, speaker: Speaker, seq: int, now_us: int, *, again: bool
) -> bool:
    """Count a bye that was read at `now_us`; tell whether it is heard, to be answered as `seq`."""
    if now_us >= holding.boundary_us:
        holding.roll(now_us)
    if holding.closed_because:
        holding.hear_early_break(speaker)
        return False
    if gateway.stalled(now_us):
        holding.hear_late(speaker, breaks=True)
        return False
    gateway.outcomes.breaks += 1
    holding.hear_break(speaker, seq, again=again)
    return True


def time_ms(holding: Holding, now_us: int) -> int:
    """Return event time at `now_us` in Unix milliseconds, or what comes nearest before it is known.

    It is never before the tick under way.
    """
    if not holding.clock.ready:
        return time.time_ns() // 1_000_000
    return max(holding.clock.now_us(now_us) // 1000, holding.tick * 1000)


def opens_at(holding: Holding) -> int | None:
    """Return when the event opens or is planned to, in Unix seconds; None when it has."""
    first = holding.state.open
    return None if first and holding.tick >= first else first or holding.event.planned_start
