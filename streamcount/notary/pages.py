"""Tests of pages: codes that operators make, and what the service saw of pages opened with one.

Workers learn of the codes with the listing of their event and write what they see into the store, where
it expires (store/directory.py, core/trace.py). Only this process knows which codes there are: after a
restart of it, or of the store, a test is over, and the operator begins another.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict
from typing import Any, Final, NamedTuple, Protocol

from streamcount.config import Settings
from streamcount.core.bucket import BucketError
from streamcount.core.event import ActRefusedError
from streamcount.core.trace import CODE, Trace, verdict

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_CODE_LETTERS: Final = 12


class KeepsTraces(Protocol):
    """Where tests are kept. Every call may raise BucketError."""

    async def begin_test(self, code: str, event: str, life_s: float) -> None:
        """Begin a test that ends by itself."""
        ...

    async def traces(self, code: str) -> tuple[str, list[Trace]] | None:
        """Return a test's event and its connections, the latest first; None when it is over."""
        ...


class _Running(NamedTuple):
    """A test that goes on: its event, and when it ends on the monotonic clock and in Unix seconds."""

    event: str
    until_s: float
    expires: int


class PageTests:
    """The tests that go on, of all events."""

    def __init__(self, settings: Settings, store: KeepsTraces) -> None:
        self._settings = settings
        self._store = store
        # By code, the oldest first.
        self._running: dict[str, _Running] = {}

    def codes(self, event_id: str) -> tuple[str, ...]:
        """Return the codes of an event that workers have to know now."""
        now_s = time.monotonic()
        for code in [code for code, one in self._running.items() if one.until_s <= now_s]:
            del self._running[code]
        return tuple(code for code, one in self._running.items() if one.event == event_id)

    async def begin(self, event_id: str) -> dict[str, Any]:
        """Begin a test; with too many, the oldest ends.

        Raises:
            ActRefusedError: the store cannot be reached.
        """
        life_s = self._settings.test_life_s
        code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LETTERS))
        try:
            await self._store.begin_test(code, event_id, life_s)
        except BucketError as error:
            raise _away(error) from error
        expires = int(time.time() + life_s)
        self._running[code] = _Running(event_id, time.monotonic() + life_s, expires)
        while len(self._running) > self._settings.tests_max:
            del self._running[next(iter(self._running))]
        return {"code": code, "expires": expires}

    async def look(self, event_id: str, code: str) -> dict[str, Any] | None:
        """Return a test and its connections, the latest first; None when there is none of this code.

        Raises:
            ActRefusedError: the store cannot be reached.
        """
        running = self._running.get(code)
        if not CODE.fullmatch(code) or running is None or running.event != event_id:
            return None
        try:
            found = await self._store.traces(code)
        except BucketError as error:
            raise _away(error) from error
        if found is None or found[0] != event_id:
            self._running.pop(code, None)
            return None
        traces = found[1]
        return {
            "code": code,
            "expires": running.expires,
            "verdict": verdict(traces[0]) if traces else "nobody",
            "connections": [asdict(trace) | {"verdict": verdict(trace)} for trace in traces],
        }


def _away(error: BucketError) -> ActRefusedError:
    return ActRefusedError(f"pages cannot be tested now: {error}. Try again in a few seconds")
