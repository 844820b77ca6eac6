"""What comes from elsewhere does nothing to a terminal, and no wrong call ends in a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from streamcount.cli.show import instant
from tests.evidence.forging import make
from tests.service import PATIENT_S, run


def test_a_title_cannot_forge_or_hide_lines_of_a_verification(tmp_path):
    title = "Lesson\nkey         forged (given from outside)\n\x1b[8m\u202e"
    made = make(tmp_path, title={"en": title, "ar": "درس\u200cنا [/red]"}, ticks=3)
    said = run("verify", str(made.path)).stdout
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert [line for line in said.splitlines() if line.startswith("key")] == [
        f"key         {made.key} (from the pack itself)"
    ]
    assert "درس\u200cنا [/red]" in said


def test_a_tick_beyond_the_calendar_is_told_as_a_number(tmp_path):
    assert instant(2**40) == f"second {2**40} of Unix time"
    assert instant(0, "America") == "1970-01-01 00:00:00 UTC"


def test_what_cannot_be_shown_in_the_terminals_encoding_is_escaped(tmp_path):
    made = make(tmp_path, ticks=3, kind="rehearsal")
    done = run("verify", str(made.path), env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert "REHEARSAL / \\u062a" in done.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": b"\xff\xfe"}, "the key given"),
        ({"STREAMCOUNT_PACK_BYTES_MAX": "abc"}, "bytes_max"),
    ],
)
def test_verify_called_wrongly_says_so_in_a_line(tmp_path, change, said):
    made = make(tmp_path, ticks=3)
    options = []
    if "key" in change:
        (tmp_path / "bad.vkey").write_bytes(change.pop("key"))
        options = ["--key", str(tmp_path / "bad.vkey")]
    done = run("verify", str(made.path), *options, check=False, env=os.environ | change)
    assert done.returncode in {1, 2}
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_said_before_the_demo_starts(tmp_path):
    done = run("demo", "--viewers", "5", "-o", str(tmp_path / "none"), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("streamcount: --output")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_demo_that_is_ended_leaves_nothing_behind(tmp_path, number):
    """A closed terminal, too: no process, no folder with keys."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "streamcount", "demo", "--viewers", "20", "-o", str(tmp_path)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + PATIENT_S
    while not list(tmp_path.glob("*/service.json")):
        assert demo.poll() is None, demo.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(2)
    demo.send_signal(number)
    said, _ = demo.communicate(timeout=PATIENT_S)
    assert demo.returncode not in {0, None}
    assert "Traceback" not in said
    assert sorted(tmp_path.iterdir()) == []
