"""operator: the API over real HTTP, who may, what it refuses, and the metrics."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
import pytest_asyncio

from streamcount.core.claim import Excluded
from streamcount.evidence.bundle import export
from streamcount.evidence.verify import verify
from streamcount.operator.api import OperatorApi
from streamcount.operator.metrics import EVENT_GAUGES, EventCollector
from tests.stack import Stack, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKEN = "the-token"


class Operator:
    def __init__(self, stack, url):
        self.stack, self.url = stack, url

    async def call(self, method, path, body=None, token=TOKEN, raw=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.url + path, json=body, data=raw) as answer,
        ):
            data = await answer.read()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, json.loads(data) if "json" in kind else data, answer.headers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(valkey2, tmp_path_factory):
    async with Stack(valkey2, tmp_path_factory.mktemp("api")) as stack:

        async def export_to(event_id, path):
            return await asyncio.to_thread(export, await stack.desk.log(event_id), path)

        settings = stack.settings.model_copy(update={"operator_port": free_port()})
        api = OperatorApi(
            settings, stack.desk, TOKEN, lambda: (b"metrics", "text/plain"), export_to
        )
        await api.start()
        yield Operator(stack, f"http://127.0.0.1:{settings.operator_port}")
        await api.stop()


LESSON = {"id": "lesson", "title": {"ar": "درس"}, "window": 7, "interval": 1, "target": 5}


async def test_an_event_from_creation_to_evidence(operator, tmp_path):
    status, made, _ = await operator.call("POST", "/api/events", LESSON)
    assert (status, made["stage"], made["definition"]["title"]["ar"]) == (201, "waiting", "درس")
    holdings = operator.stack.gateway.holdings
    await operator.stack.until(lambda: "lesson" in holdings)
    status, opened, _ = await operator.call("POST", "/api/events/lesson/open")
    assert status == 200
    await operator.stack.until(lambda: holdings["lesson"].tick > opened["first_tick"])
    excluded = {"viewers": ["a-probe-01", "never-comes"], "reason": "تجربة"}
    status, answer, _ = await operator.call("POST", "/api/events/lesson/exclude", excluded)
    assert (status, len(answer["pseudonyms"])) == (200, 2)
    status, answer, _ = await operator.call("POST", "/api/events/lesson/exclude", excluded)
    assert (status, "excluded already" in answer["error"]) == (409, True)
    async with operator.stack.viewer() as talk, operator.stack.viewer("a-probe-01") as probe:
        await probe.beat(1)
        assert (await probe.hear())["type"] == "ack"
        await talk.beat(1)
        await talk.hear()
        status, counts, _ = await operator.call("GET", "/api/events/lesson/counts")
        assert (status, counts["live"], counts["uniques"], counts["target"]) == (200, 1, 1, 5)
        assert (counts["excluded"], counts["exclusions"]) == (
            1,
            [{"viewers": 2, "reason": "تجربة"}],
        )
        status, pack, headers = await operator.call("GET", "/api/events/lesson/evidence")
        (tmp_path / "interim.zip").write_bytes(pack)
        assert headers["Content-Disposition"] == "attachment; filename=lesson-interim.zip"
        assert verify(tmp_path / "interim.zip", key=made["key"]).stage == "interim"
    status, closed, _ = await operator.call("POST", "/api/events/lesson/close", {})
    notary = operator.stack.events.notaries["lesson"]
    await operator.stack.until(lambda: notary.course.claim is not None)
    status, rows, _ = await operator.call(
        "GET", f"/api/events/lesson/timeline?since={opened['first_tick']}&most=3"
    )
    assert (status, rows["first"], len(rows["live"])) == (200, opened["first_tick"], 3)
    assert all(proven is not None for proven in rows["proven"])
    _, events, _ = await operator.call("GET", "/api/events")
    assert ("lesson", "final") in [(e["id"], e["stage"]) for e in events]
    _, pack, headers = await operator.call("GET", "/api/events/lesson/evidence")
    assert "lesson-final.zip" in headers["Content-Disposition"]
    (tmp_path / "final.zip").write_bytes(pack)
    report = verify(tmp_path / "final.zip", key=made["key"])
    assert (report.exit_code, report.course.close) == (0, closed["close"])
    claim = report.course.claim
    assert (claim.gross.uniques, claim.net.uniques) == (2, 1)
    assert claim.exclusions == (Excluded("تجربة", 1),)
    status, answer, _ = await operator.call(
        "POST", "/api/events/lesson/exclude", {"viewers": ["somebody"], "reason": "late"}
    )
    assert (status, "is final" in answer["error"]) == (409, True)


@pytest.mark.parametrize(
    "path", ["/api/events", "/metrics", "/api/events/x/evidence", "/api/nothing"]
)
@pytest.mark.parametrize("token", [None, "", "the-toke", "the-token2", "THE-TOKEN", "é"])
async def test_without_the_token_nothing_is_told(operator, path, token):
    status, answer, headers = await operator.call("GET", path, token=token)
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "token" in answer["error"]


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/openapi.json", "/static/console.js", "/words/ar.json"]
)
async def test_what_needs_no_token_holds_no_number(operator, path):
    status, _, headers = await operator.call("GET", path, token=None)
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path", "body", "raw", "status", "said"),
    [
        ("POST", "/api/events", None, b"{", 400, "not JSON"),
        ("POST", "/api/events", [], None, 400, "event: must be an object"),
        ("POST", "/api/events", {"id": "bad id"}, None, 400, "event.id: must be"),
        ("POST", "/api/events", {"id": "x", "title": {"en": "x"}, "window": 5}, None, 400, "at least"),
        ("POST", "/api/events", None, b"x" * 300_000, 413, "size"),
        ("POST", "/api/events/none/open", {}, None, 409, "no event none"),
        ("POST", "/api/events/none/close", {}, None, 409, "no event none"),
        ("POST", "/api/events/none/open", {"at": "soon"}, None, 400, "at: must be"),
        ("POST", "/api/events/none/open", 4_000_000_000, None, 400, "must be an object"),
        ("POST", "/api/events/none/open", None, b"null", 400, "must be an object"),
        ("POST", "/api/events/none/open", {"At": 4_000_000_000}, None, 400, "At: is not a field"),
        ("POST", "/api/events/none/close", None, b"{", 400, "not JSON"),
        ("POST", "/api/events/none/close", {"at": 4_000_000_000}, None, 400, "at: is not a field"),
        ("POST", "/api/events/none/exclude", {"viewer": ["x" * 8]}, None, 400, "viewer: is not a field"),
        ("POST", "/api/events/none/exclude", None, None, 400, "not JSON"),
        ("POST", "/api/events/none/exclude", [], None, 400, "must be an object"),
        ("POST", "/api/events/none/exclude", {"viewers": []}, None, 400, "1 to 1000 viewers"),
        ("POST", "/api/events/none/exclude", {"viewers": ["x" * 8] * 1001}, None, 400, "1 to 1000"),
        ("POST", "/api/events/none/exclude", {"viewers": ["short"]}, None, 400, "'short' is no"),
        ("POST", "/api/events/none/exclude", {"viewers": ["x" * 8]}, None, 400, "reason: must be"),
        ("POST", "/api/events/none/exclude", {"viewers": ["x" * 8], "reason": "\x1b"}, None, 400, "printable"),
        ("POST", "/api/events/none/exclude", {"viewers": ["x" * 8], "reason": "y"}, None, 409, "no event none"),
        ("GET", "/api/events/none", None, None, 404, "no event"),
        ("GET", "/api/events/none/counts", None, None, 404, "no event"),
        ("GET", "/api/events/none/evidence", None, None, 409, "no event none"),
        ("GET", "/api/events/none/frames", None, None, 409, "no event none"),
        ("GET", "/api/events/none/frames?start=-1", None, None, 400, "start: must be"),
        ("GET", "/api/events/none/timeline?since=-1", None, None, 400, "since: must be"),
        ("GET", "/api/events/none/timeline?most=" + "9" * 20, None, None, 400, "most: must be"),
        ("DELETE", "/api/events", None, None, 405, "Method"),
        ("GET", "/static/../api.py", None, None, 404, ""),
        ("GET", "/static/" + "x" * 300, None, None, 404, "no such file"),
        ("GET", "/nothing", None, None, 404, ""),
    ],
)  # fmt: skip
async def test_bad_input_gets_a_status_and_a_line(operator, method, path, body, raw, status, said):
    found, answer, _ = await operator.call(method, path, body, raw=raw)
    assert (found, said in answer["error"]) == (status, True), answer


async def test_a_wrong_method_is_told_which_are_right(operator):
    status, _, headers = await operator.call("PUT", "/api/events")
    assert (status, set(headers["Allow"].split(","))) == (405, {"GET", "HEAD", "POST"})


async def test_every_event_gauge_comes_from_a_number_the_api_tells(operator):
    await operator.call("POST", "/api/events", LESSON | {"id": "gauges"})
    _, counts, _ = await operator.call("GET", "/api/events/gauges/counts")
    assert all(key in counts for key, _ in EVENT_GAUGES.values())
    families = {f.name: f for f in EventCollector(lambda: [counts]).collect()}
    (sample,) = families["streamcount_target_viewers"].samples
    assert (sample.labels, sample.value) == ({"event": "gauges"}, 5.0)
    assert families["streamcount_peak_timestamp_seconds"].samples == []


# --- Tests of pages ---


async def test_a_page_is_tested_through_the_api(operator):
    await operator.call("POST", "/api/events", LESSON | {"id": "tested"})
    status, made, _ = await operator.call("POST", "/api/events/tested/tests")
    assert (status, made.keys()) == (201, {"code", "expires"})
    path = f"/api/events/tested/tests/{made['code']}"
    status, found, _ = await operator.call("GET", path)
    assert (status, found["verdict"], found["connections"]) == (200, "nobody", [])
    workers = [worker for worker, _ in operator.stack.workers]
    await operator.stack.until(lambda: made["code"] in workers[0].gateway.tracing._codes)
    async with operator.stack.socket() as talk:
        hello = {"event": "tested", "stream": "main", "viewer": "viewer-0001"}
        await talk.say(type="hello", test=made["code"], **hello)
        await talk.hear()
        async with asyncio.timeout(60):
            while not found["connections"]:
                await asyncio.sleep(0.05)
                _, found, _ = await operator.call("GET", path)
    assert found["connections"][0]["verdict"] == "silent"


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("POST", "/api/events/tested/tests", None, 401),
        ("POST", "/api/events/tested/tests", "another", 401),
        ("GET", "/api/events/tested/tests/abcdefghijkl", None, 401),
        ("POST", "/api/events/nowhere/tests", TOKEN, 409),
        ("GET", "/api/events/nowhere/tests/abcdefghijkl", TOKEN, 404),
        ("GET", "/api/events/tested/tests/abcdefghijkl", TOKEN, 404),
        ("GET", "/api/events/tested/tests/%00", TOKEN, 404),
        ("GET", "/api/events/tested/tests/%F0%9F%98%80", TOKEN, 404),
        ("GET", f"/api/events/tested/tests/{'a' * 3000}", TOKEN, 404),
        ("GET", "/api/events/tested/tests/..%2F..%2Fx", TOKEN, 404),
        ("PUT", "/api/events/tested/tests", TOKEN, 405),
    ],
)
async def test_what_is_no_test_is_refused(operator, method, path, token, status):
    found, answer, _ = await operator.call(method, path, token=token)
    assert found == status
    assert answer["error"]


async def test_a_test_is_of_its_own_event_only(operator):
    for name in ("one", "two"):
        await operator.call("POST", "/api/events", LESSON | {"id": name})
    _, made, _ = await operator.call("POST", "/api/events/one/tests")
    status, _, _ = await operator.call("GET", f"/api/events/two/tests/{made['code']}")
    assert status == 404


async def test_no_page_of_an_event_that_is_over_is_tested(operator):
    await operator.call("POST", "/api/events", LESSON | {"id": "over"})
    notary = operator.stack.events.notaries["over"]
    await operator.call("POST", "/api/events/over/open")
    await operator.stack.until(lambda: notary.course.next_tick is not None)
    await operator.stack.close_event("over")
    status, answer, _ = await operator.call("POST", "/api/events/over/tests")
    assert (status, "is over" in answer["error"]) == (409, True)
