"""`streamcount follow` as a process: killed at any moment it goes on from what it kept."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

from streamcount.tlog import checkpoint as cp
from tests.evidence.logs import Author, definition
from tests.follow.shown import TOKEN, showing_in_a_thread
from tests.service import run

QUICK = {**os.environ, "STREAMCOUNT_FOLLOW_POLL_S": "0.001"}


def command(shown, folder, *more):
    (folder / "token").write_text(TOKEN + "\n")
    operator = ("--operator", shown.operator, "--token-file", str(folder / "token"))
    return ("follow", shown.url, "--dir", str(folder / "copy"), *operator, "--json", *more)


def test_a_follower_that_is_killed_goes_on_from_what_it_kept(tmp_path):
    """Each life is killed a random moment after its first checkpoint, while the log grows."""
    draw = random.Random(3)
    author = Author(tmp_path / "lesson", definition())
    author.open()
    author.tick(new=[0] * 50, present=range(50))
    kept = 0
    with showing_in_a_thread(tmp_path / "lesson") as shown:
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-m", "streamcount", *command(shown, tmp_path)],
                stdout=subprocess.PIPE,
                env=QUICK,
            )
            try:
                while json.loads(process.stdout.readline())["type"] != "checkpoint":
                    author.tick(present=range(50))
                end = time.monotonic() + draw.uniform(0, 0.1)
                while time.monotonic() < end:
                    author.tick(present=draw.sample(range(50), 25))
            finally:
                process.kill()
                process.wait(60)
                process.stdout.close()
            signed = (tmp_path / "copy" / "checkpoint").read_bytes()
            size = cp.open_checkpoint(signed, author.archive.signer.verifier).size
            assert size > kept
            kept = size
        author.tick()
        done = run(*command(shown, tmp_path, "--once"), env=QUICK)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["size"] == author.archive.size
    assert [t["type"] for t in told].count("resumed") == 1
    for name in ("segment", "checkpoint"):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "lesson" / name).read_bytes()
    points = sorted(int(path.name) for path in (tmp_path / "copy" / "checkpoints").glob("[0-9]*"))
    assert points[-1] == author.archive.size


def test_a_fork_ends_the_process_with_its_own_status_and_says_where_the_proof_is(tmp_path):
    author = Author(tmp_path / "lesson", definition())
    author.open()
    author.tick()
    with showing_in_a_thread(tmp_path / "lesson") as shown:
        assert run(*command(shown, tmp_path, "--once")).returncode == 0
        signer = author.archive.signer
        shown.checkpoint = signer.sign(cp.Checkpoint(signer.name, 3, bytes(32)).text())
        done = run(*command(shown, tmp_path, "--once"), check=False)
        assert done.returncode == 3
        told = json.loads(done.stdout.splitlines()[-1])
        assert (told["type"], told["kind"]) == ("alarm", "fork")
        assert sorted(os.listdir(told["folder"])) == ["kept", "segment", "shown", "why.txt"]


def test_what_goes_together_is_said_before_anything_is_asked(tmp_path):
    for arguments, said in [
        (["--operator", "http://127.0.0.1:1"], "go together"),
        (["--probe", "3"], "excluded before they join"),
        (["--key", str(tmp_path / "none")], "nor a file that holds one"),
    ]:
        done = run("follow", "http://127.0.0.1:1/v1/events/x/log", *arguments, check=False)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
