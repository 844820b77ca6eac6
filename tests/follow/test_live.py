"""The whole of it, in real processes: followed while it runs, probed, taken over on another host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from streamcount.embed.client import Viewer
from tests.service import PATIENT_S, Service, run, serving

pytestmark = pytest.mark.slow


class Following:
    """A follower as a process, and what it told."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamcount", "follow", *arguments, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "STREAMCOUNT_FOLLOW_POLL_S": "0.2"},
        )
        self.told = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.told.append(json.loads(line))

    def of(self, kind):
        return [told for told in self.told if told["type"] == kind]

    def heard(self, kind, reached=lambda _: True):
        until = time.monotonic() + PATIENT_S
        while not (found := [told for told in self.of(kind) if reached(told)]):
            assert time.monotonic() < until, f"no such {kind}: {self.told[-3:]}"
            time.sleep(0.05)
        return found[-1]

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(60)
        self._reader.join(60)
        self.process.stdout.close()
        return status


@contextlib.contextmanager
def following(*arguments):
    found = Following(*arguments)
    try:
        yield found
    finally:
        found.end()


def checkpoint(service):
    with urllib.request.urlopen(f"{service.public}/v1/events/lesson/log/checkpoint") as answer:
        return answer.read()


def size_of(signed):
    return int(signed.split(b"\n")[1])


def is_up_to_date(counts):
    return counts["epoch"] > 1 and (counts["now"] or 0) - counts["archived"] <= 3


async def watch(url, viewers):
    """Watch together until three heartbeats of each were acknowledged."""
    acked = {f"viewer-{n:04}": [] for n in range(viewers)}
    people = [
        Viewer(url, event="lesson", viewer=name, on_ack=lambda *ack, kept=kept: kept.append(ack))
        for name, kept in acked.items()
    ]
    running = [asyncio.create_task(viewer.run()) for viewer in people]
    for viewer in people:
        viewer.play()
    async with asyncio.timeout(PATIENT_S):
        while min(map(len, acked.values())) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.gather(*(viewer.leave() for viewer in people))
    await asyncio.gather(*running)


def test_an_event_is_followed_probed_and_taken_over_by_another_host(tmp_path):
    copy, backup, data = tmp_path / "copy", tmp_path / "backup", tmp_path / "two"
    with serving(tmp_path) as service:
        key = service.create()
        backup.mkdir()
        for name in ("signing.key", "pseudonym.key"):
            shutil.copy(service.data / "events" / "lesson" / name, backup)
        service.open()
        url = f"{service.public}/v1/events/lesson/log"
        options = ["--dir", str(copy), "--key", key, "--operator", service.told["operator"]]
        options += ["--token-file", str(service.data / "operator.token")]
        with following(url, *options, "--probe", "5", "--probe-seconds", "10") as follower:
            follower.heard("exclude")
            viewers = service.public.replace("http", "ws", 1) + "/v1/viewers"
            asyncio.run(watch(viewers, 30))
            probed = follower.heard("probe")
            assert (probed["probes"], probed["missing"]) == (5, [])
            assert probed["acked"] >= 5 * 4
            service.wait_for(lambda: service.counts("lesson")["live"] == 0)
            # Thirty watched beside the probes, so thirty it is.
            counts = service.counts("lesson")
            assert (counts["peak"], counts["uniques"], counts["excluded"]) == (30, 30, 5)
            published = checkpoint(service)
            told = follower.heard(
                "checkpoint",
                lambda t: t["size"] >= size_of(published) and not t["uncertain"],
            )
            assert (told["peak"], told["recounted"]) == (30, True)
            assert [t for t in follower.told if t["type"] in {"alarm", "trouble", "stall"}] == []
        service.process.kill()
        service.process.wait(60)
    (tmp_path / "published").write_bytes(published)
    command = ["adopt", str(copy), "--keys", str(backup), "--data", str(data), "--published"]
    run(*command, str(tmp_path / "published"))
    # Nobody knows which workers there were, so the first ticks wait for as long as one may hold them.
    with Service(data, tmp_path / "two.log", STREAMCOUNT_HOLD_S="3") as second:
        second.wait_for(lambda: is_up_to_date(second.counts("lesson")))
        viewers = second.public.replace("http", "ws", 1) + "/v1/viewers"
        asyncio.run(watch(viewers, 35))
        assert second.counts("lesson")["uniques"] == 35
        second.close()
        second.run("export", "lesson", "-o", str(tmp_path / "lesson.zip"))
    # What was shown on the first host is history on the second.
    kept = [f"--checkpoint={path}" for path in copy.joinpath("checkpoints").glob("[0-9]*")]
    done = run("verify", str(tmp_path / "lesson.zip"), "--key", key, "--json", *kept)
    report = json.loads(done.stdout)
    assert (report["holds"], report["checkpoints_from_outside"]) == (True, len(kept))
    assert (report["peak"], report["uniques"], report["excluded"]) == (35, 35, 5)
    assert report["exclusions"] == [{"viewers": 5, "reason": "probe by follow"}]
