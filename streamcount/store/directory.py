"""The directory: how ingest workers learn which events there are.

    sc:{directory}:version      string  another value whenever an event is added or changes
    sc:{directory}:events       hash    event id -> listing (core/listing.py)
    sc:{directory}:test:<code>  hash    "event" -> its id, connection -> trace (core/trace.py); expires

The notary writes the listings, from its archives, whenever the store has lost them; every worker reads
them. A test of a page goes the other way: the notary begins it, workers write what they see, the notary
reads that; a store that was restarted has forgotten it, and it is over. What is read is checked like
anything else from outside; a listing or trace that cannot be read is left out.
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import Any, Final

from streamcount.core.bucket import BucketError
from streamcount.core.listing import Listed, ListingError, parse_listing
from streamcount.core.trace import Trace, TraceError, parse_trace
from streamcount.store.scripts import Script
from streamcount.store.server import Client

_KEYS: Final = ("sc:{directory}:version", "sc:{directory}:events")
_log = logging.getLogger(__name__)


class Directory:
    """The events in the store."""

    def __init__(
        self, client: Client, deadline_s: float | None = None, connections_max: int = 8
    ) -> None:
        """`deadline_s`: longest wait for an answer, the client's own when None.

        `connections_max`: how many connections of one test are kept.
        """
        self._client = client
        self._deadline_s = deadline_s
        self._connections_max = connections_max
        self._look, self._publish = Script("events"), Script("publish")
        self._trace, self._traced = Script("trace"), Script("traced")
        # The version last read; empty before.
        self._version = b""

    async def changed(self) -> dict[str, Listed] | None:
        """Return the events if they changed since the last call; None if not, or if there are none.

        A store that has lost the directory is no reason to forget events.
        """
        reply = await self._look.call(self._client, _KEYS, [self._version], self._deadline_s)
        try:
            version, flat = reply
            items = iter(flat)
            found = dict(zip(items, items, strict=True))
        except (TypeError, ValueError) as error:
            raise BucketError("the store answered with something that is no directory") from error
        if not version or version == self._version:
            return None
        events = {}
        for name, data in found.items():
            try:
                listed = parse_listing(data)
            except ListingError as error:
                _log.warning("the directory holds %r: %s", name[:80], error)
                continue
            events[listed.event.id] = listed
        self._version = version
        return events

    async def publish(self, events: dict[str, Listed], version: str) -> None:
        """Write the whole directory, if the store does not hold this version of it."""
        args: list[Any] = [version]
        for name, listed in events.items():
            args += [name, listed.to_json()]
        await self._publish.call(self._client, _KEYS, args, self._deadline_s)

    # --- Tests of pages ---------------------------------------------------------------------------

    async def begin_test(self, code: str, event: str, life_s: float) -> None:
        """Begin a test that ends by itself after `life_s`."""
        await self._write(code, int(life_s * 1000), {"event": event.encode()})

    async def trace(self, code: str, traces: dict[str, bytes]) -> None:
        """Write traces of a test's connections, by their names, if the test goes on."""
        await self._write(code, 0, traces)

    async def traces(self, code: str) -> tuple[str, list[Trace]] | None:
        """Return the event of a test and its connections, the latest first; None when it is over."""
        reply = await self._traced.call(self._client, [_test(code)], [], self._deadline_s)
        try:
            items = iter(reply)
            found = dict(zip(items, items, strict=True))
            event = found.pop(b"event").decode() if found else None
        except (TypeError, ValueError, KeyError) as error:
            raise BucketError("the store answered with something that is no test") from error
        if event is None:
            return None
        traces = []
        for name in sorted(found, reverse=True):
            try:
                traces.append(parse_trace(found[name]))
            except TraceError as error:
                _log.warning("the test %s holds %r: %s", code, name[:80], error)
        return event, traces

    async def _write(self, code: str, life_ms: int, values: dict[str, bytes]) -> None:
        args = [life_ms, self._connections_max, *chain.from_iterable(values.items())]
        await self._trace.call(self._client, [_test(code)], args, self._deadline_s)


def _test(code: str) -> str:
    return f"sc:{{directory}}:test:{code}"
