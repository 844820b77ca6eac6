"""store/directory: tests of pages, on a real server. Bounded, expiring, forgotten when it is."""

from __future__ import annotations

import asyncio

from streamcount.core.trace import Trace
from streamcount.store.directory import Directory

CODE = "abcdefghijkl"
KEY = f"sc:{{directory}}:test:{CODE}"


def trace(since_ms, event="lesson"):
    return Trace(since_ms, "https://page.example", event, "main", "html5", "film")


def written(*since_ms):
    return {f"{ms:013}-0000-{ms:06}": trace(ms).to_json() for ms in since_ms}


async def test_what_workers_write_the_notary_reads_the_latest_first(store):
    notary, one, two = (Directory(store) for _ in range(3))
    await notary.begin_test(CODE, "lesson", 60)
    assert await notary.traces(CODE) == ("lesson", [])
    await one.trace(CODE, written(1, 3))
    await two.trace(CODE, written(2))
    assert await notary.traces(CODE) == ("lesson", [trace(3), trace(2), trace(1)])


async def test_writing_again_changes_nothing(store):
    directory = Directory(store)
    await directory.begin_test(CODE, "lesson", 60)
    for _ in range(2):
        await directory.trace(CODE, written(1))
    assert await directory.traces(CODE) == ("lesson", [trace(1)])


async def test_beginning_again_whose_answer_was_lost_begins_it_once(store):
    directory = Directory(store)
    for _ in range(2):
        await directory.begin_test(CODE, "lesson", 60)
    assert await directory.traces(CODE) == ("lesson", [])
    assert 0 < await store.pttl(KEY) <= 60_000


async def test_of_a_test_nobody_began_nothing_is_written(store):
    await Directory(store).trace(CODE, written(1))
    assert await store.dbsize() == 0
    assert await Directory(store).traces(CODE) is None


async def test_the_latest_connections_are_kept(store):
    directory = Directory(store, connections_max=3)
    await directory.begin_test(CODE, "lesson", 60)
    await directory.trace(CODE, written(4, 1, 5, 2))
    await directory.trace(CODE, written(3))
    event, kept = await directory.traces(CODE)
    assert (event, [one.since_ms for one in kept]) == ("lesson", [5, 4, 3])


async def test_it_expires_however_much_is_written(store):
    directory = Directory(store)
    await directory.begin_test(CODE, "lesson", 0.4)
    for number in range(8):
        await directory.trace(CODE, written(number))
        await asyncio.sleep(0.1)
    assert await directory.traces(CODE) is None
    assert await store.dbsize() == 0


async def test_a_store_that_forgot_it_ends_it(store):
    directory = Directory(store)
    await directory.begin_test(CODE, "lesson", 60)
    await store.flushall()
    await directory.trace(CODE, written(1))
    assert await directory.traces(CODE) is None


async def test_a_trace_that_cannot_be_read_is_left_out(store, caplog):
    directory = Directory(store)
    await directory.begin_test(CODE, "lesson", 60)
    await directory.trace(CODE, {"0000000000009-odd": b"not json"} | written(1))
    assert await directory.traces(CODE) == ("lesson", [trace(1)])
    assert "odd" in caplog.text
