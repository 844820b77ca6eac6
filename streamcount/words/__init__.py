"""The catalogue: every string that a viewer, an operator or an adjudicator reads, in Arabic and English.

`en.json` and `ar.json` hold the same keys, flat. Pages fetch them from `/words/<language>.json` and put
`words.key` or `data-word="key"` in place; Python asks `catalogue("ar").say("key", n=5)`. The files are
read by nobody else, and nothing that people read stands anywhere else (`tests/test_words.py`).

    key          a part's prefix (`watch_`, `check_`, `badge_`, `test_`, `platform_`, `verify_`,
                 `follow_`) and what it says; the console's own words have no prefix. A family,
                 `stage_open`, is looked up by its prefix
    {name}       what is put in: the same in both languages; a number's name is `n` or begins with `n_`
    numbers      no sentence bends with a number, as Arabic has six forms for it: the number stands behind
                 its label ("late: {n}") or before a unit that does not change ("{n} s", "{n} ث")
    direction    text in the order in which it is read; what runs left to right in Arabic (times, keys,
                 file names, English) is isolated with U+2066 and U+2069 by whoever puts it in, in HTML
                 by <bdi>. No other direction character is used
    language     modern standard Arabic, plain and polite, with the words of the project's definition. A
                 player is المشغّل, an operator مسؤول العدّ: the word that both could have is the player's

What developers and machines read stays English: commands other than `verify` and `follow`, `--help`, logs,
metrics, the API's errors.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = ("en", "ar")
_ISOLATE: Final = "\u2066", "\u2069"
_STRONG: Final = ("L", "R", "AL")


class Catalogue:
    """The words of one language."""

    def __init__(self, language: str, words: dict[str, str]) -> None:
        self.language = language
        self._words = words

    def say(self, key: str, /, **values: object) -> str:
        """Return a key's text with the values put in; no braces in a value are looked at.

        Raises:
            KeyError: there is no such key, or a value is missing.
        """
        return self._words[key].format_map(values)

    def ltr(self, text: object) -> str:
        """Return text so that, if it runs from left to right, it stays in one piece in this language.

        Which way it runs is what its first letter says (Unicode's bidirectional algorithm, P2).
        """
        plain = str(text)
        if self.language == "en":
            return plain
        kinds = (unicodedata.bidirectional(character) for character in plain)
        if next((kind for kind in kinds if kind in _STRONG), "L") != "L":
            return plain
        return f"{_ISOLATE[0]}{plain}{_ISOLATE[1]}"


@cache
def catalogue(language: str) -> Catalogue:
    """Return the catalogue of a language, one of LANGUAGES."""
    if language not in LANGUAGES:
        raise ValueError(f"no language of ours: {language}")
    text = (resources.files(__name__) / f"{language}.json").read_text("utf-8")
    return Catalogue(language, json.loads(text))
