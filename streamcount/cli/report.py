"""A verification in sentences, in Arabic or English: what `streamcount verify` prints.

Every word is the catalogue's. Findings bring codes and values; what came out of the pack is made
harmless for a terminal first (`shown`), and then isolated, so that in a line that runs from right to left
a key, a time or an English detail stays in one piece. Lines are plain text in the order in which they
are read.
"""

from __future__ import annotations

import datetime as dt
import os
import zoneinfo
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from streamcount.cli.claimed import (
    audience_lines,
    claim_lines,
    figures_of,
    history_lines,
    profile_lines,
)
from streamcount.cli.labelled import Labelled
from streamcount.cli.terminal import shown
from streamcount.evidence.findings import Findings
from streamcount.words import LANGUAGES, Catalogue, catalogue

_GAPS_SHOWN: Final = 20
_REASONS_SHOWN: Final = 3
_OPTIONS: Final = {"key": "--key", "history": "--checkpoint"}
_SHEET: Final = "--sheet"


class Language(StrEnum):
    """The languages of the catalogue."""

    EN = "en"
    AR = "ar"


LangOption = Annotated[
    Language | None,
    typer.Option(
        "--lang",
        help="Language of what is said; that of the terminal when not given.",
        show_default="from LANG",
    ),
]


def chosen(language: Language | None) -> Catalogue:
    """Return the catalogue asked for, or else that of the terminal's locale (POSIX: LC_ALL first)."""
    if language is not None:
        return catalogue(language.value)
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "")
    found = next((code for code in LANGUAGES if locale.lower().startswith(code)), "en")
    return catalogue(found)


def moment(tick: int, zone: str) -> str | None:
    """Return a tick's date and time at a place (UTC if it is unknown); None beyond the calendar."""
    try:
        where: dt.tzinfo = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        where, zone = dt.UTC, "UTC"
    try:
        return f"{dt.datetime.fromtimestamp(tick, where):%Y-%m-%d %H:%M:%S} {zone}"
    except (ValueError, OverflowError, OSError):
        return None


def when(tick: int, zone: str, words: Catalogue) -> str:
    """Return a tick as a person reads it; the end of the tick is the instant counts speak of."""
    at = moment(tick, zone)
    if at is None:
        return words.say("verify_beyond_calendar", tick=tick)
    return words.ltr(shown(at))


def gap_line(gap: dict[str, Any], zone: str, words: Catalogue) -> str:
    """Return a gap in one line: its kind, what that means, when, how long, why."""
    return words.say(
        "verify_gap",
        what=words.say(f"verify_gap_{gap['kind']}"),
        when=when(gap["first"], zone, words),
        n=f"{gap['last'] - gap['first'] + 1:,}",
        why=words.ltr(shown(gap["reason"])),
    )


def excluded_line(plain: dict[str, Any], words: Catalogue) -> str:
    """Return who is not counted, and why, from numbers or findings."""
    if not plain["exclusions"]:
        return words.say("verify_excluded_none")
    reasons = sorted({one["reason"] for one in plain["exclusions"]})
    more = "; ..." if len(reasons) > _REASONS_SHOWN else ""
    return words.say(
        "verify_excluded",
        n=f"{sum(one['viewers'] for one in plain['exclusions']):,}",
        n_here=f"{plain['excluded']:,}",
        why=words.ltr(shown("; ".join(reasons[:_REASONS_SHOWN]) + more)),
    )


def report(findings: Findings, words: Catalogue) -> Iterator[Text]:
    """Yield a verification, line by line; every line says so when the event was no attempt."""
    plain = findings.as_dict()
    kind = plain.get("kind")
    mark = rehearsal_mark(kind, words)
    if findings.fault is None:
        yield Text(mark + words.say("verify_holds"), style="bold green")
    else:
        values = {name: _isolated(value, words) for name, value in findings.fault.values.items()}
        wrong = words.say(f"verify_wrong_{findings.fault.code}", **values)
        said = (
            words.say("verify_cannot_be_read", wrong=wrong)
            if findings.unreadable
            else words.say("verify_does_not_hold", wrong=wrong)
        )
        yield Text(mark + said, style="bold red")
    lines = Labelled(words)
    if kind is not None and findings.fault is None:
        _counts(plain, findings.stage or "", lines)
    if findings.origin is not None:
        name = words.ltr(shown(findings.origin))
        lines.add("log", words.say("verify_log", name=name, n=f"{findings.size:,}"))
        lines.add("root", words.ltr(findings.root))
    if findings.key is not None:
        whose = words.say(
            "verify_key_outside" if findings.key_from_outside else "verify_key_inside"
        )
        lines.add("key", words.say("verify_key", key=words.ltr(shown(findings.key)), whose=whose))
    if findings.sheet_sha256 is not None:
        whose = words.say(
            "verify_sheet_outside" if findings.sheet_from_outside else "verify_sheet_inside"
        )
        name = words.ltr(findings.sheet_sha256)
        lines.add("sheet", words.say("verify_sheet", name=name, whose=whose))
    if findings.fault is None:
        _levels(plain, lines)
    for line in lines.lines:
        yield Text(mark + line)
    for code in findings.unchecked:
        option, sheet = words.ltr(_OPTIONS.get(code, "")), words.ltr(_SHEET)
        what = words.say(f"verify_unchecked_{code}", option=option, option_sheet=sheet)
        yield Text(mark + words.say("verify_not_checked", what=what), style="yellow")


