"""embed/client and embed/beacons: the Python viewers, against the whole service."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import textwrap
import time
from importlib.resources import files

import pytest

import streamcount
from streamcount.core import beacon as beacons
from streamcount.core.presence import proven_ticks
from streamcount.embed import beacons as posting
from streamcount.embed import client
from streamcount.embed.beacons import BeaconViewer
from streamcount.embed.client import Viewer
from tests.stack import Stack


@pytest.fixture
async def stack(valkey, tmp_path):
    async with Stack(valkey, tmp_path, workers=2) as running:
        yield running


def address(stack):
    return f"http://127.0.0.1:{stack.settings.public_port}{beacons.PATH}"


@contextlib.asynccontextmanager
async def watching(viewer):
    task = asyncio.create_task(viewer.run())
    try:
        yield viewer
    finally:
        viewer.drop()
        await asyncio.wait_for(task, 60)


def presences(notary):
    rows = notary.timeline.rows(0, 1000)
    return [rows["first"] + at for at, present in enumerate(rows["present"]) if present]


@pytest.mark.parametrize("module", [client, posting])
async def test_the_example_in_the_head_counts_a_viewer(stack, module):
    notary = await stack.open_event()
    source = re.search(r"( {4}async def main\(\):\n(?: {8}.*\n)+)", module.__doc__ + "\n")[1]
    source = textwrap.dedent(source)
    assert source.count("127.0.0.1:8080") == source.count("sleep(60)") == 1
    source = source.replace("127.0.0.1:8080", f"127.0.0.1:{stack.settings.public_port}")

    async def watched():
        await stack.until(lambda: len(presences(notary)) >= 3)

    scope = {"asyncio": asyncio, "Viewer": Viewer, "BeaconViewer": BeaconViewer, "watched": watched}
    exec(source.replace("asyncio.sleep(60)", "watched()"), scope)
    await asyncio.wait_for(scope["main"](), 120)
    await stack.close_event()
    assert notary.course.viewers == 1
    assert notary.course.claim.net.peak == 1
    # It says goodbye; in the second of a presence that is no break in the evidence.
    assert sum(worker.gateway.outcomes.breaks for worker, _ in stack.workers) >= 1


async def test_every_acknowledged_heartbeat_is_in_the_evidence_and_proves(stack):
    notary = await stack.open_event()
    told = []
    viewer = BeaconViewer(
        address(stack),
        event="lesson",
        viewer="viewer-0001",
        on_ack=lambda seq, state, answer: told.append((seq, state, answer["tick"])),
    )
    async with watching(viewer):
        viewer.play()
        await stack.until(lambda: len({tick for _, _, tick in told}) >= 5)
        assert await viewer.leave()
    close = await stack.close_event()
    assert viewer.connects == 1
    ticks = {tick for _, state, tick in told if state == "playing"}
    left = {tick for _, state, tick in told if state == "bye"}
    here = set(presences(notary))
    assert (len(ticks) >= 5, ticks <= here, len(left)) == (True, True, 1)
    assert ticks == here or viewer.unanswered  # of what had no answer, nobody knows
    proven = proven_ticks(here, left, notary.event.window)
    rows = notary.timeline.rows(min(here), close - min(here) + 1)
    assert proven
    assert {min(here) + at for at, count in enumerate(rows["proven"]) if count} == proven


async def test_after_a_pause_it_plays_once_a_break_is_acknowledged_late_enough(valkey, tmp_path):
    async with Stack(valkey, tmp_path, workers=2, beacon_age_s=2) as stack:
        notary = await stack.open_event(window=15)
        told, noted = [], []
        viewer = BeaconViewer(
            address(stack),
            event="lesson",
            viewer="viewer-0001",
            on_ack=lambda seq, state, answer: told.append((state, answer["tick"])),
            on_noted=lambda seq, state, answer: noted.append(answer["why"]),
        )
        async with watching(viewer):
            viewer.play()
            await stack.until(lambda: len(told) >= 2)
            played_ms = viewer._proofs[0]._played_ms
            viewer.pause()
            await asyncio.sleep(0.4)
            viewer.play()
            await stack.until(lambda: "paused" in [state for state, _ in told])
            paused = len(told)
            await stack.until(lambda: [s for s, _ in told[paused:]].count("playing") >= 2)
        await stack.close_event()
        breaks = [t for state, t in told if state == "paused"]
        before = max(t for state, t in told if state == "playing" and t <= min(breaks))
        after = min(t for state, t in told if state == "playing" and t > before)
        assert any(before < t < after and t * 1000 > played_ms + 2_000 for t in breaks)
        rows = notary.timeline.rows(before, after - before)
        assert rows["proven"] == [0] * (after - before)
        assert set(noted) <= {"no-presence", "too-old"}  # on a machine that is busy


class Unheard(BeaconViewer):
    """A viewer whose requests are lost, at times that a test sets; `said` is what was in them."""

    def __init__(self):
        super().__init__("http://nowhere.example", event="lesson", viewer="viewer-0001")
        self.said, self.second = [], 0
        for proof in self._proofs:
            proof.age_max_s, proof.window_s = 5.0, 30

    def _time_ms(self):
        return 1_795_000_000_000 + 1000 * self.second

    async def _ask(self, what):
        self.said += what["heartbeats"]
        return False

    async def say(self, second, state, *, visible=True):
        """What is sent then; None when nothing is."""
        self.second, self.state, self.visible = second, state, visible
        before = len(self.said)
        self._say()
        await asyncio.gather(*self._under_way)
        return self.said[-1]["state"] if len(self.said) > before else None

    async def hear(self, second):
        """The latest that was sent was archived then, and its answer comes."""
        seq = self.said[-1]["seq"]
        {"playing": self._hidden.add}.get(self.said[-1]["state"], self._break_again)(seq)
        self._take({"type": "ack", "seq": seq, "tick": 1_795_000_000 + second, "late": 0})

    def _break_again(self, seq):
        self._breaks[seq] = self._time_ms()


async def test_a_hidden_page_may_count_so_it_waits_for_its_break_too():
    viewer = Unheard()
    assert await viewer.say(0, "playing") == "playing"
    assert await viewer.say(12, "paused") == "paused"  # and is lost
    assert await viewer.say(14, "playing", visible=False) == "paused"
    await viewer.hear(14)
    assert await viewer.say(16, "playing", visible=False) == "playing"


async def test_what_was_played_hidden_may_come_after_the_break_of_a_pause():
    viewer = Unheard()
    assert await viewer.say(0, "playing") == "playing"
    assert await viewer.say(10, "playing", visible=False) == "playing"  # and comes at 14
    assert await viewer.say(12, "paused") == "paused"
    await viewer.hear(12)
    assert await viewer.say(13, "playing") is None
    assert await viewer.say(16, "playing") == "paused"
    await viewer.hear(16)
    assert await viewer.say(18, "playing") == "playing"


async def test_a_hidden_page_may_break_so_its_acknowledgement_is_one_of_a_break():
    viewer = Unheard()
    assert await viewer.say(0, "playing") == "playing"
    assert await viewer.say(10, "playing", visible=False) == "playing"  # and is lost
    assert await viewer.say(20, "playing") == "paused"
    await viewer.hear(20)
    assert await viewer.say(22, "playing") == "playing"
    assert await viewer.say(32, "playing", visible=False) == "playing"
    await viewer.hear(38)
    assert await viewer.say(40, "playing") == "playing"


@pytest.mark.parametrize(
    ("change", "policy", "code"),
    [
        ({"event": "other"}, {}, 4404),
        ({"stream": "other"}, {}, 4404),
        ({"viewer": "x"}, {}, 4400),
        ({}, {"origins": ["https://school.example"]}, 4403),
    ],
)
async def test_it_ends_when_there_is_nothing_to_come_back_for(stack, change, policy, code):
    await stack.open_event(policy=policy)
    viewer = BeaconViewer(address(stack), **({"event": "lesson", "viewer": "viewer-0001"} | change))
    await asyncio.wait_for(viewer.run(), 60)
    assert viewer.closed_with == code
    assert not await viewer.leave()


@pytest.mark.parametrize("kind", [Viewer, BeaconViewer])
async def test_where_the_event_counts_no_apps_it_says_of_what_origin_it_is(stack, kind):
    await stack.open_event(policy={"origins": ["https://school.example"]})
    url = stack.url if kind is Viewer else address(stack)
    viewer = kind(url, event="lesson", viewer="viewer-0001", origin="https://school.example")
    async with watching(viewer):
        viewer.play()
        await stack.until(lambda: viewer.last_ack is not None)


async def test_it_ends_when_the_event_does(stack):
    await stack.open_event()
    viewer = BeaconViewer(address(stack), event="lesson", viewer="viewer-0001")
    viewer.play()
    task = asyncio.create_task(viewer.run())
    await stack.until(lambda: viewer.last_ack is not None)
    await stack.close_event()
    await asyncio.wait_for(task, 60)
    assert viewer.closed_with == 4409


async def test_it_waits_for_a_server_that_is_not_there_yet(stack):
    notary = await stack.open_event()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and never listens
        nobody = f"http://127.0.0.1:{held.getsockname()[1]}{beacons.PATH}"
        viewer = BeaconViewer(nobody, event="lesson", viewer="viewer-0001")
        async with watching(viewer):
            viewer.play()
            await asyncio.sleep(1)
            assert viewer.welcome is None
            viewer.url = address(stack)
            await stack.until(lambda: viewer.last_ack is not None)
    assert notary.course.viewers == 1


async def test_too_fast_it_waits_as_long_as_it_is_asked_to_and_goes_on(valkey, tmp_path):
    limits = {"messages_per_interval": 2, "messages_burst": 2}
    async with Stack(valkey, tmp_path, **limits) as stack:
        notary = await stack.open_event()
        viewer = BeaconViewer(address(stack), event="lesson", viewer="viewer-0001")
        async with watching(viewer):
            refused = stack.gateway.outcomes.beacons
            end = time.monotonic() + 60
            while 429 not in refused:
                assert time.monotonic() < end
                viewer.play()
                await asyncio.sleep(0.01)
            assert viewer.closed_with is None
            seen = len(presences(notary))
            await stack.until(lambda: len(presences(notary)) > seen)
        assert viewer.unanswered


def test_the_package_says_that_it_is_typed():
    """PEP 561; mypy --strict holds what it says."""
    assert (files(streamcount) / "py.typed").is_file()
