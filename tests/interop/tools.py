"""The tools, each a module with NAME, find(bench) -> version, and verdicts(bench)."""

from __future__ import annotations

import importlib

from tests.interop.table import NotHereError, Row, rows

NAMES = ["xmod", "openssl", "aics", "witness", "pymerkle"]


def run(name, bench):
    """Give a tool everything; return its rows, or the one that says why it is not here."""
    tool = importlib.import_module(f"tests.interop.{name}")
    try:
        version = tool.find(bench)
        found = rows(tool.NAME, version, tool.verdicts(bench))
    except NotHereError as absent:
        return [Row(tool.NAME, "", absent=str(absent))]
    # A tool that was given nothing true, or nothing spoilt, has shown nothing.
    assert any(row.accepted for row in found)
    assert any(row.rejected for row in found)
    return found
