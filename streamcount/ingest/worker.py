"""One ingest worker: it learns of events, holds what it hears of each, and leaves in good order.

The order of leaving (SIGTERM): stop listening, ask viewers to reconnect elsewhere, go on delivering and
acknowledging until nothing is held, give up membership, close. `drain_s` bounds all of it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence

from streamcount.config import Settings
from streamcount.core.bucket import BucketError, WorkersBucket
from streamcount.core.listing import EventDirectory, Listed
from streamcount.ingest.delivery import Delivery
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.holding import Holding

_log = logging.getLogger(__name__)


class Worker:
    """The holdings of one worker and the tasks that deliver them."""

    def __init__(
        self,
        settings: Settings,
        gateway: Gateway,
        directory: EventDirectory,
        buckets_of: Callable[[Listed], Sequence[WorkersBucket]],
        name: tuple[str, str],
    ) -> None:
        """`name` is this worker's node and boot: what it is called, and what this life of it is."""
        self.gateway = gateway
        self.deliveries: dict[str, Delivery] = {}
        self._settings = settings
        self._directory = directory
        self._buckets_of = buckets_of
        self._node, self._boot = name
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # True once the directory has answered.
        self._informed = False
        # Events whose connections were ended, and when (loop time) others were first seen to be final.
        self._ended: set[str] = set()
        self._final_since: dict[str, float] = {}
        self._server: asyncio.Server | None = None

    async def learn_events(self) -> None:
        """Return once it is known which events there are.

        Until then, a viewer would be told that there is none of theirs, and would not come again.
        """
        await self._look_for_events()
        while not self._informed:
            await asyncio.sleep(self._settings.directory_poll_s)
            await self._look_for_events()

    async def listen(self, context: ssl.SSLContext | None) -> None:
        """Listen on the public port, which all workers of a host share.

        Raises:
            OSError: the address cannot be bound.
        """
        settings = self._settings
        self._server = await asyncio.get_running_loop().create_server(
            self.gateway.connection,
            settings.public_host,
            settings.public_port,
            ssl=context,
            ssl_handshake_timeout=settings.tls_handshake_s if context else None,
            backlog=settings.listen_backlog,
            reuse_port=True,
        )

    async def run(self) -> None:
        """Follow the directory until cancelled.

        Raises:
            Exception: delivering failed as it never should; the process has to end, and starts anew.
        """
        self.gateway.start()
        while True:
            await self._look_for_events()
            await self.gateway.tracing.report(self._directory)
            for task in [task for task in self._tasks.values() if task.done()]:
                task.result()
            await asyncio.sleep(self._settings.directory_poll_s)

    async def drain(self) -> None:
        """Leave in good order."""
        if self._server is not None:
            self._server.close()
        self.gateway.drain()
        try:
            async with asyncio.timeout(self._settings.drain_s):
                await self._until_nothing_is_held()
        except TimeoutError:
            _log.warning("gave up waiting: some heartbeats stay unacknowledged")
        for delivery in self.deliveries.values():
            delivery.ending = True
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=self._settings.store_deadline_s + 1)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        # One that still holds something says no goodbye: its silence is logged as a gap.
        await asyncio.gather(
            *(
                delivery.leave()
                for delivery in self.deliveries.values()
                if delivery.holding.state.open and not delivery.holding.waiting
            )
        )
        for connection in list(self.gateway.watching):
            connection.close(1001, "this server is going away")
        await asyncio.sleep(0)
        self.gateway.stop()

    async def _until_nothing_is_held(self) -> None:
        # Viewers have the time over which they were asked to come back; then nothing more is heard.
        await asyncio.sleep(min(self._settings.reconnect_spread_s, self._settings.drain_s / 2))
        self.gateway.deaf = True
        while any(d.holding.waiting for d in self.deliveries.values()):  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0.1)

    async def _look_for_events(self) -> None:
        try:
            events = await self._directory.changed()
        except BucketError as error:
            _log.debug("no look at the directory: %s", error)
            events = None
        self._informed = self._informed or events is not None
        for listed in (events or {}).values():
            self._meet(listed)
        if events is not None:
            self.gateway.tracing.learn(events.values())
        for name in self.deliveries.keys() - self._ended:
            self._end_if_over(name)

    def _end_if_over(self, name: str) -> None:
        """End an event that is over once all that is held of it is acknowledged."""
        holding = self.deliveries[name].holding
        final = holding.listed.state == "final"
        if holding.waiting and final:
            # Its bucket may be gone, with the answer to what is held; so this wait has an end.
            now = asyncio.get_running_loop().time()
            if now - self._final_since.setdefault(name, now) > self._settings.hold_s:
                holding.give_up()
        if not holding.waiting and (holding.over or final):
            self.gateway.close_event(holding)
            self._stop_delivering(name)
            self._ended.add(name)

    def _meet(self, listed: Listed) -> None:
        """Take a new or changed event in."""
        name = listed.event.id
        known = self.deliveries.get(name)
        if known is None or known.holding.listed.tag != listed.tag:
            if known is not None:
                # The same id with another log: a new event in its place.
                self.gateway.close_event(known.holding)
            holding = Holding(listed, self._settings, self._node, self._boot)
            self.gateway.holdings[name] = holding
            known = self._delivery(holding)
            self._stop_delivering(name)
            self._ended.discard(name)
            self._final_since.pop(name, None)
        elif known.holding.listed.buckets != listed.buckets:
            # The notary was started with another number of them.
            self._stop_delivering(name)
            known.holding.share_out(listed)
            known = self._delivery(known.holding)
        known.holding.listed = listed
        if listed.state == "open" and name not in self._tasks and name not in self._ended:
            self._tasks[name] = asyncio.create_task(known.run())

    def _delivery(self, holding: Holding) -> Delivery:
        buckets = self._buckets_of(holding.listed)
        made = Delivery(holding, buckets, self._settings, self.gateway.settle)
        self.deliveries[holding.event.id] = made
        return made

    def _stop_delivering(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
