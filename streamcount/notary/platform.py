"""Platforms that are asked for their own count: the interface, how they are asked, and YouTube.

Another platform is one class with what `Platform` lists; docs/platform.md has an example that a test runs.
`fetch` is how a request is made: by a deadline, without following redirects, with a bounded answer that is
kept as it came. The key is in the request and nowhere else: no message here carries an address, and an
answer that holds the key is withheld. Names are looked up in threads of their own: the archive is written
in the process's other ones, and a resolver that hangs must not keep those.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

import aiohttp
import orjson

from streamcount.config import PlatformSettings, YouTubeSettings
from streamcount.core.platform import ANSWER_BYTES_MAX, YOUTUBE, Counts, read_youtube
from streamcount.notary.names import Resolver

OK: Final = 200
# What an answer with another status may ask for: no request for so long.
_QUOTA_REASONS: Final = {"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"}
_RATE_REASONS: Final = {"rateLimitExceeded", "userRateLimitExceeded", "servingLimitExceeded"}
_TOO_MANY: Final = 429
_STATUS_LEAST: Final = 100
_KEY = re.compile(r"[A-Za-z0-9_.-]{10,200}")
_KEY_FILE_BYTES_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request; the fields of a `platform` entry, and what operators are told.

    `pause_s`: for how long the platform must not be asked again, at least. `trouble`: what is wrong, ""
    when nothing is; never with a key or an address in it.
    """

    status: int | None
    failure: str
    body: bytes
    received: int
    sha256: bytes
    pause_s: float = 0.0
    trouble: str = ""


class Platform(Protocol):
    """A platform that tells how many watch. `name` is what a stream's `platform` calls it."""

    name: str
    videos_per_request_max: int
    requests_per_day_max: int

    def check(self, video: str) -> str:
        """Return what is wrong with a video's id, "" when nothing is seen to be."""
        ...

    def missing(self) -> str:
        """Return what is missing before it can be asked, "" when nothing is."""
        ...

    async def ask(self, videos: Sequence[str]) -> Answer:
        """Ask for some videos at once. What goes wrong is in the answer; nothing is raised for it."""
        ...

    def read(self, body: bytes, videos: Sequence[str]) -> Counts:
        """Return the count of each video from an answer with status 200; None for none, never 0 for it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Asking:
    """A session for asking one platform."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, query: Mapping[str, str], secret: str) -> Answer:
        """Return what comes of GET, and nothing else: whatever happens is in the answer.

        `secret`: the key in the query; an answer in which it stands is withheld.
        """
        if self._session is None:
            self._session = _new_session(self._settings)
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                async with self._session.get(url, params=query, allow_redirects=False) as response:
                    return await self._read(response, secret.encode())
        except TimeoutError:
            return no_answer("timeout", f"no answer in {self._settings.deadline_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The message may hold the address, and so the key: its kind is enough.
            return no_answer("unreachable", f"cannot be reached ({type(error).__name__})")

    async def _read(self, response: aiohttp.ClientResponse, secret: bytes) -> Answer:
        kept, received, digest = bytearray(), 0, hashlib.sha256()
        async for chunk in response.content.iter_any():
            received += len(chunk)
            digest.update(chunk)
            kept += chunk[: ANSWER_BYTES_MAX - len(kept)]
            if received > self._settings.received_bytes_max:
                break
        if response.status < _STATUS_LEAST:
            return no_answer("unreachable", f"answered with status {response.status}")
        body, failure = bytes(kept), "none"
        if secret and secret in body:
            body, failure = b"", "withheld"
        elif received > len(body):
            failure = "too_long"
        trouble = {"withheld": "it answered with our key", "too_long": "its answer is too long"}
        pause_s = _retry_after_s(response, self._settings.pause_most_s)
        return Answer(
            response.status,
            failure,
            body,
            received,
            digest.digest(),
            pause_s,
            trouble.get(failure, ""),
        )

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _new_session(settings: PlatformSettings) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=settings.connections_max,
        resolver=Resolver(settings.lookups_max, "platform-names"),
        keepalive_timeout=settings.keepalive_s,
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.deadline_s),
        auto_decompress=False,
        trust_env=False,
    )


def no_answer(failure: str, trouble: str) -> Answer:
    """Return what there is when no answer came: `timeout` or `unreachable`."""
    return Answer(None, failure, b"", 0, hashlib.sha256().digest(), 0.0, trouble)


