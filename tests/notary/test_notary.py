"""notary: arms, drains, counts, archives, publishes; what the store does to it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError

from streamcount.core.body import REGISTRATION
from streamcount.core.bucket import ON_STREAM, SealedTick
from streamcount.core.entries import EpochEntry, GapEntry, TickEntry, decode
from streamcount.core.event import ActRefusedError
from streamcount.core.fields import EventError
from streamcount.evidence.bundle import export
from streamcount.evidence.verify import verify
from streamcount.notary.drain import DisagreementError, Journal, make_body
from streamcount.notary.events import Events
from streamcount.notary.publish import Desk
from streamcount.notary.reading import ArchiveReader
from streamcount.store.directory import Directory
from tests.stack import Stack

LESSON = {"id": "lesson", "title": {"en": "A lesson"}, "window": 7, "interval": 1}


def entries(notary, kind):
    reader = ArchiveReader(notary.archive.folder)
    found = [decode(frame.entry) for frame in reader.frames(0, reader.refresh().size)]
    return [entry for entry in found if isinstance(entry, kind)]


def holds(notary, folder):
    reader = ArchiveReader(notary.archive.folder)
    export(reader, folder / "pack.zip")
    report = verify(folder / "pack.zip", key=reader.signer.verifier.vkey())
    assert report.wrong is None
    return report


async def hear_acks(talk, acks, seconds):
    """Keep the tick of every ack that comes in so many seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                answer = await talk.hear()
                if answer["type"] == "ack":
                    acks.append(answer["tick"])


class Acks(list):
    """The ticks acknowledged to a viewer; how many heartbeats that viewer sent, and over how many seconds."""

    sent = 0
    seconds = 0.0


async def beat_until(talk, stop, acks):
    """Send a heartbeat a second and keep every ack, until told to stop and all are there."""
    began = time.monotonic()
    while not stop.is_set():
        acks.sent += 1
        await talk.beat(acks.sent)
        await hear_acks(talk, acks, 1)
    acks.seconds = time.monotonic() - began
    # Who is silent for long is told to go: what is not answered then never will be.
    with contextlib.suppress(ConnectionClosedError):
        while len(acks) < acks.sent and time.monotonic() - began < acks.seconds + 60:
            await hear_acks(talk, acks, 0.2)


async def watched(stack, seconds, meanwhile):
    """One viewer watches while something happens; returns the ticks acknowledged to them."""
    stop, acks = asyncio.Event(), Acks()
    async with stack.viewer() as talk:
        beating = asyncio.create_task(beat_until(talk, stop, acks))
        await asyncio.sleep(3)
        await meanwhile()
        await asyncio.sleep(seconds)
        stop.set()
        await beating
    return acks


async def killed(stack, notary):
    """What kill -9 comes to, between two steps: nothing is told to anybody, the lock is free."""
    tasks = [stack.tasks[0], *stack.events._tasks.values()]
    async with notary.acts.turn:
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    notary.archive.close()


