"""The claim as a document: the number, what it is and is not, and on what each part of it rests."""

from __future__ import annotations

from typing import Any, Final

from streamcount.report import fineprint
from streamcount.report.blocks import (
    Block,
    Document,
    Figure,
    Heading,
    Hero,
    Paragraph,
    Rows,
    Table,
)
from streamcount.report.content import Content
from streamcount.report.curve import Shaded, picture
from streamcount.report.figures import Figures
from streamcount.words import catalogue

# More streams than these are told as a sum; the claim that is attached has all of them.
STREAMS_SHOWN: Final = 12
_POLICY: Final = ("hidden_counts", "muted_counts", "progress")


def claim_document(content: Content, figures: Figures) -> Document:
    """Return the claim's document in the language of `figures`."""
    say = figures.words.say
    top: list[Block] = [hero(content, figures)]
    if not content.fingerprint.key_from_outside:
        top.append(Paragraph(say("report_key_inside"), loud=True))
    curve = curve_figure(content, figures)
    top += [curve] if curve else []
    parts = [
        meaning(content, figures),
        counted(content, figures),
        platform(content, figures),
        streams(content, figures),
        excluded(content, figures),
        agreed(content, figures),
        profile(content, figures),
        fineprint.gaps(content, figures),
        fineprint.levels(content, figures),
        fineprint.unproven(content, figures),
        fineprint.superseded(content, figures),
        fineprint.fingerprint(content, figures),
        fineprint.checking(content, figures),
    ]
    return document(
        "claim", content, figures, [*top, *(b for part in parts for b in part)], len(top)
    )


def document(
    name: str,
    content: Content,
    figures: Figures,
    blocks: list[Block],
    columns_from: int | None = None,
) -> Document:
    """Return a document about this event, with what stands on each of its pages."""
    words, say = figures.words, figures.words.say
    marks = []
    if content.rehearsal:
        other = catalogue("ar" if words.language == "en" else "en")
        marks.append(f"{say('rehearsal')} / {other.say('rehearsal')}")
    if content.claim is None:
        marks.append(say("report_interim"))
    return Document(
        name=name,
        language=words.language,
        title=say(f"report_title_{name}"),
        subtitle=title(content.definition["title"], figures) or content.definition["id"],
        marks=tuple(marks),
        footer=say(
            "report_footer",
            origin=figures.own(content.fingerprint.origin),
            root=words.ltr(content.fingerprint.root),
            entries=figures.number(content.fingerprint.size),
        ),
        page_of=say("report_page_of", page="{page}", pages="{pages}"),
        blocks=tuple(blocks),
        columns_from=columns_from,
    )


def title(texts: dict[str, str], figures: Figures) -> str:
    """Return a text that is there in up to two languages, that of the document first."""
    first = figures.words.language
    order = (first, "ar" if first == "en" else "en")
    found = [figures.own(texts[code]) for code in order if texts[code].strip()]
    return " · ".join(dict.fromkeys(found))


