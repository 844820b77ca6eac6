"""The table of a run: tool, version, what it was given, how much of it was accepted and rejected."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

_TOLD_MAX = 200


class NotHereError(Exception):
    """A tool cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """What a tool said of one input. `right` is what it has to say."""

    given: str  # which kind of input: a row of the table
    what: str
    right: bool
    said: bool
    why: str = ""
    lax: str = ""  # why it is known to accept this, and what that means

    @property
    def wrong(self):
        return self.right != self.said and not self.lax


@dataclass
class Row:
    """All inputs of one kind that a tool was given; or, with `absent`, why it was given nothing."""

    tool: str
    version: str
    given: str = ""
    accepted: list[Verdict] = field(default_factory=list)
    rejected: list[Verdict] = field(default_factory=list)
    absent: str = ""
    seconds: float = 0.0

    @property
    def wrong(self):
        return [one for one in (*self.accepted, *self.rejected) if one.wrong]

    @property
    def lax(self):
        """Why each input was accepted that is spoilt, and was known to be."""
        return [one.lax for one in self.rejected if one.said and one.lax]

    def cells(self):
        """Tool, version, input; of what was true how much was accepted, of what was spoilt how much rejected."""
        if self.absent:
            return [self.tool, self.version or "–", self.given or "–", "not here", self.absent]
        return [self.tool, self.version, self.given, _share(self.accepted), _share(self.rejected)]

    def plain(self):
        """The row for machines."""
        if self.absent:
            return {
                "tool": self.tool,
                "version": self.version,
                "given": self.given,
                "not_here": self.absent,
            }
        return {
            "tool": self.tool, "version": self.version, "given": self.given, "seconds": round(self.seconds, 1),
            "true": len(self.accepted), "accepted": sum(one.said for one in self.accepted),
            "spoilt": len(self.rejected), "rejected": sum(not one.said for one in self.rejected),
            "wrong": [{"what": one.what, "said": one.said, "why": one.why} for one in self.wrong],
            "lax": dict(collections.Counter(self.lax)),
            "because": dict(list({one.what: one.why[:160] for one in self.rejected if not one.said}.items())[:_TOLD_MAX]),
        }  # fmt: skip


def _share(verdicts):
    if not verdicts:
        return "–"
    return f"{sum(one.said == one.right for one in verdicts):,} of {len(verdicts):,}"


def rows(tool, version, verdicts):
    """Sort a tool's verdicts into rows, in the order in which kinds of input came first."""
    found = {}
    for one in verdicts:
        row = found.setdefault(one.given, Row(tool, version, one.given))
        (row.accepted if one.right else row.rejected).append(one)
    return list(found.values())


HEAD = ["tool", "version", "given", "true: accepted", "spoilt: rejected"]


def plain_text(all_rows):
    """The table for a terminal."""
    lines = [HEAD, *(row.cells() for row in all_rows)]
    short = [
        [cell if len(cell) < 60 else cell[:57] + "..." for cell in line[:-1]] + line[-1:]
        for line in lines
    ]
    widths = [max(len(line[i]) for line in short) for i in range(len(HEAD) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]
        )
        for line in short
    )


def markdown(all_rows):
    """The table for docs/interop.md."""
    lines = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in all_rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
