"""What an ingest worker has to know of an event: the listing the notary writes and workers read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from streamcount.core.event import Event, parse_event
from streamcount.core.fields import EventError
from streamcount.core.sharing import BUCKETS_MAX, tags
from streamcount.core.trace import CODE

STATES: Final = ("waiting", "open", "final")
_TAG = re.compile(r"[A-Za-z0-9._-]{1,100}")
_KEY = re.compile(r"[0-9a-f]{64}")


class ListingError(ValueError):
    """The bytes are no listing; the message says what about them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An event as workers see it.

    `tag` names its log and never repeats; the tags of its buckets are made from it (sharing.py).
    `pseudonym_key` (32 bytes) turns viewer ids into pseudonyms. `state`:
    waiting (not armed yet), open (armed; may have closed but not settled), final (claim made).
    `archived`, `peak` and `peak_tick` are those of a final event, else 0. `tests`: the codes of pages
    that operators are testing now (trace.py).
    """

    event: Event
    tag: str
    pseudonym_key: bytes
    state: str
    archived: int = 0
    peak: int = 0
    peak_tick: int = 0
    buckets: int = 1
    tests: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The hash tags of its buckets, in order."""
        return tags(self.tag, self.buckets)

    def to_json(self) -> bytes:
        """Return the listing as the store keeps it."""
        return orjson.dumps(
            {
                "event": self.event.as_dict(),
                "tag": self.tag,
                "buckets": self.buckets,
                "pseudonym_key": self.pseudonym_key.hex(),
                "state": self.state,
                "result": [self.archived, self.peak, self.peak_tick],
                "tests": list(self.tests),
            }
        )


def parse_listing(data: bytes) -> Listed:
    """Read a listing.

    Raises:
        ListingError: the bytes are none.
    """
    try:
        given: Any = orjson.loads(data)
        event = parse_event(given["event"])
        tag, key, state = given["tag"], given["pseudonym_key"], given["state"]
        archived, peak, peak_tick = given["result"]
        buckets, tests = given["buckets"], given["tests"]
    except (orjson.JSONDecodeError, EventError, KeyError, TypeError, ValueError) as error:
        msg = f"a listing that cannot be read: {error}"
        raise ListingError(msg) from error
    sound = isinstance(tag, str) and _TAG.fullmatch(tag) and state in STATES
    whole = all(type(number) is int for number in (archived, peak, peak_tick, buckets))
    if not sound or not whole or not isinstance(key, str) or not _KEY.fullmatch(key):
        msg = "a listing whose tag, key, state, buckets or result has another shape"
        raise ListingError(msg)
    if not 1 <= buckets <= BUCKETS_MAX:
        msg = f"a listing with {buckets} buckets, {BUCKETS_MAX} is the most"
        raise ListingError(msg)
    if not isinstance(tests, list) or not all(_is_code(code) for code in tests):
        raise ListingError("a listing whose tests are no codes")
    key_bytes, result = bytes.fromhex(key), (archived, peak, peak_tick)
    return Listed(event, tag, key_bytes, state, *result, buckets, tuple(tests))


def _is_code(given: object) -> bool:
    return isinstance(given, str) and CODE.fullmatch(given) is not None


class EventDirectory(Protocol):
    """Where workers look events up. Every call may raise BucketError."""

    async def changed(self) -> dict[str, Listed] | None:
        """Return the events if they changed since the last call, else None."""
        ...

    async def trace(self, code: str, traces: dict[str, bytes]) -> None:
        """Write traces of a test's connections, by their names, if the test goes on."""
        ...
