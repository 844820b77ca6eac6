"""Viewers who watch throughout, and keep all that they sent and all that was acknowledged to them.

Their truth is simple, so that it can be told at any moment: `count` people watch, from the first heartbeat
to the last. They live in a thread of their own, so a row breaks the service while they go on.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from streamcount.core.presence import proven_ticks, tally
from streamcount.embed.beacons import BeaconViewer
from streamcount.embed.client import Viewer
from streamcount.simulate.told import Told
from tests.faults.proxy import Background


class Keeping(Viewer):
    """A viewer who remembers when each message was sent, and which of these was acknowledged last."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options, on_ack=self._keep)
        self.told = Told()
        self.sent_at = {}
        self.acked = 0
        self.late = 0
        # When the latest acknowledged heartbeat was sent; monotonic seconds.
        self.acked_sent_at = 0.0

    def _next(self, state):
        seq = super()._next(state)
        self.sent_at[seq] = time.monotonic()
        return seq

    def _keep(self, seq, state, answer):
        self.acked += 1
        self.told.take(state, answer["tick"])
        self.late = max(self.late, answer["late"])
        self.acked_sent_at = max(self.acked_sent_at, self.sent_at.pop(seq))


class KeepingPosted(Keeping, BeaconViewer):
    """The same without a websocket."""


class Load:
    """So many of them, on one event; without websockets if the address is one of http."""

    def __init__(self, url, event="lesson", count=40, prefix="viewer", interval_s=1.0):
        self.count = count
        kind = KeepingPosted if url.startswith("http") else Keeping
        self.viewers = [kind(url, event=event, viewer=f"{prefix}-{n:05}") for n in range(count)]
        self._interval_s = interval_s
        self._background = Background()
        self._tasks = []
        self._ended = False

    def __enter__(self):
        self._background.call(self._start())
        return self

    def __exit__(self, *_):
        if not self._ended:
            self._ended = True
            self._background.end()

    def leave(self, seconds=60.0):
        """Let everybody say bye and go; those who cannot within this time are dropped."""

        async def leave():
            await asyncio.gather(*(viewer.leave(seconds) for viewer in self.viewers))
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._background.call(leave(), seconds + 10)
        self.__exit__()

    def do(self, call):
        """Call something in the viewers' own thread."""

        async def run():
            return call()

        return self._background.call(run())

    @property
    def sent(self):
        return sum(viewer.seq for viewer in self.viewers)

    @property
    def acked(self):
        return sum(viewer.acked for viewer in self.viewers)

    @property
    def connects(self):
        return sum(viewer.connects for viewer in self.viewers)

    @property
    def told(self):
        return {viewer.viewer: viewer.told for viewer in self.viewers}

    def acked_since(self, instant):
        """How many viewers had a heartbeat acknowledged that was sent after this instant."""
        return sum(viewer.acked_sent_at > instant for viewer in self.viewers)

    async def _start(self):
        for viewer in self.viewers:
            viewer.play()
            self._tasks.append(asyncio.create_task(self._come(viewer)))

    async def _come(self, viewer):
        await asyncio.sleep(self._interval_s * self.viewers.index(viewer) / self.count)
        await viewer.run()


def told_peak(told, window, doubted=()):
    """The highest proven count that acknowledgements alone come to, but for the ticks in doubt.

    `told`: viewer -> Told.
    """
    ticks = [t for one in told.values() for t in one.presence]
    if not ticks:
        return 0
    across = range(min(ticks), max(ticks) + 1)
    counts = tally((proven_ticks(t.presence, t.breaks, window) for t in told.values()), across)
    return max(n for tick, n in zip(across, counts, strict=True) if tick not in doubted)


def main(url, event, count, prefix, seconds, path):
    """Watch for so long, from a process of its own, and write what was told."""
    with Load(url, event, int(count), prefix) as load:
        time.sleep(float(seconds))
        load.leave()
    lines = [
        {"viewer": v.viewer, "presence": sorted(v.told.presence), "breaks": sorted(v.told.breaks),
         "sent": v.seq, "acked": v.acked, "connects": v.connects}
        for v in load.viewers
    ]  # fmt: skip
    Path(path).write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
