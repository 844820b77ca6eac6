"""A history: a world, what goes wrong in it, and its judgement. Everything follows from the seed."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from tests.sim import faults
from tests.sim.crowd import Viewer
from tests.sim.loop import Loop, StuckError, virtual_time
from tests.sim.world import HOLD_S, World


@dataclass
class Outcome:
    """What came of a history."""

    seed: int
    wrong: list[str]
    faults: dict[str, int]
    sent: int
    acks: int
    seconds: float
    hash: str
    story: list[str] | None
    kind: str


def run(seed: int, *, say: bool = False) -> Outcome:
    """Run the history of this seed."""
    collects = gc.isenabled()
    gc.disable()  # what a killed process left behind must not be cleared away in the middle
    try:
        loop = Loop()
        with virtual_time(loop):
            world = World(seed, loop, say=say)
            kind = _live(world)
    finally:
        if collects:
            gc.enable()
    sent = sum(len(viewer.sent) for viewer in world.viewers)
    return Outcome(
        seed, world.judge.wrong, dict(world.counts), sent, world.judge.acks, world.now,
        world.hash.hexdigest(), world.story, kind,
    )  # fmt: skip


def _live(world):
    rng = world.rng
    kind = rng.choices(["calm", "within", "clock", "beyond"], [2, 9, 1, 8])[0]
    end_s, times = faults.plan(world, kind)
    world.say("%s, window %d, ends at %.1f", kind, world.event.window, end_s)
    for number in range(rng.randint(2, 8)):
        tabs = 2 if rng.random() < 0.1 else 1
        for _ in range(tabs):
            stream = rng.choice(world.event.streams).id
            viewer = Viewer(world, f"viewer-{number:04}", stream, tabs=tabs > 1)
            world.viewers.append(viewer)
            if kind == "clock":
                viewer.begin(times[0] - rng.uniform(1, 5), times[0] + rng.uniform(0, 4))
            else:
                viewer.begin(_arrival_s(rng, end_s, times), end_s + 3)
    notary = world.notary
    course = world.judge.ledger.course
    world.at(1.0, notary.ask, "open", lambda: course.first is not None)
    world.at(end_s, notary.ask, "close", lambda: course.close is not None)
    world.at(1.0, world.judge.look_on)
    last_s = end_s + world.event.window + 3 * HOLD_S + 10
    now = 0.0
    while now < last_s and not world.judge.wrong:
        now += 1.0
        try:
            world.loop.run(now)
        except StuckError as error:
            world.judge.violation(f"stuck: {error}")
        if course.claim is not None and now > end_s + world.event.window + HOLD_S + 3:
            break
    world.judge.close()
    return kind


def _arrival_s(rng, end_s, times):
    """When somebody comes: at any time, or while something goes wrong."""
    if times and rng.random() < 0.5:
        return max(0.5, rng.choice(times) + rng.uniform(-2.5, 1.5))
    return rng.uniform(0.5, end_s * 0.5)
