"""docs/runbook.md: its commands, as they stand there, back a running service up and put it back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamcount.embed.client import Viewer
from streamcount.notary import archive as archives
from streamcount.simulate.run import websocket_address
from tests.evidence.logs import definition
from tests.service import PATIENT_S, run, serving

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "runbook.md"


def commands(heading):
    """The shell blocks under a heading, in order."""
    (part,) = [part for part in PAGE.read_text().split("\n## ") if part.startswith(heading)]
    return re.findall(r"```sh\n(.*?)```", part, re.DOTALL)


def shell(text, *, check=True, **variables):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **{k: str(v) for k, v in variables.items()}}
    done = subprocess.run(
        ["bash", "-euc", text], env=environment, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def watch(service, number):
    """So many viewers watch together until each has heard three times; each heartbeat is acknowledged."""

    async def crowd():
        url = websocket_address(service.public)
        acked = {f"viewer-{n:04}": [] for n in range(number)}
        viewers = [
            Viewer(
                url, event="lesson", viewer=name, on_ack=lambda *ack, kept=kept: kept.append(ack)
            )
            for name, kept in acked.items()
        ]
        tasks = [asyncio.create_task(viewer.run()) for viewer in viewers]
        for viewer in viewers:
            viewer.play()
        async with asyncio.timeout(PATIENT_S):
            while min(map(len, acked.values())) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert all(await asyncio.gather(*(viewer.leave(60) for viewer in viewers)))
        await asyncio.gather(*tasks)

    asyncio.run(crowd())


CROWD = ("--ramp", "2", "--mix", "1", "--together", "8", "--leave", "1", "--churn", "0", "--json")


def test_a_running_service_is_backed_up_and_put_back_by_the_page(tmp_path):
    (back_up,) = commands("Back up")
    put_back, adopt = commands("Put back")
    backup, new, copy = tmp_path / "backup", tmp_path / "new", tmp_path / "copy"
    with serving(tmp_path) as service:
        finished_key = service.create("finished")
        service.open("finished")
        service.run("simulate", "finished", "--viewers", "12", *CROWD)
        service.close("finished")
        key = service.create("lesson", window=20)
        service.open("lesson")
        watch(service, 8)
        told = shell(back_up, BACKUP=backup, DATA=service.data)
        assert re.search(r"finished +\d+ entries +final\n", told.stdout)
        assert re.search(r"lesson +\d+ entries +going on\n", told.stdout)
        again = shell(back_up, check=False, BACKUP=backup, DATA=service.data)
        assert (again.returncode, "is there already" in again.stderr) == (1, True)
        watch(service, 9)
        log = f"{service.public}/v1/events/lesson/log"
        token = service.data / "operator.token"
        run("follow", log, "--dir", str(copy), "--operator", service.told["operator"],
            "--token-file", str(token), "--once", "--key", key)  # fmt: skip
        service.process.kill()
        service.process.wait(60)
    # A backup that is started as it is: the event that was going on is refused, and says why.
    shutil.copytree(backup, tmp_path / "wrong" / "data")
    with serving(tmp_path / "wrong") as service:
        events = {event["id"]: event for event in service.api("/api/events")}
        assert (events["finished"]["stage"], events["finished"]["peak"]) == ("final", 12)
        assert events["lesson"]["stage"] == "broken"
        assert "streamcount adopt" in events["lesson"]["trouble"]
    # Put back by the page: the backup alone is behind, the follower's copy is not.
    shell(put_back, BACKUP=backup, NEW=new)
    places = {"BACKUP": backup, "NEW": new, "EVENT": "lesson", "PUBLISHED": copy / "checkpoint"}
    behind = shell(adopt, check=False, COPY=backup / "events" / "lesson", **places)
    assert (behind.returncode, "find a copy that has reached it" in behind.stderr) == (1, True)
    shell(adopt, COPY=copy, **places)
    shutil.move(new, tmp_path / "again" / "data")
    with serving(tmp_path / "again") as service:
        assert service.verified("finished", tmp_path, finished_key)["peak"] == 12
        service.wait_for(lambda: not service.counts("lesson")["uncertain"])
        watch(service, 15)
        service.close("lesson")
        report = service.verified("lesson", tmp_path, key)
        assert report["peak"] == 15
        assert [gap["kind"] for gap in report["gaps"] if gap["kind"] == "loss"]


def test_what_is_damaged_is_left_out_of_a_backup_and_named(tmp_path):
    for name in ("good", "bad", "gone"):
        archives.create(tmp_path / "data" / "events" / name, definition(id=name), "x")
    events = tmp_path / "data" / "events"
    (events / "bad" / "segment").write_bytes(b"something else")
    (events / "gone" / "checkpoint").unlink()
    done = run("backup", str(tmp_path / "copy"), "--data", str(tmp_path / "data"), check=False)
    assert done.returncode == 1
    assert "event bad is NOT in the backup" in done.stderr
    assert "event gone is NOT in the backup" in done.stderr
    assert [path.name for path in (tmp_path / "copy" / "events").iterdir()] == ["good"]
