"""All files of a report: the claim with its proofs, and every template as PDF and as text, by language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamcount.report.blocks import Document
from streamcount.report.claim import claim_document
from streamcount.report.content import Content
from streamcount.report.figures import Figures
from streamcount.report.letters import cover_letter, specialist_statement, witness_statement
from streamcount.report.logbook import incident_list, log_book
from streamcount.report.pages import Attachment, pages
from streamcount.report.plain import markdown
from streamcount.words import catalogue


def make(
    content: Content,
    languages: Sequence[str],
    *,
    arabic_digits: bool,
    attached: Sequence[Attachment],
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file: `claim.pdf` first, in all the languages, then `<language>/...`.

    Raises:
        TypesetError: a page cannot be made.
        ModuleNotFoundError: a package of the extra `report` is not installed.
    """
    dated = content.dated
    said = {
        language: Figures(
            catalogue(language), content.definition["timezone"], arabic_digits=arabic_digits
        )
        for language in languages
    }
    claims = [claim_document(content, figures) for figures in said.values()]
    yield "claim.pdf", pages(*claims, dated=dated, arabic_digits=arabic_digits, attached=attached)
    for language, figures in said.items():
        for document in templates(content, figures):
            name = f"{language}/{document.name.replace('_', '-')}"
            yield f"{name}.pdf", pages(document, dated=dated, arabic_digits=arabic_digits)
            yield f"{name}.md", markdown(document).encode()


def templates(content: Content, figures: Figures) -> Iterator[Document]:
    """Yield what adjudicators ask for beside the claim, to be filled in and signed."""
    yield cover_letter(content, figures)
    yield witness_statement(content, figures, 1)
    yield witness_statement(content, figures, 2)
    yield specialist_statement(content, figures)
    yield log_book(content, figures)
    yield incident_list(content, figures)
