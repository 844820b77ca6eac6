"""notary/degraded: what is logged when the clock is set, when nobody knows who counts, when numbers are late.

A store's clock cannot be set here without setting everybody's, so the offset between it and event time is
changed behind the notary's back; to scripts, workers and notary that is the same. tests/faults steps a real
one.
"""

from __future__ import annotations

import asyncio
import shutil

import pytest

from streamcount.core.course import Course
from streamcount.core.entries import EndEntry, EpochEntry, EventEntry, GapEntry, TickEntry
from streamcount.notary import degraded
from streamcount.notary.degraded import SECOND_US, Doubt
from streamcount.notary.disk import Disk
from streamcount.notary.events import Events
from streamcount.notary.members import MembersHint
from streamcount.store.directory import Directory
from tests.evidence.logs import FIRST, definition
from tests.notary.test_notary import entries, holds, presences, watched
from tests.stack import Stack


def course(ticks, *, close=None):
    made = Course()
    made.take(EventEntry(definition(), "f", "k", "o", "s", bytes(32), bytes(32)))
    made.take(EpochEntry(1, FIRST, 0, "open", "run"))
    for tick in range(FIRST, FIRST + ticks):
        made.take(TickEntry(tick, 1, *[0] * 7, (), 0, 0, 0, 0, 0, bytes(32)))
    if close is not None:
        made.take(EndEntry(close))
    return made


@pytest.mark.parametrize(
    ("expected_s", "server_s", "offset_s"),
    [
        (None, FIRST + 10, 0),  # nothing known: as before
        (FIRST + 10, FIRST + 10, 0),
        (FIRST + 10.2, FIRST + 10, 0),  # within what clocks do
        (FIRST + 10, FIRST + 90, -80),  # set forward: event time goes on
        (FIRST + 10, FIRST - 90, 100),
        (None, FIRST - 90, 95),  # set back while nobody watched: never before the next tick
    ],
)
def test_event_time_goes_on_under_the_next_offset(expected_s, server_s, offset_s):
    expected_us = None if expected_s is None else (round(expected_s * SECOND_US),) * 2
    found = degraded.next_offset_us(course(5), 0, server_s * SECOND_US, expected_us)
    assert found == offset_s * SECOND_US


def test_before_the_first_tick_a_clock_may_be_anything():
    assert degraded.next_offset_us(course(0), 0, 5 * SECOND_US, None) == 0
    assert degraded.step_gap(course(0), (FIRST - 9) * SECOND_US, 5 * SECOND_US) is None
    assert degraded.arming_gaps(course(0), 0, workers_unknown=True, set_back=True) == []


def test_a_step_takes_a_window_of_ticks_before_it_out_of_the_peak():
    made = course(20)
    gap = degraded.step_gap(made, (FIRST + 21) * SECOND_US, -90 * SECOND_US)
    assert gap == GapEntry(
        "clock", "the store's clock stepped by -90.000 s", FIRST + 20 - 11, FIRST + 22
    )
    made.take(gap)
    early = degraded.step_gap(course(3), (FIRST + 4) * SECOND_US, SECOND_US)
    assert (early.first, early.last) == (FIRST, FIRST + 5 + 11)


def test_what_is_said_when_arming():
    made, now_us = course(20), (FIRST + 27) * SECOND_US
    gaps = degraded.arming_gaps(made, now_us, workers_unknown=True, set_back=True)
    assert [(gap.kind, gap.first - FIRST, gap.last - FIRST) for gap in gaps] == [
        ("loss", 20, 27),
        ("clock", 9, 38),
    ]
    for gap in gaps:
        made.take(gap)
    assert degraded.arming_gaps(made, now_us, workers_unknown=False, set_back=False) == []


def test_doubt_is_logged_once_it_is_over_with_its_first_reason():
    doubt = Doubt()
    doubt.begin(course(5), "the disk is full")
    doubt.begin(course(7), "another")
    assert doubt.end(course(9)) == [GapEntry("lag", "the disk is full", FIRST + 5, FIRST + 8)]
    assert doubt.end(course(9)) == []
    doubt.begin(course(9), "for no whole tick")
    assert doubt.end(course(9)) == []
    assert doubt.end(course(10)) == [GapEntry("lag", "for no whole tick", FIRST + 9, FIRST + 9)]


# --- With a real store ----------------------------------------------------------------------------


async def step(stack, notary, seconds):
    """Set the store's clock, as far as anybody can tell."""
    key = f"sc:{{{notary.listed().tag}}}:meta"
    await stack.client.hincrby(key, "offset_us", round(seconds * SECOND_US))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [-120, -0.7, 0.7, 3, 120])
