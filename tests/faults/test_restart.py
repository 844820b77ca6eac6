"""The whole service ends and is started again, on the same data and ports."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from streamcount.embed.client import Viewer
from streamcount.simulate.run import websocket_address
from streamcount.supervise import make_metrics, remove_metrics
from tests.service import PATIENT_S, Service
from tests.stack import free_port

pytestmark = pytest.mark.slow


async def test_viewers_come_back_after_a_restart_and_none_is_told_that_there_is_no_event(tmp_path):
    """A worker that does not know the events yet must not answer for them."""
    ports = ["--public-port", str(free_port()), "--operator-port", str(free_port())]
    with Service(tmp_path / "data", tmp_path / "log", *ports) as service:
        service.create()
        await asyncio.to_thread(service.open)
        url = websocket_address(service.public)
        viewers = [Viewer(url, event="lesson", viewer=f"viewer-{n:04}") for n in range(40)]
        tasks = []
        for viewer in viewers:
            viewer.play()
            tasks.append(asyncio.create_task(viewer.run()))
        await until(lambda: all(viewer.last_ack for viewer in viewers))
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.process.wait, 90) == 0
    connects = [viewer.connects for viewer in viewers]
    for viewer in viewers:
        viewer.last_ack = None
    with Service(tmp_path / "data", tmp_path / "log2", *ports) as service:
        await until(lambda: all(viewer.last_ack for viewer in viewers))
        assert not [task for task in tasks if task.done()]
        assert all(now > before for now, before in zip(counts(viewers), connects, strict=True))
        await asyncio.gather(*(viewer.leave() for viewer in viewers))
        await asyncio.gather(*tasks)


def counts(viewers):
    return [viewer.connects for viewer in viewers]


async def until(reached, seconds=PATIENT_S):
    limit = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < limit
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_ended_while_it_starts_it_ends_at_once_and_leaves_nothing(tmp_path, number):
    service = Service(tmp_path / "data", tmp_path / "log")
    service.wait_for = lambda *_: None
    service.environment["TMPDIR"] = str(tmp_path)
    with service:
        began = time.monotonic()
        while not (tmp_path / "data" / "service.lock").exists():
            assert time.monotonic() - began < PATIENT_S
            time.sleep(0.02)
        time.sleep(0.3)
        service.process.send_signal(number)
        assert service.process.wait(90) == 0
    assert not (tmp_path / "data" / "service.json").exists()
    assert not (tmp_path / "data" / "metrics").exists()
    assert [name for name in os.listdir(tmp_path) if name.startswith("streamcount-")] == []


def test_metrics_lie_in_memory_and_what_a_killed_service_left_of_them_is_removed(tmp_path):
    folder, elsewhere = tmp_path / "metrics", tmp_path / "elsewhere"
    make_metrics(folder)
    there = folder.resolve()
    (there / "counter_1.db").write_bytes(bytes(9))
    remove_metrics(folder)
    assert not folder.is_symlink()
    assert not there.exists()
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    remove_metrics(folder)
    assert (folder.is_symlink(), elsewhere.exists()) == (False, True)
    folder.mkdir()
    remove_metrics(folder)
    assert not folder.exists()
