"""The tools, each a module with NAME, find(bench) -> version, verdicts(bench), and LAX where it lets things pass.

LAX: patterns of what a tool is known to accept though it is spoilt, with the reason that it does no harm.
"""

from __future__ import annotations

import dataclasses
import importlib
import re

from tests.interop.table import NotHereError, Row, rows

NAMES = ["xmod", "openssl", "tokens", "aics", "witness", "pymerkle", "formats", "fsck"]


def run(name, bench):
    """Give a tool everything; return its rows, or the one that says why it is not here."""
    tool = importlib.import_module(f"tests.interop.{name}")
    try:
        version = tool.find(bench)
        known = getattr(tool, "LAX", {})
        found = rows(tool.NAME, version, (excused(one, known) for one in tool.verdicts(bench)))
    except NotHereError as absent:
        return [Row(tool.NAME, "", absent=str(absent))]
    # A tool that was given nothing true, or nothing spoilt, has shown nothing.
    assert all(row.accepted and row.rejected for row in found)
    return found


def excused(verdict, known):
    why = next((why for what, why in known.items() if re.fullmatch(what, verdict.what)), "")
    return dataclasses.replace(verdict, lax="" if verdict.right else verdict.lax or why)
