"""What of the claim's document says how far it reaches: gaps, trust, what is not proven, checks."""

from __future__ import annotations

from typing import Final

from streamcount.report.blocks import Block, Bullets, Code, Heading, Paragraph, Rows
from streamcount.report.content import Content
from streamcount.report.figures import Figures

# Where a check's own options are named in the catalogue's sentences, as `streamcount verify` has them.
_OPTIONS: Final = {"key": "--key", "history": "--checkpoint"}
_SUPERSEDED_SHOWN: Final = 5


def gaps(content: Content, figures: Figures) -> list[Block]:
    """Return for how long measurement was degraded, by kind; the incident list has each gap."""
    say, claim = figures.words.say, content.claim
    if claim is None:
        return []
    found = [(kind, claim[f"{kind}_ticks"]) for kind in ("loss", "clock", "lag")]
    blocks: list[Block] = [Heading(say("report_head_gaps"))]
    if not any(ticks for _, ticks in found):
        return [*blocks, Paragraph(say("report_gaps_none"))]
    rows = [(say(f"verify_gap_{kind}"), figures.seconds(ticks)) for kind, ticks in found if ticks]
    return [*blocks, Rows(tuple(rows))]


def levels(content: Content, figures: Figures) -> list[Block]:
    """Return which levels are reached, and whose word each rests on."""
    say = figures.words.say
    rows = []
    for level in content.levels:
        told = [say("report_level_reached" if level.reached else "report_level_missing")]
        told += [say(f"report_rests_{code}") for code in level.rests]
        if level.who:
            told.append(say("report_level_who", names=" · ".join(map(figures.own, level.who))))
        rows.append((say(f"report_level_{level.name.lower()}"), " ".join(told)))
    return [Heading(say("report_head_levels")), Rows(tuple(rows))]


def unproven(content: Content, figures: Figures) -> list[Block]:
    """Return what was not checked, and what no pack can show."""
    words, say = figures.words, figures.words.say
    options = {"option_sheet": words.ltr("--sheet")}
    items = [
        say(f"verify_unchecked_{code}", option=words.ltr(_OPTIONS.get(code, "")), **options)
        for code in content.unchecked
    ]
    return [Heading(say("report_head_unproven")), Bullets(tuple(items))]


def superseded(content: Content, figures: Figures) -> list[Block]:
    """Return the claims that this one took the place of, the latest first."""
    say = figures.words.say
    if not content.superseded:
        return []
    items = [
        say(
            "report_superseded_one",
            n=figures.number(one.number),
            n_value=figures.number(one.value),
            why=figures.own(one.reason),
        )
        for one in content.superseded[::-1][:_SUPERSEDED_SHOWN]
    ]
    about = say("report_superseded_about", n=figures.number(len(content.superseded)))
    return [Heading(say("report_head_superseded")), Paragraph(about), Bullets(tuple(items))]


def fingerprint(content: Content, figures: Figures) -> list[Block]:
    """Return by which this log is told from all others."""
    say = figures.words.say
    return [
        Heading(say("report_head_fingerprint")),
        *marks(content, figures),
        Code(say("report_origin"), figures.plain(content.fingerprint.origin)),
        Code(say("report_software"), figures.plain(content.software)),
    ]


def marks(content: Content, figures: Figures) -> list[Block]:
    """Return the fingerprint's parts that no other log has: key, root, and the hash of what was agreed."""
    say, found = figures.words.say, content.fingerprint
    whose = say("verify_key_outside" if found.key_from_outside else "verify_key_inside")
    return [
        Code(say("report_key", whose=whose), figures.plain(found.key)),
        Code(say("report_root", n=figures.number(found.size)), found.root),
        *([Code(say("report_sheet"), content.sheet_sha256)] if content.sheet_sha256 else []),
    ]


def checking(content: Content, figures: Figures) -> list[Block]:
    """Return how a stranger checks it, with our program, in a browser, and with openssl."""
    say = figures.words.say
    key = content.fingerprint.key if content.fingerprint.key_from_outside else "KEY"
    language = " --lang ar" if figures.words.language == "ar" else ""
    command = f"streamcount verify PACK.zip --key '{figures.plain(key)}'{language}"
    blocks: list[Block] = [
        Heading(say("report_head_checking")),
        Code(say("report_check_program"), command),
        Code(say("report_check_page"), "streamcount verifier -o verifier.html"),
    ]
    if content.tokens:
        size, name = content.tokens[-1]
        lines = [
            f"head -3 checkpoints-{size}.txt > text",
            f"openssl ts -verify -data text -in time-{size}.{name}.tsr -CAfile trust-{name}.pem",
        ]
        blocks.append(Code(say("report_check_tokens"), " && ".join(lines)))
    if content.claim is not None:
        blocks.append(Paragraph(say("report_check_attached")))
    blocks.append(Paragraph(say("report_check_described")))
    if content.unshown:
        blocks.append(Paragraph(say("report_glyphs", example=figures.own(content.unshown))))
    return blocks
