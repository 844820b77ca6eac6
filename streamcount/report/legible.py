"""Texts of a pack made such that a page can show them: what cannot be shown is replaced, visibly, and said.

Titles, reasons and notes cannot be changed once the log is written. So a character in one of them that no
font has, as an emoji, must not leave an event without its report: its number takes its place,
`[U+1F389]`, and whoever makes the report is told which character it was, and where. A character that is
missing in our own words stays an error (`typeset.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from streamcount.report.content import Content
from streamcount.report.figures import harmless

# Tries with the fonts; what is left untried after so many is taken to be missing.
TRIES_MAX: Final = 200
# In every font for both languages: printable ASCII, Arabic letters, their marks and digits.
_SURE: Final = frozenset(map(chr, [*range(0x20, 0x7F), *range(0x621, 0x63B), *range(0x641, 0x653)]))


@dataclass(frozen=True, slots=True)
class Odd:
    """A character that was replaced, and the place it stood at."""

    place: str
    character: str

    @property
    def number(self) -> str:
        """Return the character's number in Unicode."""
        return f"U+{ord(self.character):04X}"


def legible(content: Content, shows: Callable[[str], bool]) -> tuple[Content, list[Odd]]:
    """Return the content with every text such that a page can show it, and what was replaced.

    `shows`: whether the fonts have all characters of a text.
    """
    definition, claim = content.definition, content.claim or {}
    places = [
        ("event", definition),
        ("claim", {key: claim.get(key) for key in ("reason", "words", "exclusions")}),
    ]
    places += [
        (f"entry {one.number}", one.entry) for one in content.of("gap", "note", "exclude", "epoch")
    ]
    places += [("log", dataclasses.asdict(content.fingerprint) | {"software": content.software})]
    texts = [pair for place, value in places for pair in _texts(place, value)]
    odd = {c for _, text in texts for c in text} - _SURE
    unseen = {c for c in odd if harmless(c) != c}
    missing = without_glyph(sorted(odd - unseen), shows)
    names = {ord(c): f"[U+{ord(c):04X}]" for c in missing} | dict.fromkeys(
        map(ord, unseen), "\ufffd"
    )
    found = dict.fromkeys(Odd(place, c) for place, text in texts for c in text if ord(c) in names)
    if not found:
        return content, []

    def told(value: Any) -> Any:
        return _mapped(value, lambda text: text.translate(names))

    mended = dataclasses.replace(
        content,
        definition=told(definition),
        claim=content.claim and told(content.claim),
        superseded=tuple(
            dataclasses.replace(one, reason=told(one.reason)) for one in content.superseded
        ),
        fingerprint=dataclasses.replace(
            content.fingerprint,
            origin=told(content.fingerprint.origin),
            key=told(content.fingerprint.key),
        ),
        software=told(content.software),
        course=tuple(dataclasses.replace(one, entry=told(one.entry)) for one in content.course),
        unshown=next((f"[{one.number}]" for one in found if one.character in missing), ""),
    )
    return mended, list(found)


def without_glyph(characters: list[str], shows: Callable[[str], bool]) -> set[str]:
    """Return those of the characters that the fonts do not have; by halves, which needs few tries."""
    missing: set[str] = set()
    left, tries = [characters] if characters else [], 0
    while left:
        some = left.pop()
        tries += 1
        if tries > TRIES_MAX:
            missing.update(some)
        elif shows("".join(some)):
            continue
        elif len(some) == 1:
            missing.update(some)
        else:
            left += [some[: len(some) // 2], some[len(some) // 2 :]]
    return missing


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield every text inside a value, with its place."""
    if isinstance(value, str):
        yield place, value
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    for key, item in inside:
        yield from _texts(f"{place}.{key}", item)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return value
