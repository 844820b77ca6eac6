"""One world: the real notary and workers as processes, and everything they meet, from one seed."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import hashlib
import random
import secrets
import tempfile
from pathlib import Path

from streamcount.config import Settings
from streamcount.core.bucket import BucketError
from streamcount.core.event import ActRefusedError, parse_event
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.worker import Worker
from streamcount.notary import archive as archives
from streamcount.notary.archive import Archive
from streamcount.notary.notary import Notary
from tests.sim.crowd import Viewer
from tests.sim.disk import Disk, KilledError
from tests.sim.judge import Judge
from tests.sim.loop import Process
from tests.sim.network import Bucket, Directory, Link, Weather
from tests.sim.servers import Server

HOLD_S = 4.0
VIEWERS_MAX = 1000


@functools.cache
def settings(*, few: bool, buckets: int) -> Settings:
    """Scaled down, so that a history is short. `few`: the registry is soon full."""
    return Settings(
        buckets=buckets,
        seal_lag_s=1.0,
        hold_s=HOLD_S,
        held_ticks_max=14,
        held_bytes_max=640 * 200,
        unarchived_ticks_max=12,
        viewers_max=4 if few else VIEWERS_MAX,
        strangers_per_flush_max=2,
        store_deadline_s=0.4,
        arm_deadline_s=1.0,
        notary_poll_s=0.3,
        open_delay_s=1.0,
        close_delay_s=1.0,
        uncertain_after_s=3.0,
        directory_poll_s=0.5,
        drain_s=6.0,
        reconnect_spread_s=0.5,
    )


@functools.cache
def new_archive(window: int, interval: int, streams: int):
    """A new event's archive: its folder, for the keys, and its files. Made once: the keys matter to nobody."""
    event = parse_event({
        "id": "sim", "title": {"en": "sim"}, "window": window, "interval": interval,
        "streams": [{"id": f"s{n}", "title": {"en": "s"}, "source": "s"} for n in range(streams)],
    })  # fmt: skip
    parent = Path(tempfile.mkdtemp(prefix="streamcount-sim-"))
    folder = parent / "sim"
    draw = random.Random(f"{window} {interval} {streams}")
    before = secrets.token_bytes, secrets.token_hex
    secrets.token_bytes = draw.randbytes
    secrets.token_hex = lambda size: draw.randbytes(size).hex()
    try:
        archives.create(folder, event, "sim.invalid")
    finally:
        secrets.token_bytes, secrets.token_hex = before
    return event, folder, {path: path.read_bytes() for path in folder.iterdir()}


class World:
    """Everything there is in one history."""

    def __init__(self, seed, loop, *, say=False):
        self.seed = seed
        self.rng = rng = random.Random(seed)
        random.seed(seed)  # what the gateway spreads reconnects with
        self.loop = loop
        self.context = contextvars.copy_context()
        self.counts = collections.Counter()
        self.story: list[str] | None = [] if say else None
        self.hash = hashlib.sha256()
        window = rng.choice([7, 7, 8, 9])
        interval = 2 if window == 9 else 1
        buckets = rng.choice([1, 1, 2])
        self.settings = settings(few=rng.random() < 0.06, buckets=buckets)
        self.event, self.folder, files = new_archive(window, interval, rng.choice([1, 1, 2]))
        self.disk = Disk(self, files)
        self.judge = Judge(self)
        # Two buckets may have one master, or one each.
        self.masters = [
            Server(self, rng.choice([0, 0, rng.randint(-(10**7), 10**7)]))
            for _ in range(rng.randint(1, buckets))
        ]
        # Event time is that of the first one's clock, as it is now.
        self.skew_us = self.masters[0].skew_us
        self.notary = NotaryHost(self)
        self.workers = [WorkerHost(self, n) for n in range(rng.choice([1, 2, 2, 3]))]
        self.viewers: list[Viewer] = []
        self.connections = 0

    # --- Time ---------------------------------------------------------------------------------------

    @property
    def now(self):
        return self.loop.now

    def at(self, when, call, *arguments):
        return self.loop.call_at(when, call, *arguments, context=self.context)

    def after(self, delay, call, *arguments):
        return self.at(self.loop.now + delay, call, *arguments)

    # --- What happened ------------------------------------------------------------------------------

    def say(self, what, *arguments):
        line = f"{self.now:9.4f}  {what % arguments}"
        self.hash.update(line.encode())
        if self.story is not None:
            self.story.append(line)

    def count(self, fault):
        self.counts[fault] += 1
        self.say("fault: %s", fault)

    async def to_thread(self, call, *arguments):
        """What asyncio's does: other things happen before it is done, and before that is known."""
        slow_s = self.disk.slow_s
        await asyncio.sleep(self.rng.random() ** 3 * 0.05 + slow_s)
        try:
            result = call(*arguments)
        except KilledError:
            await self.notary.die("killed while writing")
        await asyncio.sleep(self.rng.random() ** 3 * 0.05)
        return result


