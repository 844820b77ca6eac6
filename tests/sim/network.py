"""Between a process and the store: calls that are slow, or lost, or executed while nobody hears of it.

A call goes out, is executed at the server the process is connected to, and the answer comes back. Any of
the three may fail. After the deadline the caller is told that there was no answer, and knows nothing: the
call may still be executed later.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamcount.core.bucket import BucketError

REFUSED_AFTER_S = 0.001


@dataclass
class Weather:
    """How the network is just now, for one process."""

    lost: float = 0.0  # share of requests, and of answers, that never arrive
    late: float = 0.0  # share of requests that take longer than any deadline
    slow_s: float = 0.0
    cut: bool = False


class Link:
    """One process's connections to the servers that the store consists of."""

    def __init__(self, world, process, weather, server):
        """`server` returns which one this process reaches now as the master of that number."""
        self.world, self.process = world, process
        self.weather, self.server = weather, server

    async def call(self, execute, deadline_s, master=0):
        """Have `execute(server)` run there, and return what it returns.

        Raises:
            BucketError: no answer within the deadline.
        """
        world, loop = self.world, self.world.loop
        answer = loop.create_future()
        timer = loop.call_later(deadline_s, _fail, answer, "no answer in time")
        loop.call_at(
            loop.now + self._way_s(), self._arrive, execute, answer, master, context=world.context
        )
        try:
            return await answer
        finally:
            timer.cancel()

    def _way_s(self):
        rng = self.world.rng
        way = 0.0002 + rng.random() ** 4 * 0.02 + rng.random() * self.weather.slow_s
        if self.weather.late and rng.random() < self.weather.late:
            self.world.count("late request")
            way += rng.uniform(0.3, 2.5)
        return way

    def _arrive(self, execute, answer, master):
        world, rng, weather = self.world, self.world.rng, self.weather
        if weather.cut or (weather.lost and rng.random() < weather.lost):
            world.count("lost request")
            return
        if self.process.dead and rng.random() < 0.5:
            return  # it was never sent
        server = self.server(master)
        if not server.up:
            world.loop.call_later(REFUSED_AFTER_S, _fail, answer, "connection refused")
            return
        result = execute(server)
        if weather.lost and rng.random() < weather.lost:
            world.count("lost reply")
            return
        world.loop.call_later(self._way_s(), self._reply, answer, result)

    def _reply(self, answer, result):
        if self.weather.cut:
            self.world.count("lost reply")
        elif not answer.done():
            answer.set_result(result)


def _fail(answer, why):
    if not answer.done():
        answer.set_exception(BucketError(f"the store did not answer: {why}"))


class Bucket:
    """Both sides of core/bucket.py, over a link."""

    def __init__(self, link, master, tag, window, settings):
        self._link, self._master, self._tag = link, master, tag
        self._window, self._settings = window, settings

    def _call(self, execute, deadline_s=None):
        deadline_s = deadline_s or self._settings.store_deadline_s
        return self._link.call(execute, deadline_s, self._master)

    async def flush(self, flush):
        return await self._call(lambda server: server.flush(self._tag, flush))

    async def server(self):
        return await self._call(lambda server: server.found())

    async def members(self):
        return await self._call(lambda server: server.members(self._tag))

    async def latest(self):
        return await self._call(lambda server: server.latest(self._tag))

    async def arm(self, arming):
        tag, window, settings = self._tag, self._window, self._settings
        for step in (
            lambda server: server.wipe(tag, arming.run_id),
            lambda server: server.load(tag, arming),
            lambda server: server.arm(tag, arming, window, settings),
        ):
            if not await self._call(step, settings.arm_deadline_s):
                return False
        return True

    async def forget(self, archived):
        await self._call(lambda server: server.wipe(self._tag, server.run_id))

    async def read(self, epoch, first, journal_read):
        most = self._settings.ticks_per_read_max
        return await self._call(lambda s: s.read(self._tag, epoch, first, journal_read, most))

    async def advance(self, epoch, archived, journal_read, close, published):
        keep = self._settings.recent_ticks(self._window)
        return await self._call(
            lambda s: s.advance(self._tag, epoch, archived, journal_read, close, published, keep)
        )


class Directory:
    """Where workers look events up, and the notary lists them."""

    def __init__(self, link, settings):
        self._link, self._settings = link, settings
        self._seen = None

    async def publish(self, events, version):
        def execute(server):
            server.directory = (version, events)

        await self._link.call(execute, self._settings.store_deadline_s)

    async def changed(self):
        found = await self._link.call(lambda s: s.directory, self._settings.store_deadline_s)
        if found is None or found[0] == self._seen:
            return None
        self._seen = found[0]
        return found[1]
