"""The part of docs/interop.md that a run writes: the table, the day, and what each tool is known to let pass."""

from __future__ import annotations

import collections
import datetime as dt
import platform

from tests.interop import table
from tests.interop.places import ROOT

PAGE = ROOT / "docs" / "interop.md"
BEGIN, END = "<!-- run -->\n", "<!-- end of run -->"


def write(rows):
    """Put the run into the page."""
    text = PAGE.read_text("utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    PAGE.write_text(f"{head}{BEGIN}{run(rows)}{END}{tail}", "utf-8")


def run(rows):
    day = dt.datetime.now(dt.UTC).strftime("%d %B %Y").lstrip("0")
    lax = collections.Counter(why for row in rows for why in row.lax)
    inputs = sum(len(row.accepted) + len(row.rejected) for row in rows)
    told = (
        f"On {day}, with Python {platform.python_version()} on {platform.system()}: {inputs:,} inputs, "
        f"{sum(len(row.wrong) for row in rows)} of them judged wrongly.\n"
    )
    lines = [told, table.markdown(rows)]
    if lax:
        lines.append("\nSpoilt, and accepted all the same, for a reason that is known:\n")
        lines += [f"- {count:,} times: {why}" for why, count in sorted(lax.items())]
    return "\n".join(lines) + "\n"
