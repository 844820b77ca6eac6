"""Taking typed fields out of an object that somebody else wrote, naming the place in every complaint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

TITLE_CHARACTERS_MAX: Final = 200


class EventError(ValueError):
    """The definition of an event is not acceptable; the message names the field and the rule."""


@dataclass(frozen=True, slots=True)
class Title:
    """A text in both languages; at least one of them is not empty."""

    ar: str
    en: str


REQUIRED: Final = object()


class Fields:
    """An object's fields, taken one by one; `done` comes last. Every method raises EventError."""

    def __init__(self, given: object, place: str) -> None:
        if not isinstance(given, dict):
            msg = f"{place}: must be an object"
            raise EventError(msg)
        self._left = dict(given)
        self._place = place

    def take(self, name: str, default: Any) -> Any:
        """Return a field as it is; the default when it is not there."""
        value = self._left.pop(name, default)
        if value is REQUIRED:
            raise self._wrong(name, "is missing")
        return value

    def integer(self, name: str, least: int, most: int, default: Any) -> Any:
        """Return a whole number within these bounds."""
        value = self.take(name, default)
        if value is default:
            return default
        if type(value) is not int or not least <= value <= most:
            raise self._wrong(name, f"must be a whole number from {least} to {most}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.take(name, default)
        if type(value) is not bool:
            raise self._wrong(name, "must be true or false")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """Return one of these words."""
        value = self.take(name, default)
        if value not in choices:
            raise self._wrong(name, f"must be {' or '.join(choices)}")
        return str(value)

    def text(self, name: str, shape: re.Pattern[str], told: str, default: Any = REQUIRED) -> str:
        """Return a text of this shape; `told` says in words which that is."""
        value = self.take(name, default)
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise self._wrong(name, f"must be {told}")
        return value

    def plain(self, name: str, most: int, default: str) -> str:
        """Return a text of at most so many characters."""
        value = self.take(name, default)
        if not isinstance(value, str) or len(value) > most:
            raise self._wrong(name, f"must be text of at most {most} characters")
        return value

    def title(self, name: str, default: Title | None = None) -> Title:
        """Return a text in both languages; without a default one of them must not be empty."""
        given = self.take(name, REQUIRED if default is None else default)
        if isinstance(given, Title):
            return given
        fields = Fields(given, f"{self._place}.{name}")
        title = Title(
            ar=fields.plain("ar", TITLE_CHARACTERS_MAX, ""),
            en=fields.plain("en", TITLE_CHARACTERS_MAX, ""),
        )
        fields.done()
        if default is None and not (title.ar or title.en):
            raise self._wrong(name, "must have text in ar or en")
        return title

    def done(self) -> None:
        """Complain of fields that nobody took."""
        if self._left:
            raise self._wrong(min(map(str, self._left)), "is not a field that exists here")

    def _wrong(self, name: str, rule: str) -> EventError:
        return EventError(f"{self._place}.{name}: {rule}")