def _retry_after_s(response: aiohttp.ClientResponse, most_s: float) -> float:
    """Return what Retry-After asks for (RFC 9110, section 10.2.3), 0 when nothing."""
    given = response.headers.get("Retry-After", "").strip()
    try:
        if given.isascii() and given.isdigit():
            return min(float(given), most_s)
        # Compared with the platform's own clock: this machine's may be another.
        asked, now = (parsedate_to_datetime(text) for text in (given, response.headers["Date"]))
        return min(max((asked - now).total_seconds(), 0.0), most_s)
    except (KeyError, ValueError, TypeError, OverflowError):
        return 0.0


class YouTube:
    """YouTube Data API v3: videos.list with part=liveStreamingDetails, 1 unit a request of up to 50 ids.

    Source: https://developers.google.com/youtube/v3/docs/videos/list and .../docs/errors.
    """

    name = YOUTUBE
    videos_per_request_max = 50

    def __init__(self, settings: PlatformSettings, youtube: YouTubeSettings) -> None:
        self.requests_per_day_max = youtube.units_per_day_max
        self._settings = settings
        self._youtube = youtube
        self._asking = Asking(settings)
        self._key = ""

    def check(self, video: str) -> str:
        """Return what is wrong with a video's id."""
        if re.fullmatch(r"[A-Za-z0-9_-]{11}", video):
            return ""
        return "no id of a YouTube video: the 11 characters behind watch?v= in its address"

    def missing(self) -> str:
        """Look for the key, as long as there is none; return what is wrong with it."""
        if self._key:
            return ""
        given, path = self._youtube.key, self._youtube.key_file
        where = "STREAMCOUNT_YOUTUBE_KEY"
        text = "" if given is None else given.get_secret_value()
        if path is not None:
            where = f"the file that STREAMCOUNT_YOUTUBE_KEY_FILE names, {path},"
            try:
                with path.open("rb") as file:
                    text = file.read(_KEY_FILE_BYTES_MAX).decode("ascii", "replace")
            except OSError as error:
                return f"YouTube cannot be asked: {where} cannot be read: {error.strerror}"
        text = text.strip()
        if not text:
            return (
                "YouTube cannot be asked without a key: set STREAMCOUNT_YOUTUBE_KEY_FILE or "
                "STREAMCOUNT_YOUTUBE_KEY (docs/platform.md)"
            )
        if not _KEY.fullmatch(text):
            return f"YouTube cannot be asked: {where} holds no key of 10 letters and digits or more"
        self._key = text
        return ""

    async def ask(self, videos: Sequence[str]) -> Answer:
        """Ask for some videos at once."""
        # The answer to a request of another event may have let go of the key, or do so meanwhile.
        if wrong := self.missing():
            return no_answer("unreachable", wrong)
        key = self._key
        query = {"part": "liveStreamingDetails", "id": ",".join(videos), "key": key}
        url = f"{self._youtube.url.rstrip('/')}/youtube/v3/videos"
        answer = await self._asking.fetch(url, query, key)
        if answer.status is None or answer.status == OK:
            said = f"YouTube {answer.trouble}" if answer.trouble else ""
            return _with(answer, answer.pause_s, said)
        reason = _reason(answer.body, key)
        # The key may have been exchanged or mended meanwhile.
        self._key = ""
        pause_s, settings = answer.pause_s, self._settings
        if reason in _QUOTA_REASONS:
            pause_s = max(pause_s, settings.quota_pause_s)
        elif reason in _RATE_REASONS or answer.status == _TOO_MANY:
            pause_s = max(pause_s, settings.rate_pause_s)
        return _with(answer, pause_s, f"YouTube answered {answer.status} {reason}".rstrip())

    def read(self, body: bytes, videos: Sequence[str]) -> Counts:
        """Return the count of each video."""
        return read_youtube(body, videos)

    async def close(self) -> None:
        """Let go of connections."""
        await self._asking.close()


def _reason(body: bytes, key: str) -> str:
    """Return why a request was refused, in the word of the API's errors, "" when it is none, or our key."""
    try:
        reason = orjson.loads(body)["error"]["errors"][0]["reason"]
    except (ValueError, LookupError, TypeError):
        return ""
    known = isinstance(reason, str) and re.fullmatch(r"[A-Za-z]{1,40}", reason)
    return reason if known and not (key and key in reason) else ""


def _with(answer: Answer, pause_s: float, trouble: str) -> Answer:
    fields: dict[str, Any] = {
        name: getattr(answer, name) for name in ("status", "failure", "body", "received", "sha256")
    }
    return Answer(**fields, pause_s=pause_s, trouble=trouble)
