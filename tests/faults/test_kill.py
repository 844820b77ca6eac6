"""kill -9 in the middle of a simulation: nothing acknowledged is missing, the peak is the recount."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from streamcount.store import server
from tests.conftest import wait_for_valkey
from tests.recount import Recounted, acked_but_missing
from tests.service import PATIENT_S, serving
from tests.stack import free_port

WINDOW, INTERVAL = 9, 2
CROWD = {"viewers": 60, "ramp": 6, "mix": 4, "together": 14, "leave": 4, "seed": 5}

pytestmark = pytest.mark.slow


def kill_worker(service):
    os.kill(service.told["children"]["worker-0"], signal.SIGKILL)


def kill_notary(service):
    os.kill(service.told["children"]["notary-0"], signal.SIGKILL)


def kill_guardian(service):
    os.kill(service.told["children"]["store"], signal.SIGKILL)


def kill_valkey(service):
    """The server itself; its guardian notices."""
    guardian = service.told["children"]["store"]
    with open(f"/proc/{guardian}/task/{guardian}/children") as children:
        os.kill(int(children.read().split()[0]), signal.SIGKILL)


def kill_everything(service):
    for kill in (kill_worker, kill_notary, kill_valkey):
        kill(service)


@pytest.mark.parametrize(
    "kill", [kill_worker, kill_notary, kill_valkey, kill_guardian, kill_everything]
)
def test_nothing_acknowledged_is_missing_and_the_published_peak_is_the_recount(tmp_path, kill):
    with serving(tmp_path) as service:
        key = service.create(window=WINDOW, interval=INTERVAL)
        service.open()
        acks = tmp_path / "acks.jsonl"
        options = [part for name, value in CROWD.items() for part in (f"--{name}", str(value))]
        simulating = subprocess.Popen(
            [sys.executable, "-m", "streamcount", "simulate", "lesson", *options, "--acks", str(acks),
             "--data", str(service.data), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # In the middle: most of them watch.
        service.wait_for(lambda: service.counts("lesson")["live"] > 0.6 * CROWD["viewers"])
        before = service.told["children"]
        kill(service)
        out, errors = simulating.communicate(timeout=2 * PATIENT_S)
        told = json.loads(out) if out else pytest.fail(errors)
        after = service.told["children"]
        assert before != after
        service.close()
        published = service.counts("lesson")
        report = service.verified("lesson", tmp_path, key)
        pseudonym_key = bytes.fromhex(
            (service.data / "events/lesson/pseudonym.key").read_text().strip()
        )
        acked, missing = acked_but_missing(tmp_path / "lesson.zip", acks, pseudonym_key)
        recounted = Recounted(tmp_path / "lesson.zip").peak(WINDOW)
        print(
            f"{kill.__name__}: acked {acked}, acked but missing {len(missing)}, unanswered "
            f"{told['unanswered']}, peak told {told['told_peak']}, published {published['peak']}, "
            f"recounted {recounted}, epochs {published['epoch']}, gaps {published['gaps']}"
        )
        assert missing == []
        assert acked > 3 * CROWD["viewers"]
        assert published["peak"] == report["peak"] == recounted
        assert told["told_peak"] <= recounted <= CROWD["viewers"] * 1.2


def test_children_never_outlive_the_service(tmp_path):
    with serving(tmp_path) as service:
        children = list(service.told["children"].values())
        service.process.kill()
        service.process.wait(60)
        until = time.monotonic() + 60
        while any(alive(pid) for pid in children) and time.monotonic() < until:
            time.sleep(0.1)
        assert [pid for pid in children if alive(pid)] == []


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_sigterm_ends_everything_in_order_and_with_status_zero(tmp_path):
    with serving(tmp_path) as service:
        children = list(service.told["children"].values())
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(90) == 0
        assert [pid for pid in children if alive(pid)] == []
        assert not (service.data / "service.json").exists()


def test_what_dies_again_and_again_ends_the_service_loudly(tmp_path):
    with serving(
        tmp_path, STREAMCOUNT_RESTARTS_MAX="3", STREAMCOUNT_RESTART_FIRST_S="0.05"
    ) as service:
        until = time.monotonic() + PATIENT_S
        while service.process.poll() is None and time.monotonic() < until:
            try:
                os.kill(service.told["children"]["worker-0"], signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass
            time.sleep(0.3)
        assert service.process.returncode == 1
        assert "giving up" in service.log.read_text()


async def test_a_real_redis_does_as_well(tmp_path):
    """Debian's redis-server on a TCP port, with --redis-url, told to the same rules."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server found: Debian's package redis-server has it")
    port = free_port()
    redis = subprocess.Popen(  # noqa: ASYNC220
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"redis://127.0.0.1:{port}/0"
        await asyncio.to_thread(wait_for_valkey, url)
        client = server.connect(url, deadline_s=30)
        assert (await server.check(client, url)).startswith("Redis 7.")
        await client.aclose()
        with serving(tmp_path, "--redis-url", url) as service:
            key = service.create()
            service.open()
            told = service.ask(
                "simulate",
                "lesson",
                "--viewers",
                "20",
                "--ramp",
                "3",
                "--mix",
                "1",
                "--together",
                "10",
                "--leave",
                "2",
                "--churn",
                "0",
            )
            assert (told["different"], told["unanswered"]) == (0, 0)
            service.close()
            assert service.verified("lesson", tmp_path, key)["peak"] == 20
    finally:
        redis.kill()
        redis.wait(60)
