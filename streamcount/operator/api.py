"""The operators' HTTP API and console, on its own port, loopback by default.

    GET  /                                  the console (a page; its data needs the token)
    GET  /healthz                           is the process alive
    GET  /readyz                            does every event count: 503 and what is wrong when not
    GET  /metrics                           Prometheus
    GET  /openapi.json                      all of this for machines (streamcount/openapi/)
    GET  /api/events                        all events
    POST /api/events                        create one from a definition
    GET  /api/events/<event>                what is agreed, and the log's key and size
    POST /api/events/<event>/open           {"at": Unix seconds}, or {} for as soon as possible
    POST /api/events/<event>/close
    POST /api/events/<event>/exclude        {"viewers": [ids], "reason": "..."}: counted no more
    POST /api/events/<event>/note           {"text": "..."}: written down in the log
    POST /api/events/<event>/correct        {"reason": "...", "viewers": [ids]}: supersedes a final claim
    POST /api/events/<event>/tests          a code to test a page with: {"code", "expires"}
    GET  /api/events/<event>/tests/<code>   what the service saw of pages that were opened with it
    GET  /api/events/<event>/counts         the latest numbers
    GET  /api/events/<event>/timeline       ?since=<tick>&most=<ticks>
    GET  /api/events/<event>/platform       ?since=<tick>&most=<rounds>: what platforms told
    GET  /api/events/<event>/frames         ?start=<entry>&end=<entry>: entries with bodies, for followers
    GET  /api/events/<event>/evidence       an evidence pack of the log as it is now

Everything but the console's files, /healthz and /readyz needs `Authorization: Bearer <token>`. Errors
are JSON: {"error": "<what was wrong and what to do>"}.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web

from streamcount.config import Settings
from streamcount.operator.answers import (
    Handler,
    as_json,
    body_of,
    found_or_404,
    json_in,
    number_in,
    refusal,
    tell_errors,
)
from streamcount.operator.files import SAFE, console, described, static, words

_log = logging.getLogger(__name__)
_OPEN_PATHS: Final = ("/", "/healthz", "/readyz", "/openapi.json", "/static/", "/words/")
# What aiohttp says of malformed requests and of answers that nobody waited for.
_quiet = logging.getLogger("streamcount.http")
_quiet.setLevel(logging.CRITICAL)
_TIMELINE_TICKS: Final = 3_600
_ROUNDS: Final = 1_000
_CORRECTION: Final = ("reason", "viewers", "exclude_reason")
_CHUNK_BYTES: Final = 1 << 18


class Office(Protocol):
    """What the API asks; notary/publish.py answers."""

    def summaries(self) -> list[dict[str, Any]]: ...  # noqa: D102
    def event(self, event_id: str) -> dict[str, Any] | None: ...  # noqa: D102
    def counts(self, event_id: str) -> dict[str, Any] | None: ...  # noqa: D102
    def timeline(self, event_id: str, since: int, most: int) -> dict[str, Any] | None: ...  # noqa: D102
    def platform(self, event_id: str, since: int, most: int) -> dict[str, Any] | None: ...  # noqa: D102
    async def create(self, definition: object) -> dict[str, Any]: ...  # noqa: D102
    async def frames(self, event_id: str, start: int, end: int, bytes_max: int) -> bytes: ...  # noqa: D102
    async def open(self, event_id: str, at: int | None) -> int: ...  # noqa: D102
    async def close(self, event_id: str) -> int: ...  # noqa: D102
    async def exclude(self, event_id: str, viewers: object, reason: object) -> list[str]: ...  # noqa: D102
    async def note(self, event_id: str, text: object) -> int: ...  # noqa: D102
    async def correct(  # noqa: D102
        self, event_id: str, reason: object, viewers: object, exclude_reason: object
    ) -> dict[str, Any]: ...
    async def begin_test(self, event_id: str) -> dict[str, Any]: ...  # noqa: D102
    async def test(self, event_id: str, code: str) -> dict[str, Any] | None: ...  # noqa: D102


class OperatorApi:
    """The operators' side of one service."""

    def __init__(
        self,
        settings: Settings,
        office: Office,
        token: str,
        metrics: Callable[[], tuple[bytes, str]],
        export: Callable[[str, Path], Awaitable[str]],
    ) -> None:
        """`metrics` returns what to answer, and its type; `export` writes a pack, returns its stage."""
        self._settings = settings
        self._office = office
        self._token = token.encode()
        self._metrics = metrics
        self._export = export
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on the operators' port.

        Raises:
            OSError: it cannot be bound.
        """
        app = web.Application(
            middlewares=[self._guard, tell_errors], client_max_size=self._settings.request_bytes_max
        )
        app.add_routes(
            [
                web.get("/", console),
                web.get("/healthz", _alive),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._scrape),
                web.get("/openapi.json", described),
                web.get("/api/events", self._list),
                web.post("/api/events", self._create),
                web.get("/api/events/{event}", self._event),
                web.post("/api/events/{event}/open", self._open),
                web.post("/api/events/{event}/close", self._close),
                web.post("/api/events/{event}/exclude", self._exclude),
                web.post("/api/events/{event}/note", self._note),
                web.post("/api/events/{event}/correct", self._correct),
                web.post("/api/events/{event}/tests", self._begin_test),
                web.get("/api/events/{event}/tests/{code}", self._test),
                web.get("/api/events/{event}/counts", self._counts),
                web.get("/api/events/{event}/timeline", self._timeline),
                web.get("/api/events/{event}/platform", self._platform),
                web.get("/api/events/{event}/frames", self._frames),
                web.get("/api/events/{event}/evidence", self._evidence),
                web.get("/static/{file}", static),
                web.get("/words/{language:en|ar}.json", words),
            ]
        )
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_quiet,
            handle_signals=False,
            keepalive_timeout=self._settings.http_keepalive_s,
        )
        await self._runner.setup()
        # The service holds the port, so that nobody takes it while this process is away.
        site = web.TCPSite(
            self._runner,
            self._settings.operator_host,
            self._settings.operator_port,
            reuse_port=True,
        )
        await site.start()

    async def stop(self) -> None:
        """End what is being answered."""
        if self._runner is not None:
            await self._runner.cleanup()

    # --- Who may ------------------------------------------------------------------------------------

    @property
    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            path = request.path
            is_open = path in _OPEN_PATHS or path.startswith(_OPEN_PATHS[4:])
            if not is_open and not self._authorised(request):
                response: web.StreamResponse = refusal(
                    401, "the operator's token is missing or wrong: Authorization: Bearer <token>"
                )
                response.headers["WWW-Authenticate"] = "Bearer"
            else:
                response = await handler(request)
            if not response.prepared:
                response.headers.update(SAFE)
            return response

        return guard

    def _authorised(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        sent = given.strip().encode("utf-8", "replace")
        return kind.lower() == "bearer" and hmac.compare_digest(sent, self._token)

    # --- Reading --------------------------------------------------------------------------------------

    async def _ready(self, _: web.Request) -> web.Response:
        # Without a token, so no names: what is wrong with which event stands in /api/events.
        events = self._office.summaries()
        wrong = sum(bool(event["trouble"] or event.get("uncertain")) for event in events)
        if wrong:
            return web.Response(
                status=503, text=f"{wrong} events in trouble or uncertain: see /api/events\n"
            )
        return web.Response(text="ready\n")

    async def _list(self, _: web.Request) -> web.Response:
        return as_json(self._office.summaries())

    async def _event(self, request: web.Request) -> web.Response:
        return found_or_404(self._office.event(request.match_info["event"]))

    async def _counts(self, request: web.Request) -> web.Response:
        return found_or_404(self._office.counts(request.match_info["event"]))

    async def _timeline(self, request: web.Request) -> web.Response:
        since, most = number_in(request, "since", 0), number_in(request, "most", _TIMELINE_TICKS)
        return found_or_404(self._office.timeline(request.match_info["event"], since, most))

    async def _platform(self, request: web.Request) -> web.Response:
        since, most = number_in(request, "since", 0), number_in(request, "most", _ROUNDS)
        return found_or_404(self._office.platform(request.match_info["event"], since, most))

    async def _test(self, request: web.Request) -> web.Response:
        found = await self._office.test(request.match_info["event"], request.match_info["code"])
        if found is None:
            return refusal(404, "there is no such test of this event, or it is over; begin another")
        return as_json(found)

    async def _frames(self, request: web.Request) -> web.Response:
        start, end = number_in(request, "start", 0), number_in(request, "end", 10**12 - 1)
        event_id, most = request.match_info["event"], self._settings.frames_bytes_max
        data = await self._office.frames(event_id, start, end, most)
        return web.Response(body=data, content_type="application/octet-stream")

    async def _scrape(self, _: web.Request) -> web.Response:
        body, kind = await asyncio.to_thread(self._metrics)
        return web.Response(body=body, headers={"Content-Type": kind})

    async def _evidence(self, request: web.Request) -> web.StreamResponse:
        """Write the pack to a temporary file, and send that."""
        event_id = request.match_info["event"]
        with tempfile.TemporaryDirectory(prefix="streamcount-") as folder:
            path = Path(folder) / f"{event_id}.zip"
            stage = await self._export(event_id, path)
            response = web.StreamResponse(
                headers=SAFE
                | {
                    "Content-Type": "application/zip",
                    "Content-Disposition": f"attachment; filename={event_id}-{stage}.zip",
                    "Content-Length": str(path.stat().st_size),
                }
            )
            await response.prepare(request)
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                    await response.write(chunk)
            await response.write_eof()
            return response

    # --- Acting -----------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        created = await self._office.create(json_in(await request.read()))
        _log.info("event %s created", created["id"])
        return as_json(created, 201)

    async def _open(self, request: web.Request) -> web.Response:
        at = (await body_of(request, "at", none=b"{}")).get("at")
        ahead_s = self._settings.open_ahead_days_max * 86_400
        if at is not None and (type(at) is not int or not 0 < at < time.time() + ahead_s):
            # It could never be taken back.
            return refusal(400, "at: must be a time in whole Unix seconds, and not years from now")
        first = await self._office.open(request.match_info["event"], at)
        _log.info("event %s opens at tick %d", request.match_info["event"], first)
        return as_json({"first_tick": first})

    async def _close(self, request: web.Request) -> web.Response:
        await body_of(request, none=b"{}")
        close = await self._office.close(request.match_info["event"])
        _log.info("event %s closes with tick %d", request.match_info["event"], close)
        return as_json({"close": close})

    async def _exclude(self, request: web.Request) -> web.Response:
        given = await body_of(request, "viewers", "reason")
        event_id = request.match_info["event"]
        names = await self._office.exclude(event_id, given.get("viewers"), given.get("reason"))
        _log.info("event %s: %d viewers excluded", event_id, len(names))
        return as_json({"pseudonyms": names})

    async def _note(self, request: web.Request) -> web.Response:
        text = (await body_of(request, "text")).get("text")
        size = await self._office.note(request.match_info["event"], text)
        return as_json({"log_size": size})

    async def _correct(self, request: web.Request) -> web.Response:
        given = await body_of(request, *_CORRECTION)
        event_id, values = request.match_info["event"], map(given.get, _CORRECTION)
        claim = await self._office.correct(event_id, *values)
        _log.info("event %s: claim %d supersedes another", event_id, claim["version"])
        return as_json(claim)

    async def _begin_test(self, request: web.Request) -> web.Response:
        await body_of(request, none=b"{}")
        return as_json(await self._office.begin_test(request.match_info["event"]), 201)


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")
