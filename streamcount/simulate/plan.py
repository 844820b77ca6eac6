"""What each simulated viewer will do: a pure function of its settings and a seed.

    0          ramp           +mix            +together        +leave      seconds
    |-- join ---|-- come and go --|-- all watch ---|-- all leave --|

`viewers` people are there together. Some of them pause and go on, open a second tab, lose their
connection and come back as the same viewer. Beyond them, `churn` of that number come and leave again
while the others still join, so the uniques are more than the peak.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

ACTIONS: Final = ("join", "pause", "play", "open tab", "close tab", "reconnect", "leave", "drop")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a crowd behaves. Times in seconds; shares are of `viewers`, from 0 to 1."""

    viewers: int
    ramp_s: float = 20.0
    mix_s: float = 10.0
    together_s: float = 15.0
    leave_s: float = 8.0
    churn: float = 0.08
    tabs: float = 0.05
    pauses: float = 0.08
    reconnects: float = 0.06
    streams: int = 1
    seed: int = 2135

    @property
    def total_s(self) -> float:
        """From the first join to the last leave."""
        return self.ramp_s + self.mix_s + self.together_s + self.leave_s

    @property
    def connections(self) -> int:
        """An upper bound of connections at one time."""
        return round(self.viewers * (1 + self.churn + self.tabs)) + 1


@dataclass(frozen=True, slots=True)
class Plan:
    """One viewer: an id, a stream's number, and (seconds, action) in order."""

    viewer: str
    stream: int
    actions: tuple[tuple[float, str], ...]


def make_plans(shape: Shape) -> list[Plan]:
    """Return the plans of a crowd; the same shape gives the same plans."""
    draw = random.Random(shape.seed)  # noqa: S311 (repeatable on purpose)
    core = [_stays(draw, shape, number) for number in range(shape.viewers)]
    passing = [_passes(draw, shape, number) for number in range(round(shape.viewers * shape.churn))]
    return sorted(core + passing, key=lambda plan: plan.actions[0])


def _name(draw: random.Random, kind: str, number: int) -> str:
    return f"sim-{kind}-{number:07d}-{draw.getrandbits(64):016x}"


def _stays(draw: random.Random, shape: Shape, number: int) -> Plan:
    """Somebody who is there when all watch together."""
    mixed = shape.ramp_s + shape.mix_s
    joins = draw.uniform(0, shape.ramp_s)
    actions = [(joins, "join")]
    # Whoever joins late has little time for more than watching.
    start, end = joins + 1.0, mixed - 1.0
    room = end - start
    if draw.random() < shape.pauses and room > 4:
        pauses = draw.uniform(start, end - 3)
        actions += [(pauses, "pause"), (draw.uniform(pauses + 1.5, end), "play")]
    if draw.random() < shape.tabs and room > 6:
        opens = draw.uniform(start, end - 5)
        actions.append((opens, "open tab"))
        # Closing one is a break of the viewer, so it happens before all watch together, or after.
        if draw.random() < 0.5:
            actions.append((draw.uniform(opens + 4, end), "close tab"))
    if draw.random() < shape.reconnects:
        actions.append((draw.uniform(start, mixed + shape.together_s / 2), "reconnect"))
    left = mixed + shape.together_s
    actions.append(
        (draw.uniform(left, left + shape.leave_s), draw.choice(("leave", "leave", "drop")))
    )
    return Plan(_name(draw, "stay", number), draw.randrange(shape.streams), tuple(sorted(actions)))


def _passes(draw: random.Random, shape: Shape, number: int) -> Plan:
    """Somebody who comes and goes while the others still join, so that no peak falls there."""
    end = shape.ramp_s * (1 - 1.5 * min(shape.churn, 0.5))
    joins = draw.uniform(0, end * 0.6)
    leaves = draw.uniform(joins, end)
    how = draw.choice(("leave", "drop"))
    return Plan(
        _name(draw, "pass", number), draw.randrange(shape.streams), ((joins, "join"), (leaves, how))
    )