@contextlib.asynccontextmanager
async def store_hangs(stack):
    """Nobody is answered by the store for as long as this lasts."""
    process = (await stack.client.info("server"))["process_id"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def presences(notary):
    return {entry.tick for entry in entries(notary, TickEntry) if entry.present}


async def test_a_store_that_loses_everything_is_armed_again_and_nothing_heard_is_lost(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path) as stack:
        notary = await stack.open_event()
        acks = await watched(stack, 5, stack.client.flushall)
        await stack.close_event()
        assert set(acks) == presences(notary)
        assert max(acks) - min(acks) >= 7
        assert len(acks) >= acks.sent - 1
        assert [e.reason for e in entries(notary, EpochEntry)] == ["open", "store lost its epoch"]
        assert {gap.kind for gap in entries(notary, GapEntry)} <= {"lag"}
        assert holds(notary, tmp_path).as_dict()["peak"] == 1


async def test_a_notary_that_is_started_again_goes_on_where_the_archive_ends(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        first = await stack.open_event()

        async def again():
            await killed(stack, first)
            stack.events = Events(stack.settings, stack.buckets_of, Directory(stack.client))
            stack.events.load()
            stack.desk = Desk(stack.events)
            stack.tasks[0] = asyncio.create_task(stack.events.run())

        acks = await watched(stack, 5, again)
        await stack.close_event()
        notary = stack.events.notaries["lesson"]
        assert set(acks) == presences(notary)
        assert len(acks) >= acks.sent - 1
        assert [e.reason for e in entries(notary, EpochEntry)] == ["open", "notary started"]
        assert holds(notary, tmp_path).as_dict()["peak"] == 1


async def test_while_the_store_is_away_live_is_uncertain_and_nothing_new_is_published(
    valkey, tmp_path
):
    # For the test's own client, too; but not for as little as a machine that is busy may take.
    deadlines = {"store_deadline_s": 1.0, "notary_deadline_s": 1.0}
    async with Stack(valkey, tmp_path, **deadlines) as stack:
        notary = await stack.open_event()
        holding = stack.gateway.holdings["lesson"]

        async def away():
            async with store_hangs(stack):
                await stack.until(lambda: holding.cut_off and notary.health.trouble)
                archived = notary.course.next_tick
                await asyncio.sleep(1.5)
                assert holding.uncertain(time.monotonic_ns() // 1000)
                assert notary.course.next_tick == archived

        acks = await watched(stack, 4, away)
        assert set(acks) == presences(notary)
        assert len(acks) >= acks.sent - 1


async def test_a_worker_that_dies_and_is_started_again_leaves_a_gap_and_holds_nobody_up(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, hold_s=54) as stack:
        notary = await stack.open_event()
        worker = stack.workers[0][0]
        await asyncio.sleep(1.5)
        worker._stop_delivering("lesson")
        await asyncio.sleep(2.5)
        await stack.add_worker("node-0", "second-life")
        now = notary.now_us() // 1_000_000
        # Long before the hold is over.
        await stack.until(lambda: notary.course.next_tick > now, 40)
        (gap,) = [gap for gap in entries(notary, GapEntry) if gap.kind == "loss"]
        assert gap.reason == "node node-0 restarted"
        assert gap.last >= gap.first


async def test_a_worker_that_stays_silent_loses_its_membership_after_the_hold(valkey, tmp_path):
    async with Stack(valkey, tmp_path, workers=2, hold_s=5) as stack:
        notary = await stack.open_event()
        await asyncio.sleep(1)
        stack.workers[1][0]._stop_delivering("lesson")
        await stack.until(lambda: any(gap.kind == "loss" for gap in notary.course.gaps))
        (gap,) = [gap for gap in notary.course.gaps if gap.kind == "loss"]
        assert gap.reason == "node node-1 silent"
        now = notary.now_us() // 1_000_000
        await stack.until(lambda: notary.course.next_tick > now)


# --- Operators' acts ---


async def test_what_an_operator_cannot_do_now_is_refused_with_the_reason(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        await stack.desk.create(LESSON)
        with pytest.raises(ActRefusedError, match="already; ids are never used twice"):
            await stack.desk.create(LESSON)
        with pytest.raises(EventError, match="event.window"):
            await stack.desk.create(LESSON | {"id": "other", "window": 3})
        with pytest.raises(ActRefusedError, match="not open"):
            await stack.desk.close("lesson")
        with pytest.raises(ActRefusedError, match="too soon"):
            await stack.desk.open("lesson", 5)
        with pytest.raises(ActRefusedError, match="no event"):
            await stack.desk.open("none", None)
        later = int(time.time()) + 5
        assert await stack.desk.open("lesson", later) == later
        with pytest.raises(ActRefusedError, match="opened already"):
            await stack.desk.open("lesson", None)
        notary = stack.events.notaries["lesson"]
        await stack.until(lambda: notary.clock.ready)
        close = await stack.desk.close("lesson")
        assert close >= later
        with pytest.raises(ActRefusedError, match="closed already"):
            await stack.desk.close("lesson")
        await stack.until(lambda: notary.course.claim is not None)
        assert notary.course.claim.first == later
        assert notary.course.claim.last == close
        assert notary.stage == "final"


async def test_nothing_is_opened_while_the_store_does_not_answer(valkey, tmp_path):
    async with Stack(valkey, tmp_path, arm_deadline_s=1.0) as stack:
        await stack.desk.create(LESSON)
        async with store_hangs(stack):
            with pytest.raises(ActRefusedError, match="nothing was opened"):
                await stack.desk.open("lesson", None)
            assert stack.events.notaries["lesson"].course.first is None
        first = None
        async with asyncio.timeout(120):
            while first is None:
                with contextlib.suppress(ActRefusedError):
                    first = await stack.desk.open("lesson", None)
        assert stack.events.notaries["lesson"].course.first == first


async def test_an_archive_that_cannot_be_used_stops_its_own_event_only(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        await stack.desk.create(LESSON)
    segment = tmp_path / "events" / "lesson" / "segment"
    segment.write_bytes(segment.read_bytes()[:-1] + b"!")
    async with Stack(valkey, tmp_path) as stack:
        assert "damaged at offset 0" in stack.events.broken["lesson"]
        (line,) = stack.desk.summaries()
        assert (line["id"], line["stage"]) == ("lesson", "broken")
        await stack.open_event("another")
        with pytest.raises(ActRefusedError, match="never used twice"):
            await stack.desk.create(LESSON)


async def test_a_store_that_contradicts_the_archive_stops_the_event_and_no_other(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        notary = await stack.open_event()
        other = await stack.open_event("another")
        tag = notary.listed().tag
        await stack.client.rpush(f"sc:{{{tag}}}:journal", b"r7 " + bytes(18))
        await stack.until(lambda: notary.health.trouble.startswith("stopped"))
        assert "registers index 7 where the archive is at 0" in notary.health.trouble
        archived = notary.course.next_tick
        later = other.course.next_tick + 2
        await stack.until(lambda: other.course.next_tick >= later)
        assert notary.course.next_tick == archived


# --- From the store's bytes to a body ---


def sealed(presence=b"", breaks=b"", streams=b""):
    return SealedTick(5, presence, breaks, streams, [])


def body(tick, viewers=10, new=0, streams=3):
    registrations = np.zeros(new, REGISTRATION)
    return make_body(tick, registrations, np.zeros(viewers, np.uint16), streams)


def on(*pairs):
    return np.array(list(pairs), ON_STREAM).tobytes()


def test_a_shorter_bitmap_is_padded_and_presence_wins_over_a_break():
    found = body(sealed(b"\x80", b"\xc0"))
    assert found.presence.tolist() == [0x80, 0]
    assert found.breaks.tolist() == [0x40, 0]


def test_the_stream_told_last_counts_and_only_for_viewers_who_are_present():
    found = body(sealed(b"\xe0", streams=on((0, 1), (1, 2), (0, 2), (2, 0), (9, 1))))
    assert [tuple(map(int, move)) for move in found.moves] == [(0, 2), (1, 2)]


@pytest.mark.parametrize(
    "tick",
    [
        sealed(b"\x00\x20"), sealed(b"", b"\x00\x00\x01"), sealed(b"\x00\x00\x01"), sealed(streams=b"x"),
        sealed(streams=on((10, 0))), sealed(streams=on((0, 3))),
    ],
)  # fmt: skip
def test_what_nobody_registered_could_have_sent_is_a_disagreement(tick):
    with pytest.raises(DisagreementError):
        body(tick)


def test_trailing_zeros_beyond_the_registry_are_no_disagreement():
    assert body(sealed(b"\x80\x00\x00\x00")).presence.tolist() == [0x80, 0]


@pytest.mark.parametrize(
    "item",
    [
        b"r1 " + bytes(18),
        b"r0 " + bytes(17),
        b"rx ",
        b"",
        b"l1 2 why",
        b"lx 2 why node",
        b"\xff\xff",
    ],
)
def test_a_journal_entry_that_is_none_is_a_disagreement(item):
    with pytest.raises(DisagreementError):
        Journal(0).take([item])


def test_gaps_before_the_event_are_left_out_and_those_across_its_first_tick_cut():
    journal = Journal(0)
    journal.take([b"l1 4 silent a", b"l3 7 restarted b b", b"l9 9 silent c"])
    assert [(gap.reason, gap.first, gap.last) for gap in journal.gaps(5)] == [
        ("node b b restarted", 5, 7),
        ("node c silent", 9, 9),
    ]
    assert journal.gaps(5) == []


async def test_a_copy_beside_an_event_is_never_counted_on(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        notary = await stack.open_event()
        async with notary.acts.turn:  # not while it is written
            shutil.copytree(tmp_path / "events" / "lesson", tmp_path / "events" / "lesson.bak")
    async with Stack(valkey, tmp_path) as stack:
        assert list(stack.events.notaries) == ["lesson"]
        assert "in a folder of another name" in stack.events.broken["lesson.bak"]
        assert stack.events.notaries["lesson"].archive.folder.name == "lesson"
