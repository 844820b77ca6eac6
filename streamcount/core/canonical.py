r"""The one way to write a value as JSON: what an entry's bytes are.

Keys sorted by code point, no white space, ASCII only (anything else as \uXXXX with lower-case
digits), integers of magnitude below 2^53 and no other numbers. Reading is strict: bytes that are not
exactly what writing their value would give are refused, so one value has one spelling, and a hash of
the bytes is a hash of the value. docs/evidence-format.md, "Canonical JSON", says the same for people
who write their own verifier.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

INTEGER_LIMIT = 2**53


class NotCanonicalError(ValueError):
    """The bytes are not canonical JSON; the message says what about them."""


# Five levels are all that any entry has (docs/evidence-format.md); what is deeper could exhaust the stack.
DEPTH_MAX: Final = 16
_NESTING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def dump(value: dict[str, Any]) -> bytes:
    """Return the canonical bytes of an object whose integers are below 2^53 in magnitude."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def load(data: bytes) -> dict[str, Any]:
    """Return the object these bytes are the canonical form of.

    Raises:
        NotCanonicalError: they are no JSON object, or not the canonical form of one.
    """
    if _depth(data) > DEPTH_MAX:
        msg = f"more than {DEPTH_MAX} levels"
        raise NotCanonicalError(msg)
    try:
        value = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except NotCanonicalError:
        raise
    except UnicodeDecodeError as error:
        msg = f"a byte above 127 at offset {error.start}"
        raise NotCanonicalError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"no JSON: {error}"
        raise NotCanonicalError(msg) from error
    if not isinstance(value, dict):
        msg = "not an object"
        raise NotCanonicalError(msg)
    if dump(value) != data:
        msg = "JSON, but not in the one canonical spelling"
        raise NotCanonicalError(msg)
    if b"\\ud" in data:
        _refuse_lone_surrogates(value)
    return value


def _depth(data: bytes) -> int:
    """Return how deeply lists and objects are nested, or at most how deeply."""
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return DEPTH_MAX
    deepest = depth = 0
    for found in _NESTING.finditer(data):
        if found[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in b"]}":
            depth -= 1
    return deepest


def _refuse_lone_surrogates(value: dict[str, Any]) -> None:
    """Refuse what is no text at all; a pair of surrogates was read as the one character it is."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        msg = "a lone surrogate"
        raise NotCanonicalError(msg) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        msg = "a key twice in one object"
        raise NotCanonicalError(msg)
    return value


def _integer(digits: str) -> int:
    # The length first: converting a very long literal takes quadratic time.
    if len(digits) > len("-9007199254740992") or abs(int(digits)) >= INTEGER_LIMIT:
        msg = f"an integer of 2^53 or more: {digits[:20]}"
        raise NotCanonicalError(msg)
    return int(digits)


def _refuse_number(digits: str) -> NoReturn:
    msg = f"a number that is no integer: {digits[:20]}"
    raise NotCanonicalError(msg)
