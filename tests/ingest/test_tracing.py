"""ingest/tracing: what an operator sees of a page under test, over real sockets and a real store."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from streamcount.core import wire
from streamcount.core.bucket import BucketError
from streamcount.ingest.connection import ViewerConnection
from tests.stack import Stack, Talk

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What a viewer is told before the event opens: without a time for it, there is no event time either.
NOT_YET = {"not-open", "not-ready"}


@pytest_asyncio.fixture(loop_scope="module")
async def stack(valkey, tmp_path):
    async with Stack(valkey, tmp_path, test_connections_max=2, test_heartbeats_max=3) as running:
        yield running


async def begin(stack, event="lesson", **change):
    """Make an event and a test of it that every worker knows."""
    plain = {"id": event, "title": {"en": "A lesson"}, "window": 7, "interval": 1}
    await stack.desk.create(plain | change)
    code = (await stack.desk.begin_test(event))["code"]
    await known(stack, code)
    return code


async def known(stack, code):
    await stack.until(lambda: all(code in w.gateway.tracing._codes for w, _ in stack.workers))


@contextlib.asynccontextmanager
async def opened(stack, code, origin="https://page.example", **change):
    """A viewer whose hello carries a code."""
    async with connect(
        stack.url, subprotocols=[wire.SUBPROTOCOL], compression=None, origin=origin, close_timeout=1
    ) as connection:
        talk = Talk(connection)
        hello = {"event": "lesson", "stream": "main", "viewer": "viewer-0001", "test": code}
        await talk.say(type="hello", player="html5", source="film", **hello | change)
        yield talk


async def seen(stack, code, reached, event="lesson"):
    """Wait until a test shows something; return it."""
    async with asyncio.timeout(60):
        while True:
            found = await stack.desk.test(event, code)
            if found is not None and reached(found):
                return found
            await asyncio.sleep(0.05)


def verdict_is(verdict):
    return lambda found: found["verdict"] == verdict


async def test_a_page_is_tested_before_and_after_its_event_opens(stack):
    code = await begin(stack)
    assert (await stack.desk.test("lesson", code))["verdict"] == "nobody"
    async with opened(stack, code) as talk:
        assert (await talk.hear())["type"] == "welcome"
        found = await seen(stack, code, verdict_is("silent"))
        [page] = found["connections"]
        assert (page["origin"], page["player"], page["source"], page["stream"]) == (
            "https://page.example",
            "html5",
            "film",
            "main",
        )
        await talk.beat(1)
        assert (await talk.hear())["why"] in NOT_YET
        found = await seen(stack, code, verdict_is("would-count"))
        [beat] = found["connections"][0]["heartbeats"]
        assert (beat["effect"], beat["noted"] in NOT_YET, beat["tick"]) == ("qualifies", True, None)
        await stack.desk.open("lesson", None)
        await stack.until(lambda: stack.gateway.holdings["lesson"].closed_because == "")
        await talk.beat(2)
        ack = await talk.hear()
        found = await seen(stack, code, verdict_is("counted"))
        assert found["connections"][0]["heartbeats"][-1]["tick"] == ack["tick"]
        await talk.beat(3, "paused")
        await seen(stack, code, verdict_is("paused"))
    found = await seen(stack, code, lambda found: found["connections"][0]["closed"] == 0)
    assert "viewer-0001" not in json.dumps(found)
    # It was a viewer like others.
    assert stack.events.notaries["lesson"].course.viewers == 1


async def test_why_a_heartbeat_does_not_qualify_is_told_also_before_the_event_opens(stack):
    policy = {"muted_counts": False, "hidden_counts": False}
    code = await begin(stack, policy=policy)
    async with opened(stack, code) as talk:
        await talk.hear()
        for number, (said, verdict) in enumerate(
            [({"muted": True}, "muted"), ({"visible": False}, "hidden")]
        ):
            await talk.beat(number, **said)
            assert (await talk.hear())["why"] in NOT_YET
            await seen(stack, code, verdict_is(verdict))
        await talk.say(type="heartbeat", seq=9, state="playing")
        await seen(stack, code, verdict_is("no-position"))


async def test_a_hello_that_is_refused_is_told(stack):
    code = await begin(stack, policy={"origins": ["https://school.example"]})
    async with opened(stack, code) as talk:
        assert await talk.ended()
    found = await seen(stack, code, verdict_is("refused"))
    assert found["connections"][0]["closed"] == wire.FORBIDDEN
    async with opened(stack, code, event="lessons") as talk:
        assert await talk.ended()
    found = await seen(stack, code, lambda found: len(found["connections"]) == 2)
    assert (found["connections"][0]["closed"], found["connections"][0]["event"]) == (
        4404,
        "lessons",
    )


async def test_a_code_nobody_made_is_ignored_and_nothing_is_kept(stack):
    await begin(stack)
    for code in ("abcdefghijkl", "x", "x" * 300):
        async with opened(stack, code) as talk:
            assert (await talk.hear())["type"] == "welcome"
            await talk.beat(1)
            assert (await talk.hear())["why"] in NOT_YET
    assert stack.gateway.tracing._open == {}
    assert all(type(c) is ViewerConnection for c in stack.gateway.watching)
    assert [key async for key in stack.client.scan_iter("*test:abcdefghijkl")] == []


async def test_connections_and_heartbeats_of_a_test_are_bounded(stack):
    code = await begin(stack)
    async with contextlib.AsyncExitStack() as several:
        talks = [await several.enter_async_context(opened(stack, code)) for _ in range(4)]
        for talk in talks:
            assert (await talk.hear())["type"] == "welcome"
        for seq in range(5):
            await talks[0].beat(seq)
        found = await seen(stack, code, lambda f: any(c["heard"] == 5 for c in f["connections"]))
    assert len(found["connections"]) == 2
    assert [len(c["heartbeats"]) for c in found["connections"] if c["heard"]] == [3]
    await stack.until(lambda: not stack.gateway.tracing._open)
    await stack.until(lambda: not stack.gateway.tracing._ended)


async def test_several_workers_and_buckets_tell_one_test(valkey, tmp_path):
    # So many that they are hardly ever all at one worker.
    many = 20
    async with Stack(valkey, tmp_path, workers=3, buckets=2, test_connections_max=many) as stack:
        code = await begin(stack)
        async with contextlib.AsyncExitStack() as several:
            for number in range(many):
                name = f"viewer-{number:04}"
                talk = await several.enter_async_context(opened(stack, code, viewer=name))
                await talk.hear()
                await talk.beat(1)
            full = await seen(
                stack,
                code,
                lambda f: (
                    len(f["connections"]) == many and all(c["heard"] for c in f["connections"])
                ),
            )
            assert {c["verdict"] for c in full["connections"]} == {"would-count"}
            assert len([w for w, _ in stack.workers if w.gateway.tracing._open]) > 1


async def test_a_test_ends_with_its_time_and_leaves_the_viewer_alone(valkey, tmp_path):
    async with Stack(valkey, tmp_path, test_life_s=6.0) as stack:
        code = await begin(stack)
        async with opened(stack, code) as talk:
            await talk.hear()
            await stack.until(lambda: not stack.gateway.tracing._codes)
            assert await stack.desk.test("lesson", code) is None
            await talk.beat(1)
            assert (await talk.hear())["why"] in NOT_YET
            assert stack.gateway.tracing._open == {}


async def test_a_test_is_over_when_the_store_has_forgotten_it(stack):
    code = await begin(stack)
    async with opened(stack, code) as talk:
        await talk.hear()
        await seen(stack, code, verdict_is("silent"))
        await stack.client.flushall()
        await talk.beat(1)
        await talk.hear()
        assert await stack.desk.test("lesson", code) is None


async def test_with_too_many_tests_the_oldest_ends(valkey, tmp_path):
    async with Stack(valkey, tmp_path, tests_max=2) as stack:
        first = await begin(stack)
        second, third = [(await stack.desk.begin_test("lesson"))["code"] for _ in range(2)]
        assert await stack.desk.test("lesson", first) is None
        await known(stack, third)
        await stack.until(lambda: stack.gateway.tracing._codes == {second, third})


async def test_what_the_store_does_not_take_is_written_later(stack):
    code = await begin(stack)

    class Away:
        def __init__(self):
            self.calls = 0

        async def trace(self, code, traces):
            self.calls += 1
            raise BucketError("away")

    tracing = stack.gateway.tracing
    async with opened(stack, code) as talk:
        await talk.hear()
        away = Away()
        [traced] = tracing._open.values()
        traced.changed = True
        await tracing.report(away)
        assert (away.calls, traced.changed) == (1, True)
        await seen(stack, code, verdict_is("silent"))
