"""What the public port answers besides websockets: counts, the log, health, the page's script.

    GET /v1/viewers                          426: this path speaks websocket
    POST /v1/heartbeats                      beacons (beacons.py)
    GET /v1/events/<event>/count             the latest published numbers, as JSON
    GET /v1/events/<event>/log/checkpoint    the log as C2SP tlog-tiles lays it out
    GET /v1/events/<event>/log/tile/...
    GET /v1/events/<event>/log/cosignatures  the checkpoint that witnesses are asked to cosign now
    POST /v1/events/<event>/log/cosignatures a checkpoint with a witness's cosignature
    GET /v1/events/<event>/log/sheet.txt     what was agreed; log/trust/<name>.pem: authorities' roots
    GET /streamcount.js, /check.js, ...      the embed: its scripts and their types
    GET /examples/<page>                     pages to try it on
    GET /words/en.json, /words/ar.json       what the embed's scripts say
    GET /words/en.js, /words/ar.js           the same as scripts
    GET /openapi.json                        all of this for machines (streamcount/openapi/)
    GET /healthz, /readyz                    is the process alive; would it count a viewer now

Every answer closes its connection: proxies reuse connections, and one that was HTTP must not become a
websocket half way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from streamcount.core import wire
from streamcount.core.beacon import BYTES_MAX, PATH
from streamcount.ingest.beacons import Beacons
from streamcount.ingest.delivery import monotonic_us
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.holding import Holding
from streamcount.tlog.cosignature import POSTED_BYTES_MAX

_FOREVER: Final = "public, max-age=31536000, immutable"
_BRIEFLY: Final = "public, max-age=1"
# What of the log changes from one second to the next.
_BRIEF: Final = frozenset({"checkpoint", "cosignatures"})
_ANYONE: Final = {"Access-Control-Allow-Origin": "*"}
# Pages of other sites load these, also of sites that want leave for all they load (COEP: require-corp).
_EMBEDDED: Final = _ANYONE | {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class Files(Protocol):
    """Where answers that are files come from. None means that there is no such file."""

    def log(self, event: str, path: str) -> bytes | None:
        """Return a file of an event's log by its tlog-tiles path."""
        ...

    def cosign(self, event: str, posted: bytes) -> tuple[int, str]:
        """Take a cosigned checkpoint; return the status of the answer, and what it says."""
        ...

    def page(self, path: str) -> tuple[bytes, str] | None:
        """Return a file of the embed or the examples, and its content type."""
        ...


# What aiohttp says of malformed requests: anybody can send as many as they like.
_quiet = logging.getLogger("streamcount.http")
_quiet.setLevel(logging.CRITICAL)