def hero(content: Content, figures: Figures) -> Hero:
    """Return the number and when it was reached."""
    say, claim = figures.words.say, content.claim
    if claim is None:
        return Hero(say("report_interim"), say("report_interim_about"), ())
    caption = say(f"report_caption_{content.definition['claimed_count']}")
    lines = [title(content.definition["organiser"], figures)]
    at, told = claim["instant"], claim["platform"]
    if content.definition["claimed_count"] == "platform":
        if told["peak_ms"] is not None:
            asked = figures.moment(told["peak_ms"] // 1000)
            zone = figures.words.ltr(figures.zone)
            lines.append(say("report_when_asked", when=asked, zone=zone))
        lines.append(say("report_beside", n=figures.number(content.figures["peak"])))
    elif at is None:
        lines.append(say("report_no_instant"))
    if at is not None:
        local = {"since": figures.stamp(at["local"]), "until": figures.stamp(at["until_local"])}
        utc = {"since": figures.stamp(at["utc"]), "until": figures.stamp(at["until_utc"])}
        lines += [say("report_when_held", **local), say("report_when_held_utc", **utc)]
    lines += beside(content, figures)
    return Hero(figures.number(claim["value"]), caption, tuple(line for line in lines if line))


def beside(content: Content, figures: Figures) -> list[str]:
    """Return what must not be overlooked beside the number: exclusions, earlier claims, rules not met."""
    say, claim = figures.words.say, content.claim
    if claim is None:
        return []
    excluded = sum(one["viewers"] for one in claim["exclusions"])
    told = []
    if excluded:
        told.append(say("report_beside_excluded", n=figures.number(excluded)))
    if content.superseded:
        told.append(say("report_beside_superseded", n=figures.number(len(content.superseded))))
    if not claim["profile"]["pass"]:
        told.append(say("report_beside_rules"))
    return told


def curve_figure(content: Content, figures: Figures) -> Figure | None:
    """Return the curve with its words; None when nothing was counted."""
    curve, say = content.curve, figures.words.say
    if curve is None:
        return None
    peak = None
    if content.claim is not None and content.figures["peak_first"] is not None:
        found = content.figures
        peak = (found["peak"], found["peak_first"])
    gaps = [
        Shaded(one.entry["kind"], one.entry["first"], one.entry["last"])
        for one in content.of("gap")
    ]
    target = content.definition["target"]
    drawn = picture(curve, gaps, peak=peak, target=target, offset_s=figures.offset_s)
    legend = [("proven", say("report_curve_proven")), ("live", say("report_curve_live"))]
    if peak:
        legend.append(("peak", say("report_curve_peak", n=figures.number(peak[0]))))
    if target is not None:
        legend.append(("target", say("report_curve_target", n=figures.number(target))))
    kinds = dict.fromkeys(gap.kind for gap in gaps)
    legend += [(kind, say(f"report_curve_{kind}")) for kind in kinds]
    legend.append(("", say("report_curve_zone", zone=figures.words.ltr(figures.zone))))
    return Figure(
        picture=drawn,
        seconds=tuple(figures.clock(one.value, drawn.step_s) for one in drawn.seconds),
        counts=tuple(figures.number(one.value) for one in drawn.counts),
        legend=tuple(legend),
        described=say("report_curve_label"),
    )


def meaning(content: Content, figures: Figures) -> list[Block]:
    """Return what the number is, what it leaves out, and what the claim itself says of it."""
    say, definition = figures.words.say, content.definition
    profile, language = definition["rule_profile"], figures.words.language
    proven = definition["claimed_count"] == "proven"
    window = figures.number(definition["window"])
    blocks: list[Block] = [Heading(say("report_head_meaning"))]
    if not proven:
        blocks.append(Paragraph(say("report_is_platform")))
    blocks.append(
        Paragraph(say("report_is_proven" if proven else "report_beside_proven", n=window))
    )
    if proven and profile["presence_s"] > 1:
        presence = figures.number(profile["presence_s"])
        blocks.append(Paragraph(say("report_is_present", n=presence)))
    if proven:
        blocks.append(Paragraph(say("report_is_not")))
    told = content.claim["words"][language] if content.claim else ""
    if told.strip():
        blocks.append(Paragraph(say("report_told_words", words=figures.own(told))))
    return blocks


def counted(content: Content, figures: Figures) -> list[Block]:
    """Return the figures, with and without those who were excluded."""
    claim, say = content.claim, figures.words.say
    if claim is None:
        return []
    both = [claim["gross"], claim["net"]]

    def row(label: str, *values: str) -> tuple[str, ...]:
        return (label, *values)

    def clock(second: int | None) -> str:
        return figures.number(None) if second is None else figures.clock(second + 1)

    rows = [
        row(say("report_peak"), *(figures.number(one["peak"]) for one in both)),
        row(say("report_peak_first"), *(clock(one["peak_first"]) for one in both)),
        row(say("report_peak_last"), *(clock(one["peak_last"]) for one in both)),
        row(say("report_live_peak"), *(figures.number(one["live_peak"]) for one in both)),
        row(say("report_uniques"), *(figures.number(one["uniques"]) for one in both)),
        row(say("report_average"), *(figures.thousandths(one["average_milli"]) for one in both)),
        row(say("report_watched"), *(figures.span(one["watch_s"]) for one in both)),
    ]
    presence = content.definition["rule_profile"]["presence_s"]
    if presence > 1:
        label = say("report_qualified", n=figures.number(presence))
        rows.insert(3, row(label, *(figures.number(one["qualified"]) for one in both)))
    head = (say("report_head_figures"), say("report_gross"), say("report_net"))
    chosen = say(f"report_count_{content.definition['rule_profile']['count']}")
    blocks: list[Block] = [
        Heading(head[0]),
        Table(("", *head[1:]), tuple(rows), 1),
        Paragraph(chosen),
    ]
    if claim["gross"] != claim["net"]:
        blocks.append(Paragraph(say("report_curve_logged")))
    return blocks


def platform(content: Content, figures: Figures) -> list[Block]:
    """Return what the platform itself told, where it was asked."""
    say, told = figures.words.say, content.claim and content.claim["platform"]
    if not told:
        return []
    at = (
        figures.number(None) if told["peak_ms"] is None else figures.moment(told["peak_ms"] // 1000)
    )
    names = (
        "before",
        "after",
        "second",
        "median",
        "rounds",
        "numbers",
        "samples",
        "failed",
        "absent",
    )
    rows = [
        (say("report_platform_peak"), figures.number(told["peak"])),
        (say("report_platform_at"), at),
    ]
    rows += [(say(f"report_platform_{name}"), figures.number(told[name])) for name in names]
    rows.insert(2, (say("report_platform_missing"), figures.number(told["peak_missing"])))
    return [
        Heading(say("report_head_platform")),
        Paragraph(say("report_platform_about")),
        Rows(tuple(rows)),
    ]


def streams(content: Content, figures: Figures) -> list[Block]:
    """Return who was on which stream at the peak; of many streams, the first by number of viewers."""
    say, claim = figures.words.say, content.claim
    listed: list[dict[str, Any]] = content.definition["streams"]
    if len(listed) == 1:
        return []
    blocks: list[Block] = [Heading(say("report_head_streams"))]
    live = claim["streams"] if claim else []
    if not live:
        return [*blocks, Paragraph(say("report_streams_many", n=figures.number(len(listed))))]
    most = sorted(zip(live, listed, strict=True), key=lambda one: -one[0])
    rows = [
        (title(stream["title"], figures) or figures.own(stream["id"]), figures.number(viewers))
        for viewers, stream in most[:STREAMS_SHOWN]
    ]
    if rest := most[STREAMS_SHOWN:]:
        label = say("report_streams_rest", n=figures.number(len(rest)))
        rows.append((label, figures.number(sum(viewers for viewers, _ in rest))))
    return [
        *blocks,
        Table((say("report_stream"), say("report_stream_live")), tuple(rows), 1),
        Paragraph(say("report_streams_live")),
    ]


def excluded(content: Content, figures: Figures) -> list[Block]:
    """Return for which reasons how many registered viewers were left out."""
    say, claim = figures.words.say, content.claim
    if claim is None:
        return []
    blocks: list[Block] = [Heading(say("report_head_excluded"))]
    if not claim["exclusions"]:
        return [*blocks, Paragraph(say("report_excluded_none"))]
    rows = [
        (figures.own(one["reason"]), figures.number(one["viewers"])) for one in claim["exclusions"]
    ]
    return [*blocks, Table((say("report_reason"), say("report_viewers")), tuple(rows), 1)]


def agreed(content: Content, figures: Figures) -> list[Block]:
    """Return what was agreed on before the event opened."""
    say, definition = figures.words.say, content.definition
    policy = definition["policy"]

    def answer(name: str) -> str:
        return say("report_yes" if policy[name] else "report_no")

    def between(since: int | None, until: int | None) -> str:
        given = [
            figures.number(None) if at is None else figures.moment(at) for at in (since, until)
        ]
        if since is until is None:
            return given[0]
        return say("report_from_to", since=given[0], until=given[1])

    planned = between(definition["planned_start"], definition["planned_end"])
    rows = [
        (say("report_id"), figures.own(definition["id"])),
        (say("report_kind"), say(f"kind_{definition['kind']}")),
        (say("report_planned"), planned),
        (say("report_window"), figures.seconds(definition["window"])),
        (say("report_interval"), figures.seconds(definition["interval"])),
        *((say(f"report_policy_{name}"), answer(name)) for name in _POLICY),
        (say("report_origins"), origins(policy["origins"], figures)),
    ]
    if claim := content.claim:
        rows.insert(3, (say("report_opened"), between(claim["first"], claim["last"] + 1)))
    return [Heading(say("report_head_agreed")), Rows(tuple(rows))]


def origins(listed: list[str], figures: Figures) -> str:
    """Return whose pages were counted; of many the first."""
    say = figures.words.say
    if not listed:
        return say("report_origins_any")
    shown = [
        say("report_origins_none") if one == "none" else figures.own(one) for one in listed[:6]
    ]
    more = [say("report_more", n=figures.number(len(listed) - 6))] if len(listed) > 6 else []
    return "\n".join([*shown, *more])


def profile(content: Content, figures: Figures) -> list[Block]:
    """Return by which rules the claim was measured, and what came of it."""
    say, rules = figures.words.say, content.definition["rule_profile"]
    claim = content.claim
    blocks: list[Block] = [Heading(say("report_head_profile"))]
    found = claim["profile"] if claim else None
    name = figures.own(rules["id"])
    if found is None:
        return [*blocks, Paragraph(say("report_profile_open", name=name))]

    def verdict(good: object) -> str:
        return say("report_met" if good else "report_not_met")

    spans = {"found": figures.span(found["duration_s"]), "asked": figures.span(rules["duration_s"])}
    duration = say("report_profile_duration", **spans)
    single = say(
        "report_profile_single" if rules["single_stream"] else "report_profile_any",
        n=figures.number(found["streams"]),
    )
    rows = [
        (say("report_profile_name"), f"{name} – {verdict(found['pass'])}"),
        (say("report_profile_open_for"), f"{duration} – {verdict(found['duration_ok'])}"),
        (say("report_profile_streams"), f"{single} – {verdict(found['streams_ok'])}"),
        (
            say("report_profile_presence"),
            figures.seconds(rules["presence_s"]),
        ),
    ]
    return [*blocks, Rows(tuple(rows)), Paragraph(say("report_profile_unendorsed"))]