class Host:
    """A process that is started anew when it ends."""

    name = ""

    def __init__(self, world):
        self.world = world
        self.weather = Weather()
        # Masters of old that it is still connected to, by number.
        self.clings_to = {}
        self.process = None
        self.boots = 0
        self.start()

    def server(self, number):
        number %= len(self.world.masters)
        return self.clings_to.get(number) or self.world.masters[number]

    def buckets(self, listed):
        """Return an event's buckets, as this process sees them."""
        window, settings = listed.event.window, self.world.settings
        return [
            Bucket(self.link, number, tag, window, settings)
            for number, tag in enumerate(listed.tags)
        ]

    def start(self):
        world = self.world
        self.boots += 1
        rng = world.rng
        self.process = Process(
            world.loop,
            f"{self.name}.{self.boots}",
            world.to_thread,
            rate_ppm=rng.uniform(-100, 100),
            begin_us=rng.randrange(10**9),
        )
        self.link = Link(world, self.process, self.weather, self.server)
        world.say("%s starts", self.process.name)
        self.process.start(self._main())

    async def _main(self):
        try:
            await self.main()
        except KilledError:
            self.kill("killed while opening")
        except Exception as error:  # noqa: BLE001 (the judge looks at it)
            self.world.judge.ended(self, error)
            self.kill(f"{type(error).__name__}: {error}")

    def kill(self, why):
        """End this process now; it starts again a little later."""
        if self.process.dead:
            return
        self.world.say("%s ends: %s", self.process.name, why)
        self.process.kill()
        self.gone()
        self.world.after(self.world.rng.uniform(0.2, 1.0), self.start)

    async def die(self, why):
        self.kill(why)
        await asyncio.Event().wait()

    def gone(self):
        pass


class NotaryHost(Host):
    """The notary's process: one event."""

    name = "notary"

    def __init__(self, world):
        self.notary = None
        super().__init__(world)

    async def main(self):
        world, settings = self.world, self.world.settings
        self.notary = None
        archive = Archive(world.folder, settings.recent_ticks, world.disk)
        self.notary = Notary(archive, self.buckets, settings)
        self.process.start(self._list())
        await self.notary.run()

    async def _list(self):
        """Keep the directory as it should be, as `notary/events.py` does."""
        directory = Directory(self.link, self.world.settings)
        while True:
            listed = self.notary.listed()
            try:
                await directory.publish(
                    {"sim": listed}, (self.boots, listed.state, listed.archived)
                )
            except BucketError:
                pass
            await asyncio.sleep(self.world.settings.directory_poll_s)

    def gone(self):
        self.world.disk.let_go()

    # --- The operator -------------------------------------------------------------------------------

    def ask(self, act, done):
        """Have an operator ask for `open` or `close` until it is done."""
        if self.process.dead or self.process.stopped or self.notary is None:
            self.world.after(0.5, self.ask, act, done)
        else:
            self.process.start(self._ask(act, done))
            # An operator whose request was cut off looks whether it was done, and asks again.
            self.world.after(2.0, self._ask_again, act, done, self.process)

    async def _ask(self, act, done):
        try:
            self.world.say("operator: %s at tick %d", act, await getattr(self.notary.acts, act)())
        except (ActRefusedError, OSError, archives.ArchiveError) as error:
            self.world.say("operator: %s refused: %s", act, error)

    def _ask_again(self, act, done, process):
        if not done():
            self.ask(act, done)


class WorkerHost(Host):
    """An ingest worker's process, with the real gateway and worker."""

    def __init__(self, world, number):
        self.name = f"worker-{number}"
        self.accepts = False
        self.gateway = self.worker = None
        super().__init__(world)

    async def main(self):
        world = self.world
        self.gateway = Gateway(world.settings)
        directory = Directory(self.link, world.settings)
        self.worker = Worker(
            world.settings,
            self.gateway,
            directory,
            self.buckets,
            (self.name, f"boot{self.boots}"),
        )
        await self.worker.learn_events()
        self.accepts = True
        await self.worker.run()

    @property
    def holding(self):
        return None if self.gateway is None else self.gateway.holdings.get("sim")

    def gone(self):
        self.accepts = False
        gateway, self.gateway = self.gateway, None
        if gateway is not None:
            for speaker in sorted(
                gateway.watching | gateway.opening.keys(), key=lambda s: s.client.viewer
            ):
                speaker.open = False
                self.world.after(
                    self.world.rng.uniform(0.001, 0.2), _disconnected, speaker.client, speaker
                )

    def leave(self):
        """SIGTERM."""
        if not self.process.dead and self.accepts:
            self.accepts = False
            self.process.start(self._leave())

    async def _leave(self):
        await self.worker.drain()
        self.kill("left in good order")


def _disconnected(client, speaker):
    if client.speaker is speaker:
        client.disconnected()
