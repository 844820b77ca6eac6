"""Calls the operators' API: what the command line does when it asks a running service."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from streamcount.core.event import ActRefusedError, ServiceAwayError

_PATIENCE_S: Final = 60.0
# An act that counts a whole event again.
LONG_S: Final = 3_600.0


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, connect=5)


class OperatorClient:
    """A session with the service that runs on a data directory."""

    def __init__(self, told: dict[str, Any], token: str) -> None:
        """`told` is what the service left word of: its addresses and processes."""
        self.told = told
        self.url: str = told["operator"]
        self.public: str = told["public"]
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._token}"}, timeout=_timeout(_PATIENCE_S)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """End."""
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, body: object = None, *, patience_s: float = _PATIENCE_S
    ) -> Any:
        """Return the answer to a call, if it comes within so many seconds.

        Raises:
            ActRefusedError: the service says no; the message says why.
            ServiceAwayError: it does not answer.
        """
        if self._session is None:
            raise RuntimeError("use `async with`")
        try:
            asked = self._session.request(
                method, self.url + path, json=body, timeout=_timeout(patience_s)
            )
            async with asked as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            raise ServiceAwayError(
                f"the service at {self.url} does not answer ({error}). Is `streamcount serve` running?"
            ) from error
        if response.status >= 400:
            raise ActRefusedError(answer["error"])
        return answer

    async def save(self, path: str, out: Path) -> None:
        """Write the answer to a GET to a file, piece by piece.

        Raises:
            ActRefusedError: the service says no, or does not answer.
            OSError: the file cannot be written.
        """
        if self._session is None:
            raise RuntimeError("use `async with`")
        try:
            async with self._session.get(self.url + path) as response:
                if response.status != 200:
                    raise ActRefusedError((await response.json())["error"])
                with out.open("wb") as file:
                    async for chunk in response.content.iter_chunked(1 << 16):
                        file.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ActRefusedError(f"the service at {self.url} does not answer ({error})") from error


def event_path(event_id: str) -> str:
    """Return where an event is in the API, whatever its id looks like."""
    return f"/api/events/{urllib.parse.quote(event_id, safe='')}"


def find(data: Path) -> OperatorClient:
    """Return a client of the service that runs on this data directory.

    Raises:
        ActRefusedError: none has left word there.
    """
    try:
        service = json.loads((data / "service.json").read_text())
        token = (data / "operator.token").read_text("ascii").strip()
        return OperatorClient(service, token)
    except (OSError, ValueError, KeyError) as error:
        raise ActRefusedError(
            f"no service runs on the data directory {data}. Start one with `streamcount serve`, or say "
            f"which directory with --data"
        ) from error
