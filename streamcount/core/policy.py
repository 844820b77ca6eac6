"""What a heartbeat does under an event's policy: qualify, break, or neither; and whose it may be.

The rules, in order; the first that applies decides:

    state paused or ended                   breaks
    state buffering                         neither ("buffering")
    page hidden, hidden does not count      breaks
    player muted, muted does not count      neither ("muted")
    progress asked for, no position sent    neither ("no-position")
    progress asked for, position stood      neither ("no-progress")
      still for longer than the window
    else (playing)                          qualifies
"""

from __future__ import annotations

import enum

from streamcount.core.event import NO_ORIGIN, Policy
from streamcount.core.wire import Heartbeat


class Effect(enum.IntEnum):
    """What a heartbeat does to its viewer's bits of the tick."""

    NEITHER = 0
    QUALIFIES = 1
    BREAKS = 2


class Progress:
    """The latest position of one connection's player, and the tick it last moved in."""

    __slots__ = ("advanced", "position")

    def __init__(self) -> None:
        # None until the first heartbeat with a position.
        self.position: float | None = None
        self.advanced = 0

    def stands_still(self, position: float, tick: int, window: int) -> bool:
        """Take the position of a playing heartbeat; true when it has not moved for over a window."""
        if position != self.position:
            self.position = position
            self.advanced = tick
            return False
        return tick - self.advanced > window


def admits(policy: Policy, origin: str | None) -> bool:
    """Tell whether a page of this origin may count; `origin` is None where the request has none.

    That binds browsers, which say truly what page asks. A program can call itself as it likes.
    """
    origins = policy.origins
    return not origins or (NO_ORIGIN if origin is None else origin) in origins


def an_origin(policy: Policy) -> str | None:
    """Return an origin that `admits` takes, as a program may call itself; None where none will do."""
    if admits(policy, None):
        return None
    return policy.origins[0]


def effect(
    policy: Policy, window: int, heartbeat: Heartbeat, progress: Progress, tick: int
) -> tuple[Effect, str]:
    """Return what a heartbeat received in `tick` does, and why when it is neither."""
    state = heartbeat.state
    if state in {"paused", "ended"}:
        return Effect.BREAKS, ""
    if state == "buffering":
        return Effect.NEITHER, "buffering"
    if not heartbeat.visible and not policy.hidden_counts:
        return Effect.BREAKS, ""
    if heartbeat.muted and not policy.muted_counts:
        return Effect.NEITHER, "muted"
    if policy.progress:
        position = heartbeat.position
        if position is None:
            return Effect.NEITHER, "no-position"
        if progress.stands_still(position, tick, window):
            return Effect.NEITHER, "no-progress"
    return Effect.QUALIFIES, ""