class HttpConnection(RequestHandler):
    """aiohttp's connection, which says when it is gone."""

    __slots__ = ("_released",)

    def __init__(self, server: web.Server, released: Callable[[], None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=1.0,
            access_log=None,  # type: ignore[arg-type]
            logger=_quiet,
            max_line_size=4096,
            max_field_size=4096,
            lingering_time=1.0,
            read_bufsize=BYTES_MAX,
            # Nothing here takes compressed bodies; so what is read is what was sent.
            auto_decompress=False,
        )
        self._released = released

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the connection's place back."""
        self._released()
        super().connection_lost(exc)


class PublicHttp:
    """The HTTP side of one worker."""

    def __init__(self, gateway: Gateway, files: Files) -> None:
        self._gateway = gateway
        self._files = files
        self._runner: web.AppRunner | None = None
        # Posted cosignatures of the current second, and which that is.
        self._posted, self._second = 0, 0

    async def start(self) -> None:
        """Make the application; connections come from the gateway."""
        app = web.Application(middlewares=[_close_after])
        app.add_routes(
            [
                web.get(wire.PATH, _speaks_websocket),
                web.route("*", PATH, Beacons(self._gateway).answer),
                web.get("/healthz", _alive),
                web.get("/readyz", self._ready),
                web.get("/v1/events/{event}/count", self._count),
                web.get("/v1/events/{event}/log/{path:.+}", self._log),
                web.post("/v1/events/{event}/log/cosignatures", self._cosign),
                web.get("/{path:.+}", self._page),
            ]
        )
        # Who goes away before the answer is not answered.
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True
        )
        await self._runner.setup()

    async def stop(self) -> None:
        """End what is being answered."""
        if self._runner is not None:
            await self._runner.cleanup()

    def connection(self, released: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol that takes a connection over."""
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("start() comes first")
        return HttpConnection(self._runner.server, released)

    async def _ready(self, _: web.Request) -> web.Response:
        cut_off = [h.event.id for h in self._gateway.holdings.values() if _wanting(h)]
        if self._gateway.draining or cut_off:
            return web.json_response({"ready": False, "cut_off": cut_off}, status=503)
        return web.json_response({"ready": True})

    async def _count(self, request: web.Request) -> web.Response:
        holding = self._gateway.holdings.get(request.match_info["event"])
        if holding is None:
            raise web.HTTPNotFound(text="no such event\n")
        state, listed = holding.state, holding.listed
        final = listed.state == "final"
        plain = {
            "event": holding.event.id,
            "kind": holding.event.kind,
            "state": listed.state,
            "archived": (listed.archived if final else state.archived) or None,
            "peak": listed.peak if final else state.peak,
            "peak_tick": (listed.peak_tick if final else state.peak_tick) or None,
            "proven": 0 if final else state.proven,
            "live": 0 if final else state.live,
            "uncertain": listed.state == "open" and holding.uncertain(monotonic_us()),
            "window": holding.event.window,
        }
        return web.json_response(plain, headers=_ANYONE | {"Cache-Control": _BRIEFLY})

    async def _log(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(None, self._files.log, request.match_info["event"], path)
        if data is None:
            raise web.HTTPNotFound(text="the log has no such file\n")
        text = not path.startswith("tile/")
        return web.Response(
            body=data,
            content_type="text/plain" if text else "application/octet-stream",
            charset="utf-8" if text else None,
            headers=_ANYONE | {"Cache-Control": _BRIEFLY if path in _BRIEF else _FOREVER},
        )

    async def _cosign(self, request: web.Request) -> web.Response:
        second = monotonic_us() // 1_000_000
        self._posted = self._posted + 1 if second == self._second else 1
        self._second = second
        if self._posted > self._gateway.settings.cosignatures_per_s_max:
            return web.Response(
                status=429, headers={"Retry-After": "1"}, text="too many at once; try again\n"
            )
        posted = b""
        try:
            async with asyncio.timeout(self._gateway.settings.handshake_s):
                async for chunk in request.content.iter_chunked(POSTED_BYTES_MAX):
                    posted += chunk
                    if len(posted) > POSTED_BYTES_MAX:
                        return web.Response(
                            status=413, text=f"{POSTED_BYTES_MAX} bytes are the most\n"
                        )
        except TimeoutError:
            return web.Response(status=408, text="the note did not come in time\n")
        loop = asyncio.get_running_loop()
        event = request.match_info["event"]
        status, said = await loop.run_in_executor(None, self._files.cosign, event, posted)
        return web.Response(status=status, text=f"{said}\n")

    async def _page(self, request: web.Request) -> web.Response:
        found = self._files.page(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound(text="there is nothing at this address\n")
        data, kind = found
        return web.Response(
            body=data,
            content_type=kind,
            charset="utf-8",
            headers=_EMBEDDED,
        )


def _wanting(holding: Holding) -> bool:
    return holding.listed.state == "open" and holding.cut_off


@web.middleware
async def _close_after(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.force_close()
        # So that a page which asks for what is not there learns that, and not that it may not ask.
        error.headers.update(_ANYONE)
        raise
    response.force_close()
    return response


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _speaks_websocket(_: web.Request) -> web.Response:
    return web.Response(
        status=426,
        headers={
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": wire.SUBPROTOCOL,
        },
        text=f"this address speaks websocket, subprotocol {wire.SUBPROTOCOL}; see docs/protocol.md\n",
    )
