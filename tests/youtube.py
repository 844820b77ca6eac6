"""A loopback server that answers videos.list as YouTube documents it, or as it is told to."""

from __future__ import annotations

import asyncio
import threading

from aiohttp import web

from tests.evidence.logs import youtube

KEY = "AIzaSy-only-for-tests_0123456789"
PATH = "/youtube/v3/videos"


def refusal(status, reason, domain="youtube.quota", **headers):
    """An error as the API words it."""
    said = 'The request cannot be completed because you have exceeded your <a href="/youtube">quota</a>.'
    one = {"message": said, "domain": domain, "reason": reason}
    error = {"code": status, "message": said, "errors": [one]}
    return lambda: web.json_response({"error": error}, status=status, headers=headers)


def raw(body, status=200, **headers):
    return lambda: web.Response(body=body, status=status, headers=headers)


class YouTubeServer:
    """Use `async with` inside a loop, or `with`, which gives it a thread of its own.

    `says`: video -> count, None for a hidden one; a video that is not there is in no answer. `next`: what
    to answer instead, from the front; the last one stays.
    """

    def __init__(self, says=None, *, port=0):
        self.says = says or {}
        self.next = []
        # The ids of each request with the right key, in order.
        self.asked = []
        self.wrong_keys = 0
        # Set to let requests wait for ever.
        self.hangs = False
        self.port = port

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _answer(self, request):
        query = dict(request.query)
        ids = query.pop("id", "").split(",")
        if query.pop("key", "") != KEY:
            self.wrong_keys += 1
            return refusal(400, "keyInvalid", "usageLimits")()
        assert (request.method, query) == ("GET", {"part": "liveStreamingDetails"})
        assert 1 <= len(ids) <= 50
        self.asked.append(ids)
        if self.hangs:
            await asyncio.sleep(600)
        if self.next:
            return (self.next.pop(0) if len(self.next) > 1 else self.next[0])()
        known = {video: self.says[video] for video in ids if video in self.says}
        return web.Response(body=youtube(known), content_type="application/json")

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    def __enter__(self):
        self._loop, ready = asyncio.new_event_loop(), threading.Event()

        def serve():
            self._loop.run_until_complete(self.__aenter__())
            ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self.__aexit__())
            self._loop.close()

        self._thread = threading.Thread(target=serve)
        self._thread.start()
        assert ready.wait(20)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
