"""docs/before-the-event.md: its commands, in their order, as they stand there, from rehearsal to evidence."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import serving

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "before-the-event.md"
# The page's crowd is for a machine of its own and takes two minutes.
CROWD = "--viewers 20 --ramp 3 --mix 2 --together 25 --leave 2 --churn 0"


def commands():
    """The page's commands in order, but for `serve`, which is running already."""
    text = PAGE.read_text("utf-8")
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines()
    return [line for line in lines if not line.startswith("streamcount serve")]


def definition():
    (block,) = re.findall(
        r"^```json\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return block


def until_it_counts(service, event):
    first = service.ask("event", "show", event)["first_tick"]
    service.wait_for(lambda: (service.counts(event)["now"] or 0) >= first)


def until_final(service, event):
    service.wait_for(lambda: service.counts(event)["stage"] == "final")


def test_the_pages_commands_lead_from_a_rehearsal_to_verified_evidence(tmp_path):
    with serving(tmp_path) as service:
        here = tmp_path / "here"
        here.mkdir()
        (here / "lesson.json").write_text(definition(), "utf-8")
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "STREAMCOUNT_DATA": str(service.data),
            "DATA": str(service.data),
            "BACKUP": str(tmp_path / "backup"),
            "VIEWER": "device-in-the-control-room",
        }

        def shell(line):
            done = subprocess.run(
                ["bash", "-euc", line], env=environment, cwd=here,
                capture_output=True, text=True, check=False, timeout=600,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            return done.stdout

        told = {}
        for line in commands():
            event = "rehearsal-1" if "rehearsal-1" in line else "lesson"
            said = line.replace("--viewers 4000", CROWD)
            said = said.replace("https://count.example.org", service.public)
            said = said.replace("http://127.0.0.1:8081", service.told["operator"])
            if line.startswith("streamcount follow"):
                said += " --once"
            if line.startswith("streamcount simulate") or "event exclude" in line:
                until_it_counts(service, event)
            if line.startswith("streamcount export"):
                until_final(service, event)
                if event == "lesson":
                    # The follower goes on until the end, by itself.
                    assert "final" in shell(next(line for line in told if "--dir copy" in line))
            told[said] = shell(said)
            if "event create lesson" in line:
                environment["KEY"] = service.ask("event", "show", "lesson")["key"]
                assert environment["KEY"] in told[said]
        one = {line.split(" -")[0]: said for line, said in told.items()}
        assert "told and counted equal in every one" in one["streamcount simulate rehearsal-1"]
        rehearsal = one["streamcount verify rehearsal-1.zip"].splitlines()
        assert all(line.startswith("[REHEARSAL / ") for line in rehearsal)
        assert "20 proven viewers" in "\n".join(rehearsal)
        attempt = one["streamcount verify lesson.zip"]
        assert attempt.startswith("سليمة: ")
        assert "معطى من خارج الحزمة" in attempt
        assert "test device of the control room" in attempt
        assert json.loads(definition())["title"]["ar"] in attempt
