"""A short form of `make kills`, and that it would notice what it looks for."""

from __future__ import annotations

import shutil

import pytest

from tests.faults.kills import try_kills

pytestmark = pytest.mark.slow


def test_whatever_was_reported_durable_is_there_after_a_kill():
    share = 0.05 if shutil.which("strace") else 0.0
    rows, violations = try_kills(60, 7, strace_share=share)
    assert violations == []
    assert len({how for how, _, _ in rows}) > 6


@pytest.mark.parametrize("left_out", ["segment", "checkpoint.new", "folder"])
def test_an_fsync_that_is_left_out_is_noticed_when_power_is_lost(left_out):
    _, violations = try_kills(40, 7, strace_share=0.0, left_out=left_out)
    assert violations
