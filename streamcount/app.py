"""Where the parts are put together: one process of a role, and the service that runs all of them.

    serve --+-- guardian -- valkey-server     embedded, unless there is a --redis-url
            +-- notary                        notary/, operator/: counts, archives, console and API
            +-- worker 0 .. N-1               ingest/: viewers, sharing the public port

Each child is this program again, with its role as an argument and its settings in the environment. A
child reads its standard input, a pipe from the service: when that ends, so does the child, in good
order. So no child outlives the service, whatever ended it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import secrets
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from streamcount.config import PlatformSettings, Settings, YouTubeSettings
from streamcount.core.event import EVENT_ID
from streamcount.core.listing import Listed
from streamcount.evidence.bundle import export
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.http import PublicHttp
from streamcount.ingest.worker import Worker
from streamcount.limits import SPARE_FILES, raise_open_files
from streamcount.notary import incoming
from streamcount.notary.events import Events
from streamcount.notary.platform import YouTube
from streamcount.notary.polling import Polling
from streamcount.notary.publish import Desk
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.operator.api import OperatorApi
from streamcount.operator.metrics import WorkerMetrics, scrape
from streamcount.store import buckets, server
from streamcount.store.directory import Directory

_log = logging.getLogger(__name__)

TOKEN: Final = "operator.token"  # noqa: S105 (a file's name)
WORKER: Final = "worker"
NOTARY: Final = "notary"
_FAILED: Final = 1


def set_up_logging(name: str) -> None:
    """Log to standard error, one line an event, with the process that says it."""
    given = os.environ.get("STREAMCOUNT_LOG", "INFO").upper()
    known = given in logging.getLevelNamesMapping()
    logging.basicConfig(
        level=given if known else "INFO",
        format=f"%(asctime)s %(levelname)-7s {name} %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    if not known:
        _log.warning("STREAMCOUNT_LOG=%s is none of DEBUG, INFO, WARNING, ERROR; INFO it is", given)


def operator_token(data: Path) -> str:
    """Return the operator's token; the first call in a data directory makes it.

    Raises:
        OSError: it cannot be read or made, or is not one.
    """
    path = data / TOKEN
    try:
        token = path.read_bytes().strip().decode("ascii", "replace")
    except FileNotFoundError:
        token = secrets.token_urlsafe(24)
        new = path.with_name(f".{TOKEN}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    if not re.fullmatch(r"[A-Za-z0-9_-]{20,200}", token):
        # Empty, above all: it would open the operators' port to everybody.
        raise OSError(
            errno.EINVAL,
            f"{path} holds no token of 20 letters and digits or more; remove it, and a new one is made",
        )
    return token


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the public port's TLS settings, None for plain.

    Raises:
        OSError: certificate or key cannot be read or used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


# --- Ending ---------------------------------------------------------------------------------------


async def until_told_to_end() -> None:
    """Return at SIGTERM or SIGINT, or when the service that started this process is gone."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)

    class Parent(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
            ending.set()

    await loop.connect_read_pipe(Parent, os.fdopen(os.dup(0), "rb"))
    await ending.wait()


async def run_until_told(
    work: Coroutine[Any, Any, None], leave: Callable[[], Awaitable[None]]
) -> None:
    """Run some work until this process is told to end, then leave; or until the work fails."""
    working = asyncio.ensure_future(work)
    told = asyncio.ensure_future(until_told_to_end())
    done, _ = await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
    if working in done:
        told.cancel()
        working.result()
    await leave()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


# --- Roles ----------------------------------------------------------------------------------------


class PublicFiles:
    """Files the public port hands out: logs, the embed, its examples, the catalogue of words, OpenAPI."""

    # TypeScript's declarations are read by editors, not by browsers.
    _KINDS: Final = {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".html": "text/html",
        ".json": "application/json",
        ".ts": "text/plain",
    }

    def __init__(self, data: Path) -> None:
        self._events = data / "events"
        self._readers: dict[str, ArchiveReader] = {}
        package = Path(__file__).parent
        embed, words = package / "embed", package / "words"
        self._pages = {
            path.name: path for kind in ("*.js", "*.mjs", "*.d.ts") for path in embed.glob(kind)
        }
        for page in (embed / "examples").iterdir():
            if page.suffix in self._KINDS:
                self._pages[f"examples/{page.name}"] = page
        for catalogue in words.glob("*.json"):
            self._pages[f"words/{catalogue.name}"] = catalogue
        self._pages["openapi.json"] = package / "openapi" / "public.json"
        # The same as scripts: a page whose policy lets it fetch nothing from here can still be told so.
        self._scripts = {
            f"words/{catalogue.stem}.js": b"window.streamcountWords = %b;\n"
            % orjson.dumps(orjson.loads(catalogue.read_bytes()))
            for catalogue in words.glob("*.json")
        }

    def log(self, event: str, path: str) -> bytes | None:
        """Return a file of an event's log, if the event is in this data directory."""
        reader = self._reader(event)
        try:
            return None if reader is None else reader.file(path)
        except (ArchiveError, OSError) as error:
            _log.warning("the log of event %s cannot be read: %s", event, error)
            return None

    def cosign(self, event: str, posted: bytes) -> tuple[int, str]:
        """Take a cosigned checkpoint; return the status of the answer, and what it says."""
        reader = self._reader(event)
        if reader is None:
            return 404, "no such event"
        try:
            incoming.take(reader, posted)
        except incoming.RefusedError as error:
            return error.status, str(error)
        except (ArchiveError, OSError) as error:
            _log.warning("a cosignature for event %s cannot be taken: %s", event, error)
            return 503, "it cannot be taken now; try again later"
        return 200, "taken"

    def _reader(self, event: str) -> ArchiveReader | None:
        folder = self._events / event
        if event not in self._readers:
            # The name came from outside.
            if not EVENT_ID.fullmatch(event) or not folder.is_dir():
                return None
            self._readers[event] = ArchiveReader(folder)
        return self._readers[event]

    def page(self, path: str) -> tuple[bytes, str] | None:
        """Return a page or script, and its content type."""
        script = self._scripts.get(path)
        if script is not None:
            return script, self._KINDS[".js"]
        found = self._pages.get(path)
        return None if found is None else (found.read_bytes(), self._KINDS[found.suffix])


def bucket_maker(
    settings: Settings, deadline_s: float
) -> tuple[Any, Callable[[Listed], list[buckets.Bucket]]]:
    """Return a client of the store, and what makes an event's buckets on it."""
    if settings.redis_url is None:
        raise ValueError("a role needs the address of the store")
    client = server.connect(
        settings.redis_url, deadline_s=deadline_s, masters_age_s=settings.masters_age_s
    )
    return client, lambda listed: buckets.buckets_of(client, listed, settings)


def with_room(settings: Settings, slot: int) -> Settings:
    """Return the settings with no more connections than this process may open files."""
    room = max(1, raise_open_files() - SPARE_FILES)
    if room >= settings.connections_max:
        return settings
    if slot == 0:
        _log.info("open files allow each worker %d connections: see ulimit -n", room)
    return settings.model_copy(update={"connections_max": room})


async def run_worker(settings: Settings, slot: int) -> None:
    """Be an ingest worker until told to end."""
    client, buckets_of = bucket_maker(settings, settings.store_deadline_s)
    gateway = Gateway(with_room(settings, slot))
    http = PublicHttp(gateway, PublicFiles(settings.data))
    await http.start()
    gateway.http = http.connection
    node = f"{os.uname().nodename}-{slot}"
    directory = Directory(client, connections_max=settings.test_connections_max)
    worker = Worker(settings, gateway, directory, buckets_of, (node, secrets.token_hex(4)))
    metrics = WorkerMetrics()

    async def work() -> None:
        await worker.learn_events()
        await worker.listen(tls_context(settings))
        await asyncio.gather(worker.run(), carry())

    async def carry() -> None:
        while True:
            metrics.carry(gateway.outcomes, gateway.admission.open, len(gateway.watching))
            for delivery in worker.deliveries.values():
                if delivery.flush_s:
                    metrics.flushed(delivery.flush_s)
                    delivery.flush_s = 0.0
            await asyncio.sleep(1.0)

    async def leave() -> None:
        await worker.drain()
        await http.stop()
        await client.aclose()

    await run_until_told(work(), leave)


async def run_notary(settings: Settings) -> None:
    """Be the notary of all events in the data directory, with console, API and metrics."""
    client, buckets_of = bucket_maker(settings, settings.arm_deadline_s)
    directory = Directory(client, settings.notary_deadline_s, settings.test_connections_max)
    asked = PlatformSettings()
    polling = Polling([YouTube(asked, YouTubeSettings())], asked)
    events = Events(settings, buckets_of, directory, polling)
    events.load()
    desk = Desk(events)

    async def export_to(event_id: str, path: Path) -> str:
        return await asyncio.to_thread(export, await desk.log(event_id), path)

    def all_counts() -> list[dict[str, Any]]:
        return [counts for name in list(events.notaries) if (counts := desk.counts(name))]

    api = OperatorApi(settings, desk, operator_token(settings.data), scrape(all_counts), export_to)

    async def work() -> None:
        await api.start()
        await events.run()

    async def leave() -> None:
        await api.stop()
        await events.close()
        await client.aclose()

    await run_until_told(work(), leave)


def main(role: str, slot: int) -> int:
    """Be one role; return the exit status. Settings come from the environment."""
    settings = Settings()
    set_up_logging(role if role == NOTARY else f"{role}-{slot}")
    work = run_notary(settings) if role == NOTARY else run_worker(settings, slot)
    try:
        uvloop.run(work)
    except (ArchiveError, OSError, server.ServerError) as error:
        _log.critical("%s", error)
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
