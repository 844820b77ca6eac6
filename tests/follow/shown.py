"""An archive shown to followers over real HTTP, as the service shows it, or as somebody who lies would."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from aiohttp import web

from streamcount.notary import incoming
from streamcount.notary.reading import ArchiveReader

TOKEN = "the-token"


class Shown:
    """Public log and operators' API of one archive; `lies` has other answers, path -> (status, bytes)."""

    def __init__(self, folder):
        self.reader = ArchiveReader(folder)
        self.lies = {}
        # When not None, at most so many entries are shown.
        self.checkpoint = None
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1/events/lesson/log"

    @property
    def operator(self):
        return f"http://127.0.0.1:{self.port}"

    async def start(self):
        app = web.Application()
        app.router.add_get("/v1/events/lesson/log/{path:.+}", self._log)
        app.router.add_post("/v1/events/lesson/log/cosignatures", self._cosign)
        app.router.add_get("/api/events/lesson/frames", self._frames)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def _log(self, request):
        path = request.match_info["path"]
        self.asked.append(path)
        if path in self.lies:
            status, data = self.lies[path]
            return web.Response(status=status, body=data)
        data = self.checkpoint if path == "checkpoint" and self.checkpoint else None
        data = data or self.reader.file(path)
        return web.Response(status=404 if data is None else 200, body=data or b"")

    async def _cosign(self, request):
        self.asked.append("cosign")
        body = await request.read()
        if "cosign" in self.lies:
            status, data = self.lies["cosign"]
            return web.Response(status=status, body=data)
        try:
            incoming.take(self.reader, body)
        except incoming.RefusedError as error:
            return web.Response(status=error.status, text=str(error))
        return web.Response(text="taken")

    async def _frames(self, request):
        self.asked.append("frames")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401, text="the token is wrong")
        if "frames" in self.lies:
            status, data = self.lies["frames"]
            return web.Response(status=status, body=data)
        start, end = int(request.query["start"]), int(request.query["end"])
        return web.Response(body=self.reader.raw(start, end, 20_000))


@contextlib.asynccontextmanager
async def showing(folder):
    shown = Shown(folder)
    await shown.start()
    try:
        yield shown
    finally:
        await shown.runner.cleanup()


@contextlib.contextmanager
def showing_in_a_thread(folder):
    """The same beside a test that waits for processes."""
    shown, loop = Shown(folder), asyncio.new_event_loop()
    loop.run_until_complete(shown.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield shown
    finally:
        asyncio.run_coroutine_threadsafe(shown.runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
