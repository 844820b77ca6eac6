"""The fault matrix: every row tried with real processes, and the table of what came of it.

    python -m tests.faults.matrix                      every row, at full length
    python -m tests.faults.matrix --row store_killed   one, in this process
    python -m tests.faults.matrix --short --jobs 2     short forms, two at a time

Each row runs in a process of its own, so that none of them disturbs another. Beside the table it
writes the same as JSON. Exit status 1 if a row failed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.trial import FAIL, ROWS, SKIP, Result, tried

# Where rows are registered. What is not there yet is left out.
MODULES = (
    "rows_store",
    "rows_processes",
    "rows_disk",
    "rows_clock",
    "rows_sentinel",
    "rows_cluster",
)
ROW_TIMEOUT_S = 300


def rows():
    for name in MODULES:
        if importlib.util.find_spec(f"tests.faults.{name}") is not None:
            importlib.import_module(f"tests.faults.{name}")
    return sorted(ROWS, key=lambda row: row.number)


def in_a_process(row, *, short):
    """Try a row in a process of its own; return its result."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.faults.matrix", "--row", row.name, "--json", "-"]
    result = Result(row.number, row.name, row.fault, status=FAIL)
    try:
        done = subprocess.run(
            command + ["--short"] * short,
            capture_output=True, text=True, check=False, timeout=ROW_TIMEOUT_S,
        )  # fmt: skip
        result = Result(**json.loads(done.stdout.splitlines()[-1])[0])
    except subprocess.TimeoutExpired:
        result.reason = f"did not end within {ROW_TIMEOUT_S} s"
    except (ValueError, IndexError):
        result.reason = f"ended with {done.returncode}: {done.stderr[-1000:]}"
    result.seconds = round(time.monotonic() - began, 1)
    return result


def table(results):
    shown = Table(title="Faults", title_justify="left")
    for name in ("#", "fault"):
        shown.add_column(name, overflow="fold")
    for name in ("times", "sent", "acked", "missing", "told", "published", "recounted", "exact s"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    for r in results:
        numbers = [r.times, r.sent, r.acked, r.missing, r.told, r.published, r.recounted]
        figures = [f"{number:,}" for number in numbers] + [f"{r.exact_s:.1f}"]
        if r.status == SKIP:
            figures = [""] * len(figures)
        what = f"{r.status}: {r.reason}"[:200] if r.reason else r.status
        shown.add_row(str(r.number), r.fault, *figures, what)
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", action="append", help="only this row; may be given again")
    parser.add_argument("--short", action="store_true", help="short forms")
    parser.add_argument("--jobs", type=int, default=1, help="rows tried at the same time")
    parser.add_argument("--json", default="faults.json", help="where results go; - for here")
    given = parser.parse_args()
    known = rows()
    wanted = [row for row in known if not given.row or row.name in given.row]
    if given.row and len(wanted) != len(set(given.row)):
        parser.error(f"rows are: {', '.join(row.name for row in known)}")
    if given.json == "-":
        with tempfile.TemporaryDirectory(prefix="streamcount-") as folder:
            results = [tried(wanted[0], folder, full=not given.short)]
        print(json.dumps([r.as_dict() for r in results]))
        return any(r.status == FAIL for r in results)
    console = Console(stderr=True)
    results = []
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for r in pool.map(lambda row: in_a_process(row, short=given.short), wanted):
            results.append(r)
            console.print(f"{r.status}  {r.number:>2} {r.fault}  ({r.seconds:.0f} s)", r.reason)
    Path(given.json).write_text(json.dumps([r.as_dict() for r in results], indent=1) + "\n")
    Console(width=180).print(table(results))
    return any(r.status == FAIL for r in results)


if __name__ == "__main__":
    sys.exit(main())
