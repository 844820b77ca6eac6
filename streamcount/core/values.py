"""Values inside entries, read strictly: each reader says the place of what is wrong.

An entry's types are dataclasses, and what stands in its annotations is the rule: `READERS` has a reader for
each spelling, `objects` makes one for an object of exactly some keys, and `plain` is the way back.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

# An integer that may be negative; other integers in entries are not.
Signed = int
# Bytes as they came, not of a hash's length.
Raw = bytes

Reader = Callable[[Any, str], Any]
T = TypeVar("T")


class EntryError(ValueError):
    """The bytes are no entry of this format; the message names the key and the rule."""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: an object for a dataclass, a list for a tuple, base64 for bytes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key(f.name): plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return value


def key(name: str) -> str:
    """Return the key that a field stands for; one that is a word of Python has a `_` behind it."""
    return name.removesuffix("_")


def objects(kind: type[T], readers: Mapping[str, Reader]) -> Callable[[Any, str], T]:
    """Return a reader of objects with exactly the keys of a dataclass."""
    fields = {key(f.name): (f.name, str(f.type)) for f in dataclasses.fields(kind)}  # type: ignore[arg-type]

    def read(value: Any, place: str) -> T:
        if not isinstance(value, dict) or value.keys() != fields.keys():
            raise EntryError(f"{place}: must be an object with exactly {', '.join(fields)}")
        read_ones = {
            name: readers[spelt](value[one], f"{place}.{one}")
            for one, (name, spelt) in fields.items()
        }
        return kind(**read_ones)

    return read


def lists(read: Callable[[Any, str], T]) -> Callable[[Any, str], tuple[T, ...]]:
    """Return a reader of lists of what another one reads."""

    def read_all(value: Any, place: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise EntryError(f"{place}: must be a list")
        return tuple(read(item, place) for item in value)

    return read_all


def optional(read: Callable[[Any, str], T]) -> Callable[[Any, str], T | None]:
    """Return a reader of null, or of what another one reads."""
    return lambda value, place: None if value is None else read(value, place)


def natural(value: Any, place: str) -> int:
    """Read a whole number, 0 or more."""
    if type(value) is not int or value < 0:
        msg = f"{place}: must be a whole number, 0 or more"
        raise EntryError(msg)
    return value


def integer(value: Any, place: str) -> int:
    """Read a whole number."""
    if type(value) is not int:
        msg = f"{place}: must be a whole number"
        raise EntryError(msg)
    return value


def flag(value: Any, place: str) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        msg = f"{place}: must be true or false"
        raise EntryError(msg)
    return value


def text(value: Any, place: str) -> str:
    """Read a text."""
    if not isinstance(value, str):
        msg = f"{place}: must be text"
        raise EntryError(msg)
    return value


def mapping(value: Any, place: str) -> dict[str, Any]:
    """Read an object of any keys; whoever asks for one compares it with the one it must be."""
    if not isinstance(value, dict):
        msg = f"{place}: must be an object"
        raise EntryError(msg)
    return value


def digest(value: Any, place: str) -> bytes:
    """Read 32 bytes."""
    data = raw(value, place)
    if len(data) != 32:
        msg = f"{place}: must be 32 bytes in canonical base64"
        raise EntryError(msg)
    return data


def raw(value: Any, place: str) -> bytes:
    """Read bytes."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error) as error:
        msg = f"{place}: must be base64"
        raise EntryError(msg) from error
    if base64.b64encode(data).decode() != value:
        msg = f"{place}: must be canonical base64"
        raise EntryError(msg)
    return data


READERS: Final[dict[str, Reader]] = {
    "int": natural,
    "int | None": optional(natural),
    "bool": flag,
    "str": text,
    "bytes": digest,
    "Raw": raw,
    "dict[str, Any]": mapping,
    "tuple[int, ...]": lists(natural),
    "tuple[Signed, ...]": lists(integer),
    "tuple[str, ...]": lists(text),
}
