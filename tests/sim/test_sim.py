"""Histories in virtual time: the write path keeps its promises, and the simulation notices when it does not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.history import run
from tests.sim.mutations import MUTATIONS

SEEDS = 100
# Within how many histories each mutation has to be noticed.
BOUND = 400
# Where those that few histories notice were noticed last, to be tried first.
LAST = {"hold_indices": (129, 43), "peak_in_clock_gap": (30,)}


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_promise_is_kept_in_every_history():
    for seed in range(SEEDS):
        outcome = run(seed)
        assert not outcome.wrong, f"make sim SEED={seed}: {outcome.wrong[0]}"


def test_a_seed_is_always_the_same_history():
    for seed in range(5):
        assert run(seed, say=True).hash == run(seed).hash


def test_a_seed_is_the_same_history_in_another_process():
    told = subprocess.run(
        [sys.executable, "-m", "tests.sim", "--seed", "3"],
        env=os.environ | {"PYTHONHASHSEED": "1234"},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert told.stdout.startswith("\n".join(run(3, say=True).story))


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_is_built_wrong_is_noticed(name):
    with MUTATIONS[name]():
        assert any(run(seed).wrong for seed in (*LAST.get(name, ()), *range(BOUND)))
