"""What a follower sees, as lines for people in Arabic or English, or as JSON lines for machines.

The follower brings kinds and facts (`follow/following.py`); the words are the catalogue's. What the log,
the network or the disk says in English is isolated in an Arabic line.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from rich.text import Text

from streamcount.cli.report import gap_line, rehearsal_mark, when
from streamcount.cli.terminal import err, out, shown
from streamcount.words import Catalogue

# Numbers that stay the same are told again after so long.
_QUIET_S: Final = 10.0
_LOUD: Final = {"alarm": "bold red", "stall": "bold red", "trouble": "yellow", "trust": "yellow"}


class Teller:
    """Prints what a follower sees."""

    def __init__(self, words: Catalogue, *, as_json: bool) -> None:
        self._words = words
        self._as_json = as_json
        self._said: tuple[Any, ...] = ()
        self._at = 0.0

    def __call__(self, kind: str, /, **facts: Any) -> None:
        """Print one thing."""
        if self._as_json:
            print(json.dumps({"type": kind, "time": round(time.time(), 3)} | facts), flush=True)
            return
        line = self._line(kind, facts)
        if line:
            now = when(int(time.time()), "UTC", self._words)
            text = Text(f"{now}  {line}", style=_LOUD.get(kind, ""))
            (err if kind == "alarm" else out).print(text, soft_wrap=True)

    def _line(self, kind: str, facts: dict[str, Any]) -> str:
        say = self._words.say
        match kind:
            case "checkpoint" | "resumed":
                return self._numbers(facts)
            case "trust":
                why = say(f"follow_key_{facts['source']}")
                return say("follow_key", key=self._own(facts["key"]), why=why)
            case "gap" | "exclude" | "note" | "superseded":
                return self._entry(kind, facts)
            case "trouble":
                return say("follow_trouble", what=self._own(facts["what"]))
            case "cosigned":
                return say("follow_cosigned", n_entries=f"{facts['size']:,}")
            case "back":
                return say("follow_back")
            case "stall":
                return say("follow_stall", n=f"{facts['seconds']:.0f}")
            case "moving":
                return say("follow_moving", n=f"{facts['seconds']:.0f}")
            case _:
                why = say(f"follow_alarm_{facts['kind']}")
                what, folder = self._own(facts["what"]), self._own(facts["folder"])
                return say("follow_alarm", why=why, what=what, folder=folder)

    def _entry(self, kind: str, facts: dict[str, Any]) -> str:
        """Return a line of an entry that everybody should know of."""
        say = self._words.say
        if kind == "gap":
            gap = facts | {"kind": facts["gap"]}
            return say("follow_gap", what=gap_line(gap, "UTC", self._words))
        if kind == "note":
            return say("follow_note", what=self._own(facts["text"]))
        why = self._own(facts["reason"])
        if kind == "exclude":
            return say("follow_excluded", n=f"{facts['viewers']:,}", why=why)
        value = "-" if facts["value"] is None else f"{facts['value']:,}"
        return say("follow_superseded", n=facts["version"], n_now=value, why=why)

    def _own(self, value: object) -> str:
        return self._words.ltr(shown(value))

    def _numbers(self, facts: dict[str, Any]) -> str:
        """Return a line of numbers when one changed, or was not told for a while."""
        names = ("stage", "live", "proven", "peak", "platform", "uncertain")
        said, now = tuple(facts[name] for name in names), time.monotonic()
        if said == self._said and now - self._at < _QUIET_S:
            return ""
        self._said, self._at = said, now
        words, say = self._words, self._words.say
        peak = f"{facts['peak']:,}"
        if facts["peak"]:
            at = when(facts["peak_tick"], "UTC", words)
            peak = say("follow_peak", n=peak, when=at)
        if facts["platform"] is not None:
            peak = say("follow_platform", peak=peak, n=f"{facts['platform']:,}")
        line = say(
            "follow_numbers",
            event=self._own(facts["event"]),
            stage=say(f"stage_{facts['stage']}"),
            peak=peak,
            n_proven=f"{facts['proven']:,}",
            n_live=f"{facts['live']:,}",
            how=say("follow_recounted" if facts["recounted"] else "follow_as_said"),
            n_entries=f"{facts['size']:,}",
            n_gaps=f"{facts['gaps']:,}",
        )
        if facts["uncertain"]:
            line = say("follow_doubt", line=line, n=f"{facts['lag_s']:.0f}")
        return rehearsal_mark(facts["kind"], words) + line
