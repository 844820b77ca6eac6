"""What a verification says of a claim: the number, what is not in it, its rules, what it superseded."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from streamcount.cli.labelled import Labelled
from streamcount.cli.terminal import shown

_NOTES_SHOWN: Final = 20


def figures_of(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that are shown: those claimed, or, without a claim, those of the tick entries."""
    claim = plain["claim"]
    if claim is not None:
        figures: dict[str, Any] = claim[plain["rule_profile"]["count"]]
        return figures
    names = {
        "peak": "peak",
        "peak_first": "peak_tick",
        "live_peak": "live_peak",
        "uniques": "uniques",
    }
    return {name: plain[key] for name, key in names.items()}


def claim_lines(plain: dict[str, Any], lines: Labelled) -> None:
    """Say the number claimed, and what is not in it."""
    claim, say = plain["claim"], lines.words.say
    if claim is None:
        return
    value = "-" if claim["value"] is None else f"{claim['value']:,}"
    if plain["claimed_count"] == "platform":
        lines.add("claimed", say("verify_claimed_platform", n=value))
    else:
        lines.add("claimed", say("verify_claimed", n=value))
        lines.more(say("verify_claimed_not_in_it"))
    left_out = sum(one["viewers"] for one in claim["exclusions"])
    if left_out:
        gross = plain["rule_profile"]["count"] == "gross"
        lines.more(
            say("verify_claimed_with" if gross else "verify_claimed_without", n=f"{left_out:,}")
        )


def audience_lines(plain: dict[str, Any], lines: Labelled) -> None:
    """Say gross and net where they differ, and how much was watched."""
    gross, net, say = plain["gross"], plain["net"], lines.words.say
    if gross is None or net is None:
        return
    if gross != net:
        both = {"n_gross": f"{gross['peak']:,}", "n_net": f"{net['peak']:,}"}
        lines.add("gross_net", say("verify_gross_net", **both))
        both = {"n_gross": f"{gross['uniques']:,}", "n_net": f"{net['uniques']:,}"}
        lines.more(say("verify_gross_net_uniques", **both))
    shown_ones = plain[plain["rule_profile"]["count"]]
    average = f"{shown_ones['average_milli'] // 1000:,}.{shown_ones['average_milli'] % 1000:03}"
    watched = f"{shown_ones['watch_s']:,}"
    lines.add("watched", say("verify_watched", n=watched, average=average))


def profile_lines(plain: dict[str, Any], lines: Labelled) -> None:
    """Say whether the event was what its rules ask for, and that nobody endorsed these."""
    claim, rules, say = plain["claim"], plain["rule_profile"], lines.words.say
    if claim is None:
        return
    result, name = claim["profile"], lines.words.ltr(shown(rules["id"]))
    outcome = say("verify_profile_pass" if result["pass"] else "verify_profile_fail")
    lines.add("profile", say("verify_profile", name=name, outcome=outcome))
    if rules["duration_s"]:
        open_for = {"n": f"{result['duration_s']:,}", "n_asked": f"{rules['duration_s']:,}"}
        lines.more(say("verify_profile_duration", **open_for))
    if rules["single_stream"]:
        lines.more(say("verify_profile_streams", n=f"{result['streams']:,}"))
    if rules["presence_s"] > 1:
        figures = claim[rules["count"]]
        there = {"n": f"{figures['qualified']:,}", "n_peak": f"{figures['peak']:,}"}
        asked = f"{rules['presence_s']:,}"
        lines.more(say("verify_profile_presence", **there, n_asked=asked))
    lines.more(say("verify_profile_endorsed"))


def history_lines(plain: dict[str, Any], lines: Labelled) -> None:
    """Say which claims were superseded, and why; and what was written down."""
    words = lines.words
    claims = [*plain["superseded"], *([plain["claim"]] if plain["claim"] else [])]
    for before, after in pairwise(claims):
        lines.add(
            "superseded",
            words.say(
                "verify_superseded",
                n=before["version"],
                n_said="-" if before["value"] is None else f"{before['value']:,}",
                why=words.ltr(shown(after["reason"])),
            ),
        )
    for text in plain["notes"][:_NOTES_SHOWN]:
        lines.add("note", words.ltr(shown(text)))
    if len(plain["notes"]) > _NOTES_SHOWN:
        more = f"{len(plain['notes']) - _NOTES_SHOWN:,}"
        lines.more(words.say("verify_notes_more", n=more, option=words.ltr("--json")))
