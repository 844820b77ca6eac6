"""notary/polling: platforms are asked while an event is open, every answer is logged, counting does not wait."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.config import PlatformSettings, YouTubeSettings
from streamcount.core import canonical
from streamcount.core.fields import EventError
from streamcount.core.platform import PlatformEntry
from streamcount.notary.platform import Answer, YouTube
from streamcount.notary.polling import Budget, Polling
from streamcount.notary.publish import Desk
from streamcount.notary.reading import ArchiveReader
from streamcount.operator.metrics import EventCollector
from tests.evidence.test_second import NODE, SECOND
from tests.notary.test_disk import Filling
from tests.notary.test_notary import entries, holds, killed
from tests.schemas.published import OPERATOR, validator
from tests.stack import Stack, free_port
from tests.youtube import KEY, YouTubeServer, raw, refusal

A, B = "aaaaaaaaaaa", "bbbbbbbbbbb"
ON_A = {"id": "main", "platform": {"name": "youtube", "video": A}}
ON_B = {"id": "second", "platform": {"name": "youtube", "video": B}}
QUICK = {"poll_s": 0.3, "look_s": 0.05, "deadline_s": 12.0, "backoff_most_s": 0.6}


def asking(server, *, units=10**6, key=KEY, key_file=None, **change):
    # Unchecked, so that a test may wait for an answer for longer than a service may.
    checked = PlatformSettings(**QUICK)
    settings = PlatformSettings.model_construct(**(checked.model_dump() | change))
    youtube = YouTubeSettings(url=server.url, key=key, key_file=key_file, units_per_day_max=units)
    return Polling([YouTube(settings, youtube)], settings)


@contextlib.asynccontextmanager
async def running(valkey, folder, says=None, **options):
    """Yields YouTube and a service that asks it."""
    async with (
        YouTubeServer(says) as server,
        Stack(valkey, folder, polling=asking(server, **options)) as stack,
    ):
        yield server, stack


async def until(stack, reached):
    await stack.until(reached)


def told(notary):
    return [one.sum for one in notary.course.rounds]


async def crash(stack, notary):
    """What kill -9 and a restart come to."""
    await killed(stack, notary)
    stack.events = stack.new_events()
    stack.events.load()
    stack.desk = Desk(stack.events)
    stack.tasks[0] = asyncio.create_task(stack.events.run())
    return stack.events.notaries["lesson"]


def second_verifier(pack, key):
    done = subprocess.run(
        [NODE, "--no-warnings", SECOND], input=json.dumps({"pack": str(pack), "key": key}),
        capture_output=True, text=True, check=True, timeout=180,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
async def test_a_whole_event_that_claims_the_platforms_count_is_verified_by_both(valkey, tmp_path):
    async with running(valkey, tmp_path / "data", {A: 650, B: 12}) as (server, stack):
        notary = await stack.open_event(streams=[ON_A, ON_B], claimed_count="platform")
        await until(stack, lambda: 662 in told(notary))
        for flap in (1, 650, 1_303, 650):
            server.says[A] = flap
            await until(stack, lambda flap=flap: notary.course.rounds[-1].sum == flap + 12)
        server.says[A] = None  # hidden: absent, not zero
        await until(stack, lambda: notary.course.rounds[-1].counts[0] is None)
        server.says = {}
        await until(stack, lambda: notary.course.rounds[-1].sum is None)
        server.next = [refusal(403, "forbidden", "youtube.video")]
        await until(stack, lambda: notary.course.rounds[-1].failed == 2)
        await stack.close_event()
        await until(stack, stack.events._tasks["lesson, platforms"].done)
        asked = len(server.asked)
        report = holds(notary, tmp_path)
        samples = entries(notary, PlatformEntry)
        assert len(samples) == asked == notary.course.rounds[-1].number
        claim = report.course.claim
        assert claim.value == 1_315
        assert (claim.platform.peak, claim.platform.peak_missing) == (1_315, 0)
        assert 1_315 >= claim.platform.second >= 662
        assert claim.platform.failed >= 2
        assert claim.platform.absent >= 3
        said = " ".join(report.not_checked)
        assert "the number claimed, which is the platform's own" in said
        assert "TLS leaves no proof" in said
        # Raw: the very bytes, from which the counts follow; and no key in any of them.
        assert {b'"concurrentViewers": "1"' in one.answer for one in samples} == {True, False}
        assert samples[-1].status == 403
        assert b"forbidden" in samples[-1].answer
        assert KEY.encode() not in (notary.archive.folder / "segment").read_bytes()
        their = second_verifier(tmp_path / "pack.zip", report.key)
        ours = report.as_dict()
        assert their["outcome"] == "holds", their
        assert their["platform"] == ours["platform"]
        assert their["claimed_count"] == ours["claimed_count"] == "platform"


async def test_a_platform_may_fail_for_days(valkey, tmp_path):
    """Once a minute that is 1,440 times a day, and two to that power is no float."""
    async with running(valkey, tmp_path) as (server, stack):
        notary = await stack.open_event(streams=[ON_A])
        stack.events.pollers["lesson"]._failures = 5_000
        server.next = [refusal(500, "backendError")]
        await until(stack, lambda: any(one.failed for one in notary.course.rounds))
        rounds = len(notary.course.rounds)
        await until(stack, lambda: len(notary.course.rounds) > rounds)
        assert not any(task.done() for task in stack.events._tasks.values())


async def test_a_platform_that_hangs_slows_no_tick(valkey, tmp_path):
    async with YouTubeServer({A: 650}) as server:
        server.hangs = True
        async with Stack(valkey, tmp_path, polling=asking(server, deadline_s=600)) as stack:
            notary = await stack.open_event(streams=[ON_A])
            await until(stack, lambda: server.asked)
            ticks = notary.course.next_tick
            await until(stack, lambda: notary.course.next_tick >= ticks + 4)
            # All of that while the first question was still waiting for its answer.
            assert (len(server.asked), told(notary)) == (1, [])
            await until(stack, lambda: not stack.desk.counts("lesson")["uncertain"])
            async with stack.viewer() as talk:
                await talk.beat(1)
                assert (await talk.hear())["type"] == "ack"
            assert told(notary) == []


async def test_the_quota_is_respected_and_its_end_is_logged_with_its_status(valkey, tmp_path):
    async with YouTubeServer({A: 650}) as server:
        server.next = [refusal(403, "quotaExceeded")]
        async with Stack(valkey, tmp_path, polling=asking(server)) as stack:
            notary = await stack.open_event(streams=[ON_A])
            await until(stack, lambda: told(notary))
            await asyncio.sleep(1.5)  # five intervals
            assert len(server.asked) == 1
            (only,) = entries(notary, PlatformEntry)
            assert (only.status, only.counts) == (403, (None,))
            assert json.loads(only.answer)["error"]["errors"][0]["reason"] == "quotaExceeded"
            platform = stack.desk.counts("lesson")["platform"]
            assert platform["trouble"] == "YouTube answered 403 quotaExceeded"
            assert stack.desk.counts("lesson")["trouble"] == ""


async def test_after_failures_it_asks_less_often_and_goes_on_when_there_is_an_answer(
    valkey, tmp_path
):
    async with YouTubeServer({A: 650}) as server:
        server.next = [raw(b"oops", 500)]
        async with Stack(valkey, tmp_path, polling=asking(server)) as stack:
            notary = await stack.open_event(streams=[ON_A])
            await until(stack, lambda: len(told(notary)) >= 3)
            server.next = []
            await until(stack, lambda: told(notary)[-1] == 650)
            asked = [one.asked_ms for one in notary.course.rounds]
            # From the second failure on the pause is the longest that is set, 0.6 s.
            assert asked[2] - asked[1] >= 600
            assert stack.desk.counts("lesson")["platform"]["trouble"] == ""


async def test_a_notary_that_is_killed_goes_on_with_the_next_round(valkey, tmp_path):
    async with running(valkey, tmp_path / "data", {A: 650}) as (_, stack):
        notary = await stack.open_event(streams=[ON_A])
        await until(stack, lambda: len(told(notary)) >= 2)
        notary = await crash(stack, notary)
        before = [one.number for one in notary.course.rounds]
        await until(stack, lambda: len(told(notary)) >= len(before) + 2)
        numbers = [one.number for one in notary.course.rounds]
        assert numbers == list(range(1, len(numbers) + 1))
        await stack.close_event()
        holds(notary, tmp_path)


async def test_a_notary_that_starts_again_knows_what_was_asked_before(valkey, tmp_path):
    async with running(valkey, tmp_path, {A: 650}, units=5) as (server, stack):
        notary = await stack.open_event(streams=[ON_A])
        await until(stack, lambda: told(notary))
        before, stack.polling = stack.polling, asking(server, units=5)
        notary = await crash(stack, notary)
        await before.close()
        ticks = notary.course.next_tick
        await until(stack, lambda: notary.course.next_tick >= ticks + 3)
        # The next one is due in 86,400 s / 5.
        assert (len(server.asked), told(notary)) == (1, [650])
        budget = stack.polling.budgets["youtube"]
        assert budget.left(notary.course.rounds[0].asked_ms) == 4


async def test_without_a_key_counting_goes_on_and_the_key_may_come_later(valkey, tmp_path):
    path = tmp_path / "youtube.key"
    async with YouTubeServer({A: 650}) as server:
        polling = asking(server, key=None, key_file=path)
        async with Stack(valkey, tmp_path, polling=polling) as stack:
            notary = await stack.open_event(streams=[ON_A], claimed_count="platform")
            async with stack.viewer() as talk:
                await talk.beat(1)
                assert (await talk.hear())["type"] == "ack"
            trouble = stack.desk.counts("lesson")["platform"]["trouble"]
            assert "youtube.key, cannot be read: No such file" in trouble
            assert (server.asked, told(notary)) == ([], [])
            path.write_text(KEY)
            await until(stack, lambda: told(notary))
            assert stack.desk.counts("lesson")["platform"]["trouble"] == ""


async def test_while_the_disk_is_full_an_answer_waits_and_nothing_more_is_asked(valkey, tmp_path):
    async with running(valkey, tmp_path / "data", {A: 650}) as (server, stack):
        notary = await stack.open_event(streams=[ON_A])
        notary.archive.disk = Filling(10**9)
        await until(stack, lambda: told(notary))
        notary.archive.disk.room = 0
        poller = stack.events.pollers["lesson"]
        await until(stack, lambda: "waits for room" in poller.trouble)
        asked, logged = len(server.asked), len(told(notary))
        await asyncio.sleep(1)
        assert (len(server.asked), len(told(notary))) == (asked, logged)
        notary.archive.disk.room = 10**9
        await until(stack, lambda: len(told(notary)) > logged + 1)
        assert len(server.asked) - len(told(notary)) in {0, 1}
        await stack.close_event()
        holds(notary, tmp_path)


async def test_asking_begins_shortly_before_the_first_tick_and_ends_with_the_close(
    valkey, tmp_path
):
    async with YouTubeServer({A: 650}) as server:
        polling = asking(server, lead_s=1.5)
        async with Stack(valkey, tmp_path, polling=polling, open_delay_s=3.0) as stack:
            await stack.desk.create(
                {
                    "id": "lesson",
                    "title": {"en": "x"},
                    "window": 7,
                    "interval": 1,
                    "streams": [ON_A],
                }
            )
            await asyncio.sleep(0.5)
            assert server.asked == []
            first = await stack.desk.open("lesson", None)
            notary = stack.events.notaries["lesson"]
            await until(stack, lambda: told(notary))
            assert first * 1000 - 1_500 <= notary.course.rounds[0].asked_ms
            await until(stack, lambda: (notary.course.last or 0) > first)
            close = await stack.close_event()
            assert notary.course.rounds[-1].asked_ms < (close + 1) * 1000
            early = [one for one in notary.course.rounds if one.asked_ms < first * 1000]
            assert notary.course.claim.platform.rounds <= len(told(notary)) - len(early)


class Mistaken:
    """A platform with mistakes in it."""

    name, videos_per_request_max, requests_per_day_max = "mistaken", 1, 10**6

    def __init__(self):
        self.asked = 0

    def check(self, _):
        return ""

    def missing(self):
        return ""

    async def ask(self, _):
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("a mistake")
        status = 7 if self.asked == 2 else 200
        return Answer(status, "none", b"650", 3, hashlib.sha256(b"650").digest())

    def read(self, body, _):
        if self.asked == 3:
            raise ValueError(body)
        return {4: (1, 2), 5: (-5,)}.get(self.asked, (int(body),))

    async def close(self):
        pass


async def test_mistakes_in_a_platform_end_no_notary_and_spoil_no_log(valkey, tmp_path):
    polling = Polling([Mistaken()], PlatformSettings(**QUICK))
    stream = {"id": "main", "platform": {"name": "mistaken", "video": "77"}}
    async with Stack(valkey, tmp_path / "data", polling=polling) as stack:
        notary = await stack.open_event(streams=[stream])
        await until(stack, lambda: len(told(notary)) >= 4)
        assert told(notary)[:4] == [None, None, None, 650]
        assert stack.events.pollers["lesson"].trouble == ""
        await stack.close_event()
        holds(notary, tmp_path)


async def test_no_more_rounds_are_logged_than_may_be(valkey, tmp_path):
    async with running(valkey, tmp_path, {A: 650}, rounds_max=2) as (server, stack):
        notary = await stack.open_event(streams=[ON_A])
        poller = stack.events.pollers["lesson"]
        await until(stack, lambda: "the most of one event" in poller.trouble)
        assert (len(told(notary)), len(server.asked)) == (2, 2)


async def test_two_events_share_the_days_budget(valkey, tmp_path):
    async with running(valkey, tmp_path, {A: 650, B: 12}, units=5) as (server, stack):
        end = {"planned_end": 2**40}
        await stack.open_event("one", streams=[ON_A], **end)
        await stack.open_event("two", streams=[ON_B], **end)
        pollers = stack.events.pollers
        # 86,400 s / 5 apart: each asks once, and then not for hours.
        await until(stack, lambda: len(server.asked) == 2)
        await asyncio.sleep(1)
        assert sorted(server.asked) == [[A], [B]]
        assert [poller.trouble for poller in pollers.values()] == ["", ""]


async def test_more_than_fifty_videos_are_asked_for_in_several_requests_of_one_round(
    valkey, tmp_path
):
    streams = [
        {"id": f"s{n}", "platform": {"name": "youtube", "video": f"v{n:010}"}} for n in range(60)
    ]
    async with running(valkey, tmp_path, {f"v{n:010}": 10 for n in range(60)}) as (server, stack):
        notary = await stack.open_event(streams=streams)
        await until(stack, lambda: told(notary))
        assert told(notary)[0] == 600
        assert sorted(map(len, server.asked[:2])) == [10, 50]


async def test_an_event_on_a_platform_that_nobody_can_ask_is_refused(valkey, tmp_path):
    async with YouTubeServer() as server, Stack(valkey, tmp_path, polling=asking(server)) as stack:
        plain = {"id": "lesson", "title": {"en": "x"}}
        other = {"id": "main", "platform": {"name": "other", "video": A}}
        with pytest.raises(EventError, match=r"platform.name: .* asked here: youtube"):
            await stack.desk.create(plain | {"streams": [other]})
        other = {"id": "main", "platform": {"name": "youtube", "video": "watch"}}
        with pytest.raises(EventError, match=r"platform.video: no id of a YouTube video"):
            await stack.desk.create(plain | {"streams": [other]})
        assert stack.desk.summaries() == []


async def test_operators_see_the_platforms_numbers_and_a_gap_where_there_is_none(valkey, tmp_path):
    async with running(valkey, tmp_path, {A: 650, B: None}) as (server, stack):
        notary = await stack.open_event(streams=[ON_A, ON_B])
        await until(stack, lambda: told(notary))
        counts = stack.desk.counts("lesson")
        assert counts["platform"]["streams"] == {"main": 650, "second": None}
        assert (counts["platform"]["number"], counts["platform"]["claimed"]) == (650, False)
        collected = {family.name: family for family in EventCollector(lambda: [counts]).collect()}
        samples = collected["streamcount_platform_viewers"].samples
        assert [(s.labels, s.value) for s in samples] == [
            ({"event": "lesson", "stream": "main"}, 650.0)
        ]
        (asked,) = collected["streamcount_platform_timestamp_seconds"].samples
        assert asked.value == counts["platform"]["asked_ms"] / 1000
        server.says = {}
        await until(stack, lambda: told(notary)[-1] is None)
        rows = stack.desk.platform("lesson", 0, 100)
        assert rows["streams"] == ["main", "second"]
        assert (rows["numbers"][0], rows["counts"][0]) == (650, [650, None])
        assert (rows["numbers"][-1], rows["counts"][-1]) == (None, [None, None])
        assert stack.desk.platform("lesson", 2**39, 100)["numbers"] == []
        assert stack.desk.platform("none", 0, 100) is None
        schemas = OPERATOR["components"]["schemas"]
        for name, answer in (("Platform", counts["platform"]), ("Rounds", rows)):
            shape = validator(schemas[name] | {"components": {"schemas": schemas}})
            assert [*shape.iter_errors(answer)] == []


async def test_the_log_holds_answers_as_base64_on_one_line_of_ascii(valkey, tmp_path):
    async with YouTubeServer() as server:
        server.next = [raw('{"items": "درس\n\u2028"}'.encode())]
        async with Stack(valkey, tmp_path, polling=asking(server)) as stack:
            notary = await stack.open_event(streams=[ON_A])
            await until(stack, lambda: told(notary))
            reader = ArchiveReader(notary.archive.folder)
            lines = [f.entry for f in reader.frames(0, reader.refresh().size)]
            (line, *_) = [line for line in lines if b'"type":"platform"' in line]
            assert line.isascii()
            assert b"\n" not in line
            assert base64.b64decode(canonical.load(line)["answer"]).decode().startswith("{")


async def test_the_example_of_another_platform_in_the_pages_works(valkey, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "platform.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made = {}
    exec(code, made)
    answers = [b'{"viewers": 650}', b'{"viewers": "many"}', b"oops", b'{"viewers": -1}']

    async def say(_, writer):
        body = answers.pop(0) if len(answers) > 1 else answers[0]
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    settings, port = PlatformSettings(**QUICK), free_port()
    made["Example"].requests_per_day_max = 10**6  # as it stands there, one is due every ten seconds
    polling = Polling([made["Example"](settings, f"http://127.0.0.1:{port}", KEY)], settings)
    stream = {"id": "main", "platform": {"name": "example", "video": "77"}}
    async with (
        await asyncio.start_server(say, "127.0.0.1", port),
        Stack(valkey, tmp_path / "data", polling=polling) as stack,
    ):
        with pytest.raises(EventError, match="no number of a broadcast"):
            bad = stream | {"platform": {"name": "example", "video": "x"}}
            await stack.desk.create({"id": "x", "title": {"en": "x"}, "streams": [bad]})
        notary = await stack.open_event(streams=[stream])
        await until(stack, lambda: len(told(notary)) >= 4)
        assert told(notary)[:4] == [650, None, None, None]
        await stack.close_event()
        assert holds(notary, tmp_path).as_dict()["platforms_unread"] == ["example"]


# --- The budget ---


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 20_000_000), st.integers(1, 3)), max_size=60),
)
def test_in_any_24_hours_no_more_is_asked_than_the_budget_allows(per_day, steps):
    budget, now, made = Budget(per_day), 10**12, []
    for step_ms, requests in steps:
        now += step_ms
        if budget.left(now) >= requests:
            budget.take(now, requests)
            made += [now] * requests
    for at in made:
        assert sum(at <= other < at + 86_400_000 for other in made) <= per_day


def test_a_round_of_all_events_is_paid_for_out_of_what_is_left_until_the_planned_end():
    budget, now = Budget(8_640), 10**12
    budget.wanted = {"one": 1}
    assert budget.interval_ms(now, None) == 10_000
    budget.wanted = {"one": 1, "two": 2}
    assert budget.interval_ms(now, None) == 30_000
    assert budget.interval_ms(now, now - 5) == 30_000
    hour = now + 3_600_000
    assert budget.interval_ms(now, hour) == 3_600_000 * 3 // 8_640
    budget.restore([now - 90_000_000] + [now - 1000] * 8_280)
    assert budget.left(now) == 360
    assert budget.interval_ms(now, hour) == 30_000
