"""What lies beside a followed log: its sheet and its authorities' roots, fetched once and kept.

They are bound to the first entry, which the log's key signed. Another file than that in their place proves
nothing, as whoever is in between can put it there; that is told once, and asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from streamcount.core import papers
from streamcount.core.entries import EventEntry
from streamcount.follow.copy import Copy
from streamcount.follow.source import AwayError, Source


class Papers:
    """Those of one followed log."""

    def __init__(self, source: Source, copy: Copy, tell: Callable[..., Any]) -> None:
        self._source = source
        self._copy = copy
        self._tell = tell
        self._missing: list[str] | None = None
        self._told = False

    async def fetch(self, entry: EventEntry) -> None:
        """Fetch what the copy does not have yet. Never raises for what is answered, or is not."""
        if self._missing is None:
            self._missing = await asyncio.to_thread(self._look, entry)
        for name in list(self._missing):
            try:
                data = await self._source.paper(name, papers.PAPER_BYTES_MAX)
                if not papers.is_right(name, data, entry):
                    raise AwayError(
                        f"{self._source.url}/{name}: not the file that the log's first entry names"
                    )
            except AwayError as error:
                if not self._told:
                    self._tell("trouble", what=str(error))
                self._told = True
                return
            await asyncio.to_thread(self._copy.keep_paper, name, data)
            self._missing.remove(name)

    def _look(self, entry: EventEntry) -> list[str]:
        return [
            name
            for name in papers.names(entry.event)
            if not papers.is_right(name, self._copy.paper(name, papers.PAPER_BYTES_MAX), entry)
        ]
