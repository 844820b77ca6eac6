"""Probes: none joins before the log has excluded it, and only what the log has reached is judged."""

from __future__ import annotations

import asyncio
import json

import pytest

from streamcount.cli.follow import _tell_probes, _with_probes
from streamcount.config import FollowLimits
from streamcount.follow import probe as probes
from streamcount.follow.source import RefusedError
from tests.evidence.logs import FIRST, Author, definition, some_event
from tests.follow.shown import showing
from tests.follow.test_following import following

LIMITS = FollowLimits(probe_answer_s=0.2)


@pytest.mark.parametrize(
    ("names", "said"),
    [([bytes(16), b"n" * 16], "did not exclude"), ([bytes(16)] * 2, "not of new viewers")],
)
async def test_no_probe_joins_that_the_log_did_not_exclude(tmp_path, monkeypatch, names, said):
    some_event(tmp_path / "lesson", ticks=5, final=False)
    joined = []

    async def invented(*_):
        return names

    async def play(*arguments):
        joined.append(arguments)

    monkeypatch.setattr(probes, "_play", play)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        await follower.sync()
        monkeypatch.setattr(follower.source, "exclude", invented)
        with pytest.raises(RefusedError, match=said):
            await probes.probe(follower, 2, 1, LIMITS)
    assert joined == []


@pytest.mark.parametrize(
    ("told", "found", "last", "missing", "ahead", "status", "said"),
    [
        ({7, 8, 9}, {7, 8, 9}, 9, [], 0, 0, ""),
        ({7, 8, 9}, {7}, 7, [], 2, 1, "has not reached 2 acknowledged"),
        ({7, 8, 9}, {7}, 8, [8], 1, 4, "1 acknowledged heartbeats are MISSING"),
        (set(), set(), 9, [], 0, 1, "no heartbeat was acknowledged"),
    ],
)
def test_only_what_the_log_has_reached_can_be_missing(
    capsys, told, found, last, missing, ahead, status, said
):
    one = probes.Probe("viewer", bytes(16), told_present=told, present=found)
    watch = probes.Watch([one])
    watch.last = last
    assert (one.missing(last), watch.ahead) == (missing, ahead)
    assert _tell_probes(watch) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert json.loads(shown.out)["not_reached"] == ahead


async def test_a_finding_does_not_end_the_following(tmp_path, monkeypatch):
    """Nor is it lost: it is the exit status once the event is final."""
    author = Author(tmp_path / "lesson", definition())
    author.open()
    author.tick(new=[0], present=[0])
    found = probes.Probe("viewer", bytes(16), told_present={FIRST})
    told = asyncio.Event()

    async def probed(*_):
        watch = probes.Watch([found])
        watch.last = FIRST
        told.set()
        return watch

    monkeypatch.setattr(probes, "probe", probed)
    async with (
        showing(tmp_path / "lesson") as shown,
        following(shown, tmp_path / "copy") as follower,
    ):
        running = asyncio.create_task(_with_probes(follower, 1, 1, LIMITS, once=False))
        await told.wait()
        author.finish()
        assert await asyncio.wait_for(running, 60) == 4
        assert follower.course.claim is not None
