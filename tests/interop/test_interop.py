"""Verifiers that we did not write, those that are here and quick: what we write holds for them, and spoilt it does not.

`make interop` is the whole of it: large logs, more tools, and a log as a running service serves it.
"""

from __future__ import annotations

import importlib
import shutil

import pytest

from tests.interop import page, table, tools, xmod
from tests.interop.bench import Bench

NEEDS = {
    "xmod": pytest.mark.skipif(xmod.go_here() is None, reason="needs go (Debian: golang-go)"),
    "openssl": pytest.mark.skipif(
        shutil.which("openssl") is None, reason="needs openssl (Debian: openssl)"
    ),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("interop"), short=True)


@pytest.mark.slow
@pytest.mark.parametrize("tool", [pytest.param(name, marks=mark) for name, mark in NEEDS.items()])
def test_it_accepts_what_we_write_and_rejects_it_spoilt(tool, bench):
    rows = tools.run(tool, bench)
    assert [one for row in rows for one in row.wrong] == []
    assert not any(row.absent for row in rows)


def test_a_tool_that_cannot_be_had_is_a_row_that_says_so(monkeypatch, bench):
    monkeypatch.setenv("PATH", "")
    (row,) = tools.run("openssl", bench)
    assert "no openssl" in row.absent
    assert "not here" in table.plain_text([row])
    assert row.plain()["not_here"] == row.absent


def test_the_page_has_a_row_for_every_tool_and_a_reason_for_every_difference():
    text = page.PAGE.read_text("utf-8")
    run = text.split(page.BEGIN)[1].split(page.END)[0]
    for name in tools.NAMES:
        assert f"| {importlib.import_module(f'tests.interop.{name}').NAME} |" in run
    assert ", 0 of them judged wrongly." in run
