"""Where a followed log comes from: its public address, and, for bodies, the operators' API.

    <log>/checkpoint, <log>/tile/entries/...             C2SP tlog-tiles; needs nobody's leave
    <log>/sheet.txt, <log>/trust/<name>.pem              what was agreed
    <operator>/api/events/<event>/frames?start=&end=     entries with their bodies; needs the token

Everything that is answered is taken for hostile: bounded in bytes and time, without redirects, and
believed only as far as whoever calls here can check it.
"""

from __future__ import annotations

import asyncio
import json
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from streamcount.config import FollowLimits
from streamcount.core import segment
from streamcount.tlog import note, tiles

_CHUNK_BYTES: Final = 1 << 16
_ANSWER_SHOWN: Final = 300
# Of a short answer in words.
_ANSWER_BYTES_MAX: Final = 4_096


class AwayError(Exception):
    """It could not be had now; the message says what came instead. Trying again may help."""


class RefusedError(Exception):
    """It is refused, and trying again would not help; the message says what to do."""


class Source:
    """The log at an address. Every call may raise AwayError."""

    def __init__(
        self, log_url: str, limits: FollowLimits, *, operator: str | None = None, token: str = ""
    ) -> None:
        """`log_url`: .../v1/events/ID/log of the public port. `operator`: address of the operators' API."""
        self.url = log_url.rstrip("/").removesuffix("/checkpoint")
        self.operator = None if operator is None else operator.rstrip("/")
        self._limits = limits
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        # Nothing is inflated on the way: a short answer could become a very long one.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=self._limits.answer_s,
                sock_connect=self._limits.deadline_s,
                sock_read=self._limits.deadline_s,
            ),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
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

    async def checkpoint(self) -> bytes:
        """Return what the log shows as its latest checkpoint."""
        status, data = await self._ask("GET", f"{self.url}/checkpoint", note.NOTE_BYTES_MAX)
        if status != 200:
            raise AwayError(f"{self.url}/checkpoint: answered with status {status}")
        return data

    async def paper(self, name: str, bytes_max: int) -> bytes:
        """Return a file that lies beside the log."""
        status, data = await self._ask("GET", f"{self.url}/{name}", bytes_max)
        if status != 200:
            raise AwayError(f"{self.url}/{name}: answered with status {status}")
        return data

    async def wanted(self) -> bytes | None:
        """Return the checkpoint that the log asks its witnesses for; None while it asks for none."""
        status, data = await self._ask("GET", f"{self.url}/cosignatures", note.NOTE_BYTES_MAX)
        if status not in {200, 404}:
            raise AwayError(f"{self.url}/cosignatures: answered with status {status}")
        return data if status == 200 else None

    async def post_cosigned(self, signed: bytes) -> None:
        """Give a cosigned checkpoint to the log.

        However the log refuses it, it is asked again later: whether this key is a witness the signed
        definition says, and a refusal must not end who watches the log.
        """
        url = f"{self.url}/cosignatures"
        status, data = await self._ask("POST", url, _ANSWER_BYTES_MAX, data=signed)
        if status in {400, 403, 404, 409, 413}:
            said = data[:_ANSWER_SHOWN].decode("utf-8", "replace").strip()
            raise AwayError(f"{url}: refused with status {status}: {said}")
        if status != 200:
            raise AwayError(f"{url}: answered with status {status}")

    async def entries(self, start: int, size: int) -> list[bytes]:
        """Return entries from `start` on, at least one, up to the end of their bundle or to `size`."""
        number = start // tiles.WIDTH
        end = min((number + 1) * tiles.WIDTH, size)
        width = end - number * tiles.WIDTH
        found = await self._bundle(number, width)
        if found is None and width < tiles.WIDTH:
            # A log need not keep what is partial once the bundle is full.
            found = await self._bundle(number, tiles.WIDTH)
        if found is None:
            raise AwayError(f"{self.url}: has no bundle of entries {start} to {end - 1}")
        return found[start - number * tiles.WIDTH : width]

    async def frames(self, event_id: str, start: int, size: int) -> list[tuple[bytes, bytes]]:
        """Return entries with their stored bodies from `start` on, at least one, not beyond `size`.

        Raises:
            RefusedError: the operators' API says no.
        """
        url = f"{self.operator}/api/events/{event_id}/frames?start={start}&end={size}"
        status, data = await self._ask(
            "GET", url, self._limits.answer_bytes_max, headers=self._bearer
        )
        self._check(status, data, url)
        try:
            # One more than there can be: small frames in a long answer could be millions.
            some = islice(segment.frames_in(data), size - start + 1)
            found = await asyncio.to_thread(list, some)
        except segment.SegmentError as error:
            raise AwayError(f"{url}: answered {error}") from error
        if not found:
            raise AwayError(f"{url}: answered no entries")
        if len(found) > size - start:
            raise AwayError(f"{url}: answered more entries than the {size - start} there are")
        return found

    async def exclude(self, event_id: str, viewers: list[str], reason: str) -> list[bytes]:
        """Have viewers excluded from all counts; return their pseudonyms.

        Raises:
            RefusedError: the operators' API says no.
        """
        url = f"{self.operator}/api/events/{event_id}/exclude"
        body = {"viewers": viewers, "reason": reason}
        status, data = await self._ask(
            "POST", url, self._limits.answer_bytes_max, headers=self._bearer, json=body
        )
        self._check(status, data, url)
        try:
            names = [bytes.fromhex(name) for name in json.loads(data)["pseudonyms"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise AwayError(f"{url}: answered what is no list of pseudonyms") from error
        if len(names) != len(viewers):
            raise AwayError(f"{url}: answered {len(names)} pseudonyms for {len(viewers)} viewers")
        return names

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _check(self, status: int, data: bytes, url: str) -> None:
        if status in {400, 401, 403, 404, 409}:
            said = data[:_ANSWER_SHOWN].decode("utf-8", "replace").strip()
            raise RefusedError(f"{url}: refused with status {status}: {said}")
        if status != 200:
            raise AwayError(f"{url}: answered with status {status}")

    async def _bundle(self, number: int, width: int) -> list[bytes] | None:
        url = f"{self.url}/{tiles.tile_path('entries', number, width)}"
        status, data = await self._ask("GET", url, tiles.BUNDLE_BYTES_MAX)
        if status == 404:
            return None
        if status != 200:
            raise AwayError(f"{url}: answered with status {status}")
        try:
            return tiles.decode_bundle(data, width)
        except tiles.TileError as error:
            raise AwayError(f"{url}: answered {error}") from error

    async def _ask(self, method: str, url: str, most: int, **options: Any) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("use `async with`")
        try:
            async with self._session.request(
                method, url, allow_redirects=False, **options
            ) as answer:
                parts, length = [], 0
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    length += len(chunk)
                    if length > most:
                        raise AwayError(f"{url}: answered with more than {most} bytes")
                    parts.append(chunk)
                return answer.status, b"".join(parts)
        except TimeoutError as error:
            raise AwayError(f"{url}: no answer in time") from error
        except aiohttp.InvalidURL as error:
            raise RefusedError(f"{url}: is no address that can be asked") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AwayError(f"{url}: {error or type(error).__name__}") from error
