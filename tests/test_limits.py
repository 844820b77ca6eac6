"""limits: open files are raised as far as allowed, used by several processes, or explained."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

SHOW = (
    "import resource as r\n"
    "from streamcount.limits import *\n"
    "try: print(require_open_files({connections}, 'a crowd', {processes}), r.getrlimit(r.RLIMIT_NOFILE)[0])\n"
    "except TooFewFilesError as error: print(error)"
)


def run(limits, *command, timeout=300):
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True, text=True, check=True, timeout=timeout,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
    ).stdout.strip()  # fmt: skip


RAISE = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (900, 900)); print(r.getrlimit(r.RLIMIT_NOFILE)[0])"
try:
    MAY_RAISE = run((600, 600), "-c", RAISE) == "900"
except subprocess.CalledProcessError:
    MAY_RAISE = False
cannot_raise = pytest.mark.skipif(MAY_RAISE, reason="this process may raise its hard limit")


def told(limits, connections, processes=1):
    return run(limits, "-c", SHOW.format(connections=connections, processes=processes))


def test_the_soft_limit_is_raised_to_the_hard_one():
    assert told((256, 900), 600) == "1 900"


@pytest.mark.skipif(not MAY_RAISE, reason="this process may not raise its hard limit")
def test_the_hard_limit_is_raised_by_who_may():
    assert told((600, 600), 1000) == "1 1200"


@cannot_raise
def test_what_has_no_room_in_one_process_is_spread_over_several():
    assert told((600, 600), 1000, 8) == "3 600"


@cannot_raise
def test_what_has_no_room_at_all_is_explained_with_what_would():
    said = told((600, 600), 1000, 2)
    assert "700 open files" in said
    assert "allows 600" in said
    assert "--viewers 640" in said


@pytest.mark.slow
def test_a_demo_with_few_open_files_spreads_its_crowd_and_comes_to_the_same(tmp_path):
    """300 files a process: workers shed what they have no room for, and it finds room elsewhere."""
    command = ["-m", "streamcount", "demo", "--viewers", "150", "-o", str(tmp_path), "--json"]
    found = json.loads(run((300, 300), *command, timeout=600))
    assert found["told_peak"] == found["counted_peak"] == found["verified_peak"] == 150
    assert (found["different_ticks"], found["unanswered"], found["holds"]) == ([], 0, True)
