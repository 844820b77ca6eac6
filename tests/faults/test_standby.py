"""A standby on the same data directory: it waits, takes over by itself, and two never write one log."""

from __future__ import annotations

import asyncio
import hmac
import signal

import pytest

from streamcount.embed.client import Viewer
from streamcount.simulate.run import websocket_address
from tests.faults.test_restart import until
from tests.recount import Recounted
from tests.service import PATIENT_S, Service
from tests.stack import free_port

pytestmark = pytest.mark.slow


class Standby(Service):
    """Started while the other one runs."""

    def wait_for(self, reached, seconds=PATIENT_S):
        # The file of the other service is there from the beginning.
        if getattr(reached, "__name__", "") != "exists":
            super().wait_for(reached, seconds)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_standby_takes_over_and_nothing_acknowledged_is_missing(tmp_path, number):
    ports = ["--public-port", str(free_port()), "--operator-port", str(free_port())]
    data, acked = tmp_path / "data", []
    with Service(data, tmp_path / "log", *ports) as first:
        key = first.create(window=20, interval=1)
        await asyncio.to_thread(first.open)
        with Standby(data, tmp_path / "log2", "--standby", *ports) as second:
            await until(lambda: "standing by" in second.log.read_text())
            url = websocket_address(first.public)
            viewers = [
                Viewer(url, event="lesson", viewer=f"viewer-{n:04}", on_ack=keep(acked, n))
                for n in range(10)
            ]
            tasks = [asyncio.create_task(viewer.run()) for viewer in viewers]
            for viewer in viewers:
                viewer.play()
            await until(lambda: all(viewer.last_ack for viewer in viewers))
            before = {viewer.viewer: viewer.last_ack["tick"] for viewer in viewers}
            first.process.send_signal(number)
            await asyncio.to_thread(first.process.wait, 90)
            await until(lambda: all(v.last_ack["tick"] > before[v.viewer] + 5 for v in viewers))
            assert "taking its place" in second.log.read_text()
            assert second.told["pid"] == second.process.pid
            await asyncio.gather(*(viewer.leave() for viewer in viewers))
            await asyncio.gather(*tasks)
            await asyncio.to_thread(second.close)
            report = await asyncio.to_thread(second.verified, "lesson", tmp_path, key)
            assert report["peak"] == 10
            recounted = Recounted(tmp_path / "lesson.zip")
            secret = bytes.fromhex((data / "events/lesson/pseudonym.key").read_text().strip())
            missing = [
                (viewer, tick)
                for viewer, tick in acked
                if tick not in recounted.presence[hmac.digest(secret, viewer, "sha256")[:16]]
            ]
            assert (missing, recounted.peak(20)) == ([], 10)
            # Of everybody, before and after.
            assert {viewer for viewer, tick in acked if tick <= min(before.values())}
            assert len({viewer for viewer, tick in acked if tick > max(before.values())}) == 10


def keep(acked, number):
    """Keep who was told that which tick is archived."""

    def take(_seq, state, ack):
        if state == "playing":
            acked.append((b"viewer-%04d" % number, ack["tick"]))

    return take
