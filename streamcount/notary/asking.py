"""Asking witnesses and authorities over HTTP: bounded in time, bytes and number, and apart from counting.

Names are looked up, files read and written, and proofs made in threads of its own, so that whoever hangs
here delays nobody who counts. Addresses stand in the event's definition; redirects are not followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import aiohttp

from streamcount.config import WitnessSettings
from streamcount.notary.names import Resolver

P = ParamSpec("P")
T = TypeVar("T")
_CHUNK_BYTES = 1 << 14


class AwayError(Exception):
    """No answer that can be used; the message says what came instead. Asking again may help."""


class Asking:
    """What all events share: connections, threads, and how many questions there are at once."""

    def __init__(self, settings: WitnessSettings | None = None) -> None:
        self.settings = settings or WitnessSettings()
        self.turns = asyncio.Semaphore(self.settings.asked_at_once_max)
        self._threads = ThreadPoolExecutor(self.settings.threads_max, "witnessing")
        self._session: aiohttp.ClientSession | None = None

    async def apart(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Run work in a thread of its own."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*given, **named))

    async def ask(
        self, method: str, url: str, body: bytes = b"", kind: str = "text/plain; charset=utf-8"
    ) -> tuple[int, bytes]:
        """Return status and body of an answer.

        Raises:
            AwayError: none came, in time, or it was too long.
        """
        if self._session is None:
            self._session = self._new_session()
        most = self.settings.answer_bytes_max
        try:
            async with self._session.request(
                method,
                url,
                data=body or None,
                headers={"Content-Type": kind},
                allow_redirects=False,
            ) as answer:
                parts, length = [], 0
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    length += len(chunk)
                    if length > most:
                        raise AwayError(f"answered with more than {most} bytes")
                    parts.append(chunk)
                return answer.status, b"".join(parts)
        except TimeoutError as error:
            raise AwayError("no answer in time") from error
        except aiohttp.InvalidURL as error:
            raise AwayError("its url is no address that can be asked") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AwayError(str(error)[:200] or type(error).__name__) from error

    async def close(self) -> None:
        """Let go of connections and threads."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _new_session(self) -> aiohttp.ClientSession:
        settings = self.settings
        connector = aiohttp.TCPConnector(
            limit=settings.asked_at_once_max,
            resolver=Resolver(settings.lookups_max, "witness-names"),
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=settings.deadline_s),
            auto_decompress=False,
            trust_env=False,
        )
