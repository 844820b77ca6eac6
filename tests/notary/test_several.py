"""Several buckets an event, on a real server: counted as one, and shared out anew by another notary."""

from __future__ import annotations

import asyncio

import pytest

from streamcount.core.entries import EpochEntry, GapEntry, TickEntry
from streamcount.notary.events import Events
from streamcount.notary.publish import Desk
from streamcount.store.directory import Directory
from tests.notary.test_notary import Acks, beat_until, entries, holds
from tests.stack import Stack

pytestmark = pytest.mark.slow

VIEWERS = 12


async def watched(stack, meanwhile, seconds):
    """Viewers of two streams watch while something happens; returns the acks of each: tick by tick."""
    stop, acks = asyncio.Event(), [Acks() for _ in range(VIEWERS)]

    async def watch(number):
        stream = ("main", "second")[number % 2]
        async with stack.viewer(f"viewer-{number:04}", stream=stream) as talk:
            await beat_until(talk, stop, acks[number])

    watching = [asyncio.create_task(watch(number)) for number in range(VIEWERS)]
    await asyncio.sleep(2)
    await meanwhile()
    await asyncio.sleep(seconds)
    stop.set()
    await asyncio.gather(*watching)
    return acks


async def begin_again(stack, **change):
    """End the notary and start another one with other settings, on the same archive."""
    stack.tasks[0].cancel()
    await asyncio.gather(stack.tasks[0], return_exceptions=True)
    await stack.events.close()
    stack.settings = stack.settings.model_copy(update=change)
    stack.events = Events(stack.settings, stack.buckets_of, Directory(stack.client))
    stack.events.load()
    stack.desk = Desk(stack.events)
    stack.tasks[0] = asyncio.create_task(stack.events.run())


async def metas(stack):
    return sorted(
        key.decode().rsplit("}")[0] for key in await stack.client.keys("sc:{lesson*}:meta")
    )


def check(stack, notary, acks, folder):
    """All that was acknowledged is counted, and nobody twice."""
    ticks = {entry.tick: entry for entry in entries(notary, TickEntry)}
    per_tick = {}
    for told in acks:
        for tick in set(told):
            per_tick[tick] = per_tick.get(tick, 0) + 1
    assert all(ticks[tick].present >= count for tick, count in per_tick.items())
    assert all(entry.viewers <= VIEWERS and entry.present <= VIEWERS for entry in ticks.values())
    assert all(len(told) >= told.sent - 1 for told in acks)
    assert holds(notary, folder).as_dict()["peak"] == VIEWERS
    claim = notary.course.claim
    assert (claim.net.peak, claim.net.uniques) == (VIEWERS, VIEWERS)


async def test_buckets_are_armed_together_and_taken_over_by_another_number_of_them(
    valkey, tmp_path
):
    async with Stack(valkey, tmp_path, workers=2, buckets=3) as stack:
        await stack.open_event(streams=[{"id": "main"}, {"id": "second"}])

        async def counts_in(epoch):
            """Wait until everybody is counted in this epoch."""

            def counted():
                course = stack.events.notaries["lesson"].course
                holdings = [worker.gateway.holdings["lesson"] for worker, _ in stack.workers]
                here = all(h.state.epoch == epoch and not h.cut_off for h in holdings)
                return here and (course.epoch, course.viewers) == (epoch, VIEWERS)

            await stack.until(counted)

        async def change():
            await counts_in(1)
            first = await metas(stack)
            assert len(first) == 3
            sizes = [await stack.client.hlen(f"{name}}}:registry") for name in first]
            assert (sum(sizes), min(sizes) > 0) == (VIEWERS, True)
            await stack.client.delete(*await stack.client.keys(f"{first[1]}*"))
            await counts_in(2)
            await begin_again(stack, buckets=2)
            await counts_in(3)
            async with asyncio.timeout(60):
                while len(second := await metas(stack)) != 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert not set(first) & set(second)
            await begin_again(stack, buckets=1)
            await counts_in(4)

        acks = await watched(stack, change, 2)
        await stack.close_event()
        notary = stack.events.notaries["lesson"]
        check(stack, notary, acks, tmp_path)
        epochs = entries(notary, EpochEntry)
        assert [len(epoch.run_ids) for epoch in epochs] == [3, 3, 2, 1]
        assert [len(epoch.offsets_us) for epoch in epochs] == [3, 3, 2, 1]
        assert max(abs(offset_us) for epoch in epochs for offset_us in epoch.offsets_us) < 100_000
        (left,) = await metas(stack)
        assert left.count(".") == 1
        assert not [gap for gap in entries(notary, GapEntry) if gap.kind != "lag"]
