"""`make interop`: verifiers that we did not write read what we write, true and spoilt; a table.

python -m tests.interop                     all tools; those that cannot be had here are rows that say why
python -m tests.interop --tool openssl      only these
python -m tests.interop --json FILE         the same for machines, every input that went wrong with it
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.interop import page, served, table, tools
from tests.interop.bench import Bench

_SHOWN_MAX = 20


def main():
    parser = argparse.ArgumentParser(prog="make interop")
    parser.add_argument("--tool", action="append", help="only this tool, by its module's name")
    parser.add_argument("--json", type=Path, help="write the run to this file, too")
    parser.add_argument("--short", action="store_true", help="small logs only")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/interop.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        bench = Bench(folder, short=given.short)
        if not given.short:
            bench.served = stack.enter_context(served.logs(bench.folder / "served"))
        rows = []
        for name in given.tool or tools.NAMES:
            began = time.monotonic()
            found = tools.run(name, bench)
            rows += found
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(table.plain_text(rows))
    if given.json:
        given.json.write_text(json.dumps([row.plain() for row in rows], indent=1) + "\n", "utf-8")
    if given.docs:
        page.write(rows)
    wrong = [(row, one) for row in rows for one in row.wrong]
    for row, one in wrong[:_SHOWN_MAX]:
        said = "accepted" if one.said else "rejected"
        print(f"WRONG: {row.tool}, {row.given}: {said} {one.what}: {one.why}")
    if len(wrong) > _SHOWN_MAX:
        print(f"... and {len(wrong) - _SHOWN_MAX} more; --json has them all")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
