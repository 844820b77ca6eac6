"""Letters that adjudicators ask for: cover letter, statements of witnesses and of a specialist.

What stands in them already is the event, its time and its fingerprint. What a witness saw never does: a
statement that was written for somebody is none.
"""

from __future__ import annotations

from typing import Final

from streamcount.report import fineprint
from streamcount.report.blocks import (
    Blank,
    Block,
    Bullets,
    Document,
    Heading,
    Paragraph,
    Rows,
    Signature,
)
from streamcount.report.claim import document, title
from streamcount.report.content import Content
from streamcount.report.figures import Figures

# What a specialist may have looked at.
_CHECKED: Final = ("pack", "key", "history", "setup", "page")


def cover_letter(content: Content, figures: Figures) -> Document:
    """Return the letter that goes with the evidence."""
    say = figures.words.say
    claim = content.claim
    value = figures.number(claim["value"] if claim else None)
    blocks: list[Block] = [
        Blank(say("report_letter_to"), 2),
        Blank(say("report_letter_date"), 1),
        Paragraph(say("report_cover_greeting")),
        Paragraph(
            say("report_cover_submit", value=value) if claim else say("report_cover_interim")
        ),
        *_event(content, figures, with_number=True),
        Heading(say("report_cover_head_enclosed")),
        Bullets(tuple(say(f"report_cover_enclosed_{n}") for n in range(1, 8))),
        Paragraph(say("report_cover_unproven")),
        Blank(say("report_cover_more"), 3),
        Paragraph(say("report_cover_end")),
        _signed(figures),
    ]
    return document("cover", content, figures, blocks)


def witness_statement(content: Content, figures: Figures, number: int) -> Document:
    """Return the form of an independent witness's statement, blank but for event and fingerprint."""
    say = figures.words.say
    blocks: list[Block] = [
        Paragraph(say("report_witness_about")),
        *_event(content, figures, with_number=False),
        Heading(say("report_witness_head_who")),
        Blank(say("report_witness_name"), 1),
        Blank(say("report_witness_occupation"), 1),
        Blank(say("report_witness_contact"), 1),
        Blank(say("report_witness_independent"), 2),
        Heading(say("report_witness_head_saw")),
        Blank(say("report_witness_where"), 2),
        Blank(say("report_witness_number"), 2),
        Blank(say("report_witness_saw"), 8),
        Blank(say("report_witness_odd"), 3),
        Paragraph(say("report_witness_true")),
        _signed(figures),
    ]
    return document(f"witness_{number}", content, figures, blocks)


def specialist_statement(content: Content, figures: Figures) -> Document:
    """Return the form of the statement of whoever understands the counting, blank likewise."""
    say = figures.words.say
    blocks: list[Block] = [
        Paragraph(say("report_specialist_about")),
        *_event(content, figures, with_number=False),
        Heading(say("report_witness_head_who")),
        Blank(say("report_witness_name"), 1),
        Blank(say("report_specialist_qualified"), 2),
        Blank(say("report_witness_contact"), 1),
        Blank(say("report_witness_independent"), 2),
        Heading(say("report_specialist_head_checked")),
        *(Blank(say(f"report_specialist_{what}"), 2) for what in _CHECKED),
        Blank(say("report_specialist_opinion"), 6),
        Paragraph(say("report_witness_true")),
        _signed(figures),
    ]
    return document("specialist", content, figures, blocks)


def _event(content: Content, figures: Figures, *, with_number: bool) -> list[Block]:
    """Return which event it is, when it was, and its fingerprint; nothing that anybody saw."""
    say, definition, claim = figures.words.say, content.definition, content.claim
    rows = [
        (say("report_event"), title(definition["title"], figures)),
        (say("report_organiser"), title(definition["organiser"], figures)),
        (say("report_id"), figures.own(definition["id"])),
    ]
    if claim:
        since, until = figures.moment(claim["first"]), figures.moment(claim["last"] + 1)
        rows.append((say("report_opened"), say("report_from_to", since=since, until=until)))
        rows.append((say("report_zone"), figures.words.ltr(figures.zone)))
    if claim and with_number and claim["instant"]:
        rows.append((say("report_peak_at"), figures.stamp(claim["instant"]["local"])))
    return [
        Heading(say("report_head_event")),
        Rows(tuple(rows)),
        *fineprint.marks(content, figures),
    ]


def _signed(figures: Figures) -> Signature:
    say = figures.words.say
    return Signature(
        (say("report_sign_name"), say("report_sign_signature"), say("report_sign_date"))
    )