def rehearsal_mark(kind: str | None, words: Catalogue) -> str:
    """Return what stands in front of every line about an event that is no attempt."""
    if kind in {None, "attempt"}:
        return ""
    other = catalogue("ar" if words.language == "en" else "en")
    return f"[{words.say('rehearsal')} / {other.say('rehearsal')}] "


def _isolated(value: object, words: Catalogue) -> str:
    return str(value) if type(value) is int else words.ltr(shown(value))


def _counts(plain: dict[str, Any], stage: str, lines: Labelled) -> None:
    words, zone = lines.words, str(plain["timezone"])
    say = words.say
    titles = [shown(plain["title"][code]) for code in (words.language, "ar", "en")]
    title = " ".join(dict.fromkeys(words.ltr(one) for one in titles if one))
    kind = say(f"kind_{plain['kind']}")
    lines.add("event", say("verify_event", id=words.ltr(plain["event"]), kind=kind, title=title))
    lines.add("stage", say(f"verify_stage_{stage}"))
    claim_lines(plain, lines)
    peak, figures = "0", figures_of(plain)
    if figures["peak"]:
        at = when(figures["peak_first"], zone, words)
        peak = say("verify_peak", n=f"{figures['peak']:,}", when=at)
    lines.add("peak", peak)
    lines.add("live_peak", say("verify_live_peak", n=f"{figures['live_peak']:,}"))
    _platform(plain, lines)
    lines.add("viewers", say("verify_viewers", n=f"{figures['uniques']:,}"))
    audience_lines(plain, lines)
    profile_lines(plain, lines)
    heartbeats = {"n": f"{plain['heartbeats']:,}", "n_late": f"{plain['late']:,}"}
    lines.add("heartbeats", say("verify_heartbeats", **heartbeats))
    lines.add("excluded", excluded_line(plain, words))
    gaps = plain["gaps"]
    lines.add("gaps", f"{len(gaps):,}" if gaps else say("verify_gaps_none"))
    for gap in gaps[:_GAPS_SHOWN]:
        lines.more(gap_line(gap, zone, words))
    if len(gaps) > _GAPS_SHOWN:
        more = {"n": f"{len(gaps) - _GAPS_SHOWN:,}", "option": words.ltr("--json")}
        lines.more(say("verify_gaps_more", **more))
    history_lines(plain, lines)


def _platform(plain: dict[str, Any], lines: Labelled) -> None:
    """Say what platforms told: the highest number, and what shows whether it stands alone."""
    told, say = plain["platform"], lines.words.say
    if told is None:
        return

    def figure(name: str) -> str:
        return "-" if told[name] is None else f"{told[name]:,}"

    peak = say("verify_platform_none")
    if told["peak"] is not None:
        at = when(told["peak_ms"] // 1000, str(plain["timezone"]), lines.words)
        peak = say("verify_platform_peak", n=figure("peak"), when=at)
    claimed = plain["claimed_count"] == "platform"
    lines.add(
        "platform",
        say("verify_platform_claimed" if claimed else "verify_platform_beside", peak=peak),
    )
    if told["peak_missing"]:
        lines.more(say("verify_platform_missing", n=figure("peak_missing")))
    around = {f"n_{name}": figure(name) for name in ("before", "after", "second", "median")}
    lines.more(say("verify_platform_around", **around))
    samples = {"n_failed": figure("failed"), "n_absent": figure("absent")}
    lines.more(say("verify_platform_samples", n=figure("samples"), **samples))


def _levels(plain: dict[str, Any], lines: Labelled) -> None:
    """Say the levels, whose word each rests on, and how late witnesses and authorities were."""
    words, comma = lines.words, lines.words.say("verify_comma")
    names = {
        "l1": "",
        "l2": comma.join(words.ltr(shown(name)) for name in plain["witnesses"]),
        "l3": comma.join(words.ltr(shown(name)) for name in plain["authorities"]),
    }
    for level in plain["levels"]:
        what = comma.join(words.say(f"verify_rests_{code}") for code in plain["rests_on"][level])
        rests = words.say("verify_rests", what=what)
        values = {"level": words.ltr(level), "names": names[level.lower()], "rests": rests}
        said = words.say(f"verify_level_{level.lower()}", **values)
        if level == "L1":
            lines.add("levels", said)
        else:
            lines.more(said)
    for kind in ("witness", "time"):
        for what, lag_s in plain[f"{kind}_lag_s"].items():
            if lag_s is not None:
                lines.more(words.say(f"verify_lag_{what}_{kind}", n=f"{lag_s:,}"))


def phases(
    tell: Callable[[str, int, int], None], words: Catalogue
) -> Callable[[str, int, int], None]:
    """Return a listener that tells a verification's phases in the catalogue's words."""

    def told(what: str, done: int, everything: int) -> None:
        tell(words.say(f"verify_doing_{what.replace(' ', '_')}"), done, everything)

    return told