async def test_a_clock_that_is_set_loses_nothing_and_cannot_make_a_peak(valkey, tmp_path, seconds):
    async with Stack(valkey, tmp_path, hold_s=8) as stack:
        notary = await stack.open_event()
        acks = await watched(stack, 6, lambda: step(stack, notary, seconds))
        (gap,) = [gap for gap in entries(notary, GapEntry) if gap.kind == "clock"]
        assert gap.reason.startswith("the store's clock stepped by")
        assert gap.reason[29] == "-+"[seconds > 0]
        assert not [gap for gap in entries(notary, GapEntry) if gap.kind == "loss"]
        assert set(acks) == presences(notary)
        assert len(acks) >= acks.sent - 2
        assert max(acks) - min(acks) < acks.seconds + 2  # event time went on as time does
        await stack.close_event()
        holds(notary, tmp_path)
        rows = notary.timeline.rows(0, 1000)
        known = [count for count in rows["proven"] if count is not None]
        proven = {rows["first"] + n: count for n, count in enumerate(known)}
        sure = [count for t, count in proven.items() if not gap.first <= t <= gap.last]
        counted = max(sure, default=0)
        assert notary.course.peak.count == counted
        # After a step ahead a whole window more is in doubt: longer than anybody watches, unless the machine is slow.
        assert counted == (1 if seconds < 0 or max(acks) > gap.last + 1 else 0)
        assert max(proven.values()) == 1
        assert not counted or not gap.first <= notary.course.peak.first <= gap.last


@pytest.mark.slow
async def test_an_older_copy_of_the_archive_is_refused_and_the_newest_goes_on(valkey, tmp_path):
    data, old = tmp_path / "data", tmp_path / "old"
    async with Stack(valkey, data) as stack:
        notary = await stack.open_event()
        await stack.until(lambda: (notary.course.last or 0) > 0)
        await watched(stack, 1, lambda: asyncio.sleep(0))
        async with notary.acts.turn:  # not while it is written
            shutil.copytree(data / "events", old)
        await watched(stack, 1, lambda: asyncio.sleep(0))
        newest = notary.course.last
    shutil.move(data / "events", tmp_path / "new")
    shutil.copytree(old, data / "events")
    async with Stack(valkey, data, flush=False) as stack:
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: notary.health.trouble)
        assert "this is an older copy" in notary.health.trouble
        assert notary.course.last < newest
        assert notary.uncertain()
    shutil.rmtree(data / "events")
    shutil.move(tmp_path / "new", data / "events")
    async with Stack(valkey, data, flush=False) as stack:
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: notary.course.last > newest)
        await stack.close_event()
        holds(notary, tmp_path)


@pytest.mark.parametrize("hint", [True, False])
async def test_when_everything_is_lost_at_once_the_log_says_what_may_be_missing(
    valkey, tmp_path, hint
):
    async with Stack(valkey, tmp_path, hold_s=2) as stack:
        notary = await stack.open_event()
        file = tmp_path / "events" / "lesson" / "members"
        await stack.until(lambda: notary.course.last is not None and file.exists())
        last = notary.course.last
    assert file.read_text() == "node-0 boot-0\n"
    if not hint:
        file.unlink()
    await asyncio.sleep(2)
    async with Stack(valkey, tmp_path, workers=0, hold_s=5) as stack:
        await stack.add_worker("node-0", "boot-1")
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: [gap for gap in notary.course.gaps if gap.kind == "loss"])
        (gap,) = [gap for gap in notary.course.gaps if gap.kind == "loss"]
        assert gap.reason == (
            "node node-0 restarted" if hint else "restarted without knowing who counts"
        )
        assert (gap.first, gap.last >= last + 2) == (last + 1, True)


async def test_a_worker_that_outlives_store_and_notary_loses_nothing_and_no_gap_says_so(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, hold_s=12) as stack:
        notary = await stack.open_event()

        async def lose_both():
            key = f"sc:{{{notary.listed().tag}}}:meta"
            stack.tasks[0].cancel()
            await asyncio.gather(stack.tasks.pop(0), return_exceptions=True)
            await stack.events.close()
            await stack.client.delete(key, key.replace("meta", "members"))
            stack.events = Events(stack.settings, stack.buckets_of, Directory(stack.client))
            stack.events.load()
            stack.tasks.append(asyncio.create_task(stack.events.run()))

        acks = await watched(stack, 3, lose_both)
        notary = stack.events.notaries["lesson"]
        assert set(acks) == presences(notary)
        assert len(acks) >= acks.sent - 1
        assert not [gap for gap in notary.course.gaps if gap.kind == "loss"]


@pytest.mark.parametrize("text", ["", "a b\nc d\n", "no life\nx\n", "a b c\n", "\xff", None])
def test_a_hint_is_members_or_none(tmp_path, text):
    hint = MembersHint(tmp_path, Disk(), 2)
    if text is not None:
        (tmp_path / "members").write_bytes(text.encode("latin-1"))
    good = {"": {}, "a b\nc d\n": {"a": "b 0", "c": "d 0"}}
    assert hint.recall() == good.get(text)
    members = [{"a": "x 5", "b": "lost 7"}, {"c": "y 5", "a": "x 6"}]
    assert hint.differs(members)
    hint.remember(members)
    assert not hint.differs(members)
    assert MembersHint(tmp_path, Disk(), 2).recall() == {"a": "x 0", "c": "y 0"}
