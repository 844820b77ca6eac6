"""notary, store and workers together, while the store or the disk is away for a while."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import time

import pytest

from streamcount.core.entries import EndEntry, GapEntry, TickEntry
from streamcount.embed.client import Viewer
from streamcount.notary.archive import Archive
from streamcount.notary.reading import ArchiveError
from streamcount.store import embedded
from tests.conftest import wait_for_valkey
from tests.notary.test_notary import entries, holds
from tests.stack import Stack

pytestmark = pytest.mark.slow


class Killable:
    """A Valkey to be killed and started again."""

    def __init__(self):
        self.folder = embedded.make_folder()
        self.url = f"unix://{embedded.socket_path(self.folder)}"

    def start(self):
        embedded.socket_path(self.folder).unlink(missing_ok=True)
        arguments = embedded.server_arguments(self.folder)
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def killable():
    running = Killable()
    running.start()
    wait_for_valkey(running.url)
    yield running
    running.kill()


async def beating(talk, sent, acked, stop):
    """A heartbeat a second; keeps what was sent and what was acknowledged."""

    async def hear():
        while True:
            answer = await talk.hear(60)
            if answer["type"] == "ack":
                acked.append(answer["seq"])

    hearing = asyncio.create_task(hear())
    while not stop.is_set():
        sent.append(len(sent) + 1)
        await talk.beat(sent[-1])
        await asyncio.sleep(1)
    end = time.monotonic() + 60
    while len(acked) < len(sent) and time.monotonic() < end and not hearing.done():  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


@pytest.mark.parametrize("outage_s", [2.0, 5.5])
async def test_an_outage_shorter_than_the_hold_loses_nothing_at_any_worker(
    killable, tmp_path, outage_s
):
    """As long as the workers hold, the age of the oldest tick is no reason to give anybody up.

    With the lag the oldest is older than the hold; a store that is slow to start has 2.5 s for that.
    """
    async with Stack(killable.url, tmp_path, workers=2, hold_s=8, seal_lag_s=3.0) as stack:
        notary = await stack.open_event()
        stop = asyncio.Event()
        kept = [([], []), ([], [])]
        async with stack.viewer("viewer-0001") as one, stack.viewer("viewer-0002") as two:
            running = [
                asyncio.create_task(beating(talk, *lists, stop))
                for talk, lists in zip((one, two), kept, strict=True)
            ]
            await asyncio.sleep(3)
            killable.kill()
            await asyncio.sleep(outage_s)
            killable.start()
            await asyncio.sleep(4)
            stop.set()
            await asyncio.gather(*running)
        for sent, acked in kept:
            assert acked == sent
        assert {gap.kind for gap in entries(notary, GapEntry)} <= {"lag"}
        await stack.close_event()
        holds(notary, tmp_path)


async def test_before_the_first_tick_a_lost_store_does_not_move_event_time(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        plain = {"id": "later", "title": {"en": "x"}, "window": 7, "interval": 1}
        await stack.desk.create(plain)
        await stack.desk.open("later", int(time.time()) + 3600)
        notary = stack.events.notaries["later"]
        await stack.until(lambda: notary.health.epochs == 1)
        await stack.client.flushall()
        await stack.until(lambda: notary.health.epochs == 2)
        await stack.until(lambda: notary.clock.ready)
        await stack.until(lambda: "later" in stack.gateway.holdings)
        assert abs(notary.now_us() / 1e6 - time.time()) < 2
        await stack.until(lambda: stack.gateway.holdings["later"].closed_because == "not-open")


async def test_a_failed_write_in_an_operators_act_ends_the_notary_and_harms_nothing(
    valkey, tmp_path, monkeypatch
):
    async with Stack(valkey, tmp_path) as stack:
        notary = await stack.open_event()
        real = os.fsync

        def fails(descriptor):
            monkeypatch.setattr(os, "fsync", real)
            raise OSError(errno.EIO, "Input/output error")

        # The loop rests while the operator's append meets the error.
        async with notary.acts.turn:
            monkeypatch.setattr(os, "fsync", fails)
            with pytest.raises(OSError, match="Input/output"):
                notary.archive.append([(EndEntry(2_000_000_000), b"")])
        with pytest.raises(ArchiveError, match="earlier write failed"):
            await asyncio.wait_for(stack.tasks[0], 60)
        with pytest.raises(ArchiveError, match="earlier write failed"):
            await stack.desk.close("lesson")
        size = notary.archive.size
        notary.archive.close()
        again = Archive(notary.archive.folder, lambda window: window)
        assert (again.size, again.restored.course.close) == (size, None)
        again.close()


async def test_a_disk_that_is_slow_at_the_close_does_not_let_later_heartbeats_in(
    valkey, tmp_path, monkeypatch
):
    real = Archive.append

    def slow(self, items):
        if isinstance(items[0][0], EndEntry):
            time.sleep(3.5)
        real(self, items)

    monkeypatch.setattr(Archive, "append", slow)
    async with Stack(valkey, tmp_path) as stack:
        notary = await stack.open_event()
        stop = asyncio.Event()
        async with stack.viewer() as talk:
            running = asyncio.create_task(beating(talk, [], [], stop))
            await asyncio.sleep(2)
            await stack.desk.close("lesson")
            stop.set()
            running.cancel()
        await stack.until(lambda: notary.course.claim is not None)
        assert not stack.tasks[0].done()
        holds(notary, tmp_path)


async def test_a_store_that_hangs_makes_the_numbers_uncertain_and_the_log_says_so(
    killable, tmp_path
):
    async with Stack(killable.url, tmp_path) as stack:
        notary = await stack.open_event()
        await stack.until(lambda: notary.course.last is not None and not notary.uncertain())
        os.kill(killable.process.pid, signal.SIGSTOP)
        try:
            await stack.until(notary.uncertain)
            await asyncio.sleep(1)
        finally:
            os.kill(killable.process.pid, signal.SIGCONT)
        await stack.until(lambda: not notary.uncertain())
        await stack.until(lambda: notary.course.gaps)
        (gap,) = notary.course.gaps
        assert (gap.kind, gap.reason) == ("lag", "the store did not answer")
        assert 1 <= gap.last - gap.first + 1 <= 30


async def test_a_pause_whose_worker_dies_with_it_is_told_again_and_not_counted_through(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, workers=2, hold_s=4) as stack:
        notary = await stack.open_event()
        viewer = Viewer(stack.url, event="lesson", viewer="viewer-0001")
        viewer.play()
        watching = asyncio.create_task(viewer.run())
        await stack.until(lambda: viewer.last_ack is not None)
        (worker,) = [worker for worker, _ in stack.workers if worker.gateway.watching]
        # It hears the pause, and nobody ever hears of that from it.
        worker._stop_delivering("lesson")
        worker._server.close()
        viewer.pause()
        heard = worker.gateway.holdings["lesson"]
        await stack.until(lambda: any(heard._current.breaks) or heard._held)
        for connection in list(worker.gateway.watching):
            connection.abort()
        viewer.play()
        await stack.until(lambda: viewer.connects == 2)
        await stack.until(lambda: (viewer.last_ack or {})["tick"] > heard.tick + 2)
        assert await viewer.leave()
        await watching
        await stack.close_event()
        ticks = entries(notary, TickEntry)
        broke = [entry.tick for entry in ticks if entry.breaks]
        before = [entry.tick for entry in ticks if entry.present and entry.tick < broke[0]]
        after = [entry.tick for entry in ticks if entry.present and entry.tick > broke[0]]
        assert before
        assert after
        # Proven counts stand in the entry of one window later.
        proven = {entry.tick - 7: entry.proven for entry in ticks}
        assert [proven[tick] for tick in range(before[-1], after[0])] == [0] * (
            after[0] - before[-1]
        )
        holds(notary, tmp_path)
