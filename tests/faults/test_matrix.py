"""Short forms of the rows of the fault matrix that find most; `make faults` tries all, at full length."""

from __future__ import annotations

import pytest

from tests.faults.matrix import rows
from tests.faults.trial import SKIP, tried

pytestmark = pytest.mark.slow

SHORT = (
    "split_brain",
    "replies_dropped",
    "evidence_disk_full",
    "fsync_fails",
    "clock_stepped",
    "sentinel_failover",
    "cluster_master_killed",
    "cluster_slot_moved",
)


@pytest.mark.parametrize("row", [row for row in rows() if row.name in SHORT], ids=lambda r: r.name)
def test_nothing_acknowledged_is_missing_nothing_is_too_high_and_counts_are_exact_again(
    row, tmp_path
):
    result = tried(row, tmp_path, full=False)
    print(result)
    if result.status == SKIP:
        pytest.skip(result.reason)
    assert result.reason == ""
    assert result.acked > 0


def test_rows_have_names_of_their_own():
    names = [row.name for row in rows()]
    assert len(names) == len(set(names))
    assert set(SHORT) <= set(names)
