"""Every endpoint of both ports, asked by schemathesis. `make api` asks for longer."""

from __future__ import annotations

import pytest

from tests.schemas.asking import ask


@pytest.mark.slow
def test_every_answer_is_as_described_and_nothing_that_is_asked_counts(tmp_path):
    wrong = ask(tmp_path, examples=5, seed=1)
    assert not wrong, "\n".join(wrong)
