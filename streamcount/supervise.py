"""The service: starts its processes, starts again what dies, and ends them in order.

    start   store, then notary and workers
    end     workers (viewers are asked to reconnect, what is held is archived), notary, store

A process that dies is started again after a pause that doubles, from `restart_first_s` up to
`restart_most_s`; more than `restarts_max` in a minute, and the service gives up, loudly.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from prometheus_client import multiprocess

from streamcount import ports
from streamcount.app import NOTARY, WORKER, operator_token, tls_context
from streamcount.config import Settings
from streamcount.store import embedded, server

_log = logging.getLogger(__name__)

SERVICE: Final = "service.json"
METRICS: Final = "metrics"
LOCK: Final = "service.lock"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (a folder of one's own is made in it)
_MEMORY_PREFIX: Final = "streamcount-metrics-"
_MINUTE_S: Final = 60.0
_END_GRACE_S: Final = 5.0


class ServiceError(Exception):
    """The service cannot start or go on; the message says why and what to do."""


class AlreadyRunsError(ServiceError):
    """Another service runs on the data directory."""


class Child:
    """A process of the service, started again when it dies."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self._command = command
        self._environment = environment

    async def start(self) -> None:
        """Start it, with a pipe that ends when this process does."""
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            env=self._environment,
            # Ctrl-C is for the service alone, which ends its children in order.
            start_new_session=True,
        )

    async def end(self, grace_s: float) -> None:
        """Ask it to end, and make it."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            _log.warning("%s does not end; killing it", self.name)
            process.kill()
            await process.wait()
        except ProcessLookupError:
            await process.wait()


class Service:
    """All processes of one host."""

    def __init__(self, settings: Settings, log_level: str | None = None) -> None:
        """`log_level`: of the children, when not that of the environment."""
        self._given = settings
        self._log_level = log_level
        self._children: list[Child] = []
        self._store: Child | None = None
        self._store_folder: Path | None = None
        self._reserved: list[socket.socket] = []
        # Held while this service runs: a data directory has one. None before it is taken.
        self._lock: TextIO | None = None
        self._restarts: deque[float] = deque()
        # Monotonic time until which a port may still be held by the service that this one follows.
        self._ports_free_by = 0.0
        self.settings = settings
        self.store_name = ""

    async def stand_by(self) -> None:
        """Wait until no other service runs on the data directory, and take its place.

        Raises:
            ServiceError: something else is in the way.
        """
        told = False
        while self._lock is None:
            try:
                self._lock = prepare_data(self._given.data)
            except AlreadyRunsError:
                if not told:
                    _log.info("standing by: another service runs on %s", self._given.data)
                told = True
                await asyncio.sleep(self._given.standby_poll_s)
        if told:
            _log.warning("the other service has ended; taking its place")
            self._ports_free_by = time.monotonic() + self._given.takeover_s

    async def start(self) -> None:
        """Start everything; return when viewers and operators can connect.

        Raises:
            ServiceError: something is in the way.
        """
        settings = self._given
        self._lock = self._lock or prepare_data(settings.data)
        try:
            tls_context(settings)
        except OSError as error:
            raise ServiceError(f"--tls-cert or --tls-key cannot be used: {error}") from error
        public = await self._reserve("public", settings.public_host, settings.public_port)
        operator = await self._reserve("operator", settings.operator_host, settings.operator_port)
        url = settings.redis_url or await self._start_store()
        self.settings = settings.model_copy(
            update={"redis_url": url, "public_port": public, "operator_port": operator}
        )
        await self._check_store(url)
        environment = self._environment()
        roles = [(NOTARY, 0)] + [(WORKER, slot) for slot in range(settings.workers)]
        for role, slot in roles:
            command = [sys.executable, "-m", "streamcount.app", role, str(slot)]
            # Only the notary asks platforms.
            known = environment if role == NOTARY else _without_keys(environment)
            self._children.append(Child(f"{role}-{slot}", command, known))
        for child in self._children:
            await child.start()
        await self._wait_until_ready()
        self._write_service_file()

    async def watch(self) -> None:
        """Start again what dies, until cancelled.

        Raises:
            ServiceError: too much died in too short a time.
        """
        children = [*self._children] + ([self._store] if self._store else [])
        await asyncio.gather(*(self._watch(child) for child in children))

    async def end(self) -> None:
        """End everything, in order."""
        grace_s = self._given.drain_s + _END_GRACE_S
        workers = [c for c in self._children if c.name.startswith(WORKER)]
        await asyncio.gather(*(child.end(grace_s) for child in workers))
        await asyncio.gather(*(c.end(grace_s) for c in self._children if c not in workers))
        if self._store is not None:
            await self._store.end(_END_GRACE_S)
        if self._store_folder is not None:
            # The guardian does so, too, unless it was ended before it had begun.
            shutil.rmtree(self._store_folder, ignore_errors=True)
        for reserved in self._reserved:
            reserved.close()
        if self._lock is not None:
            (self._given.data / SERVICE).unlink(missing_ok=True)
            remove_metrics(self._metrics)
            self._lock.close()

    @property
    def _metrics(self) -> Path:
        return self._given.data / METRICS

    def addresses(self) -> dict[str, str]:
        """Return where viewers and operators find the service."""
        settings = self.settings
        scheme = "https" if settings.tls_cert else "http"
        return {
            "public": f"{scheme}://{ports.in_url(settings.public_host)}:{settings.public_port}",
            "operator": f"http://{ports.in_url(settings.operator_host)}:{settings.operator_port}",
        }

    # --- Starting ---------------------------------------------------------------------------------

    async def _start_store(self) -> str:
        folder = self._store_folder = embedded.make_folder()
        self._store = Child("store", embedded.command(folder), _without_keys(os.environ))
        await self._store.start()
        return f"unix://{embedded.socket_path(folder)}"

    async def _check_store(self, url: str) -> None:
        try:
            client = server.connect(url, deadline_s=self._given.store_deadline_s)
        except server.ServerError as error:
            raise ServiceError(str(error)) from error
        until = time.monotonic() + (self._given.embedded_start_s if self._store else 0)
        try:
            while True:
                try:
                    self.store_name = await server.check(client, url)
                except server.ServerError as error:
                    if time.monotonic() >= until:
                        raise ServiceError(str(error)) from error
                    await asyncio.sleep(0.05)
                else:
                    return
        finally:
            await client.aclose()

    def _environment(self) -> dict[str, str]:
        """Return the environment of the children: settings, and where metrics are kept."""
        # What a service left that was killed counts for nothing.
        remove_metrics(self._metrics)
        make_metrics(self._metrics)
        environment = dict(os.environ)
        # glibc keeps an arena a thread, each with what was freed in it.
        environment.setdefault("MALLOC_ARENA_MAX", "2")
        for name, value in self.settings.model_dump(exclude_none=True).items():
            environment[f"STREAMCOUNT_{name.upper()}"] = str(value)
        if self._log_level:
            environment["STREAMCOUNT_LOG"] = self._log_level
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(self._metrics.absolute())
        return environment

    async def _wait_until_ready(self) -> None:
        settings = self.settings
        until = time.monotonic() + settings.ready_s
        addresses = [
            (settings.operator_host, settings.operator_port),
            (settings.public_host, settings.public_port),
        ]
        for host, port in addresses:
            while not await ports.answers(host, port):
                dead = [c for c in self._children if c.process and c.process.returncode is not None]
                if dead:
                    raise ServiceError(f"{dead[0].name} ended while starting; its message is above")
                if time.monotonic() > until:
                    raise ServiceError(
                        f"nothing listens at {host}:{port} after {settings.ready_s:.0f} s"
                    )
                await asyncio.sleep(0.05)

    async def _reserve(self, what: str, host: str, port: int) -> int:
        """Hold a port, as soon as a service that this one follows has let go of it."""
        while True:
            try:
                held = ports.hold(what, host, port)
            except ports.PortError as error:
                if time.monotonic() >= self._ports_free_by:
                    raise ServiceError(str(error)) from error
            else:
                self._reserved.append(held)
                return int(held.getsockname()[1])
            await asyncio.sleep(self._given.standby_poll_s)

    def _write_service_file(self) -> None:
        """Leave word of where the service is, for the other commands."""
        plain: dict[str, Any] = {
            **self.addresses(),
            "pid": os.getpid(),
            "children": {c.name: c.process.pid for c in self._all() if c.process},
        }
        path = self._given.data / SERVICE
        new = path.with_suffix(".new")
        new.write_text(json.dumps(plain, indent=1) + "\n")
        new.replace(path)

    def _all(self) -> list[Child]:
        return [*self._children] + ([self._store] if self._store else [])

    # --- Watching ---------------------------------------------------------------------------------

    async def _watch(self, child: Child) -> None:
        pause_s = self._given.restart_first_s
        while child.process is not None:
            started = time.monotonic()
            status = await child.process.wait()
            # Its gauges would be counted for ever.
            multiprocess.mark_process_dead(child.process.pid, str(self._metrics))  # type: ignore[no-untyped-call]
            self._count_restart(child.name)
            if time.monotonic() - started > _MINUTE_S:
                pause_s = self._given.restart_first_s
            _log.warning(
                "%s ended with status %d; starting it again in %.1f s", child.name, status, pause_s
            )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._given.restart_most_s)
            await child.start()
            child.restarts += 1
            try:
                self._write_service_file()
            except OSError as error:
                # A full disk, mostly. Where viewers and operators connect has not changed.
                _log.warning("%s could not be written: %s", SERVICE, error.strerror)

    def _count_restart(self, name: str) -> None:
        now = time.monotonic()
        self._restarts.append(now)
        while self._restarts and now - self._restarts[0] > _MINUTE_S:
            self._restarts.popleft()
        if len(self._restarts) > self._given.restarts_max:
            raise ServiceError(
                f"{name} ended, the {len(self._restarts)}th process to do so within a minute; giving "
                f"up. The messages above say why"
            )


def make_metrics(folder: Path) -> None:
    """Make the folder of metrics: in memory, with a link to it, where the system has a place for that.

    Metrics are files mapped into memory, and a process that writes to such a file on a full disk is killed.
    """
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        folder.symlink_to(tempfile.mkdtemp(prefix=_MEMORY_PREFIX, dir=_MEMORY))
    else:
        folder.mkdir()


def remove_metrics(folder: Path) -> None:
    """Remove the folder of metrics, wherever it is; also what a service left that was killed."""
    if folder.is_symlink():
        there = folder.readlink()
        if there.parent == _MEMORY and there.name.startswith(_MEMORY_PREFIX):
            shutil.rmtree(there, ignore_errors=True)
        folder.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def prepare_data(data: Path) -> TextIO:
    """Make the data directory, and the operator's token in it; return the lock, taken.

    Raises:
        ServiceError: it cannot be made or written, or another service runs on it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data / LOCK).open("w")
    except OSError as error:
        raise ServiceError(
            f"the data directory {data} cannot be written: {error.strerror}. Choose another with --data"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        operator_token(data)
    except BlockingIOError as error:
        lock.close()
        raise AlreadyRunsError(
            f"a service already runs on the data directory {data}. Choose another with --data, or wait "
            f"for it to end with --standby"
        ) from error
    except OSError as error:
        lock.close()
        raise ServiceError(f"the operator's token in {data}: {error.strerror}") from error
    return lock


def _without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without platforms' keys."""
    # Settings are read whatever the case of their names.
    key = "STREAMCOUNT_YOUTUBE_KEY"
    return {name: value for name, value in environment.items() if name.upper() != key}
