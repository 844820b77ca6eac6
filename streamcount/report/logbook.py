"""The log book and the incident list: what happened by time, as the log itself has it."""

from __future__ import annotations

from typing import Final

from streamcount.report.blocks import Blank, Block, Document, Heading, Paragraph, Signature, Table
from streamcount.report.claim import document
from streamcount.report.content import Content, Told
from streamcount.report.figures import Figures

# Beyond these a list ends with how many more there are; `verify --json` and the pack have all.
ROWS_MAX: Final = 500


def log_book(content: Content, figures: Figures) -> Document:
    """Return the log book: planned, opened, peak, closed, and all that was told in between."""
    say = figures.words.say
    blocks: list[Block] = [
        Paragraph(say("report_book_about", zone=figures.words.ltr(figures.zone))),
        _table(_happenings(content, figures), figures),
        Heading(say("report_book_head_more")),
        Blank(say("report_book_more"), 6),
        Signature((say("report_sign_name"), say("report_sign_signature"), say("report_sign_date"))),
    ]
    return document("logbook", content, figures, blocks)


def incident_list(content: Content, figures: Figures) -> Document:
    """Return the incidents: gaps, exclusions, notes, each with when and why."""
    say = figures.words.say
    rows = [_row(one, figures) for one in content.of("gap", "exclude", "note")]
    about = say("report_incidents_about", zone=figures.words.ltr(figures.zone))
    blocks: list[Block] = [Paragraph(about)]
    if rows:
        blocks.append(_table(rows, figures))
    else:
        blocks.append(Paragraph(say("report_incidents_none")))
    blocks += [
        Heading(say("report_book_head_more")),
        Blank(say("report_incidents_more"), 6),
    ]
    return document("incidents", content, figures, blocks)


def _happenings(content: Content, figures: Figures) -> list[tuple[str, str, str]]:
    """Return the rows of the log book, by time where a time is known."""
    say, definition, claim = figures.words.say, content.definition, content.claim
    timed: list[tuple[int, tuple[str, str, str]]] = []

    def at(second: int | None, what: str, detail: str = "") -> None:
        if second is not None:
            timed.append((second, (figures.moment(second), what, detail)))

    at(definition["planned_start"], say("report_book_planned_start"))
    at(definition["planned_end"], say("report_book_planned_end"))
    opened = False
    for one in content.course:
        if one.entry["type"] == "epoch" and not opened:
            opened = True
            at(one.entry["first"], say("report_book_opened"), _entry(one, figures))
        else:
            timed.append((_second(one), _row(one, figures)))
    if claim and content.figures["peak_first"] is not None:
        peak = say("report_book_peak", n=figures.number(content.figures["peak"]))
        at(content.figures["peak_first"] + 1, peak)
    timed.sort(key=lambda pair: pair[0])
    return [row for _, row in timed]


def _second(one: Told) -> int:
    """Return when it was: what an entry says, or else the end of the tick that it stands behind."""
    for key in ("close", "first"):
        if one.entry["type"] in {"gap", "end", "epoch"} and key in one.entry:
            return int(one.entry[key]) + (key == "close")
    return 0 if one.tick is None else one.tick + 1


def _row(one: Told, figures: Figures) -> tuple[str, str, str]:
    """Return one entry as a row: when, what, why."""
    say, entry = figures.words.say, one.entry
    before = one.tick is None and entry["type"] in {"note", "exclude"}
    when = say("report_book_before") if before else figures.moment(_second(one))
    where = _entry(one, figures)
    match entry["type"]:
        case "gap":
            what = say(f"verify_gap_{entry['kind']}")
            length = figures.seconds(entry["last"] - entry["first"] + 1)
            return when, f"{what} – {length}", _two(entry["reason"], where, figures)
        case "exclude":
            n = figures.number(len(entry["pseudonyms"]))
            what = say("report_book_excluded", n=n)
            return when, what, _two(entry["reason"], where, figures)
        case "note":
            return when, say("report_book_note"), _two(entry["text"], where, figures)
        case "epoch":
            what = say("report_book_epoch", n=figures.number(entry["epoch"]))
            return when, what, _two(entry["reason"], where, figures)
        case "end":
            return when, say("report_book_closed"), where
        case _:
            what = say("report_book_claim", n=figures.number(entry["value"]))
            return when, what, _two(entry["reason"], where, figures)


def _two(text: str, where: str, figures: Figures) -> str:
    return f"{figures.own(text)} ({where})" if text else where


def _entry(one: Told, figures: Figures) -> str:
    return figures.words.say("report_book_entry", n=figures.number(one.number))


def _table(rows: list[tuple[str, str, str]], figures: Figures) -> Table:
    """Return rows as a table; of very many, the first, and how many more there are."""
    say = figures.words.say
    shown = rows[:ROWS_MAX]
    if len(rows) > ROWS_MAX:
        shown.append(("", say("report_more", n=figures.number(len(rows) - ROWS_MAX)), ""))
    head = (say("report_book_when"), say("report_book_what"), say("report_book_why"))
    return Table(head, tuple(shown), 9)
