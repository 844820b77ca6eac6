"""CPU per acknowledged heartbeat and memory per connection: ours, the naive server, the floor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loadtests.bench.load import Load
from loadtests.bench.process import cpu_s, memory_bytes
from streamcount.config import Settings
from streamcount.demo import running
from streamcount.store import embedded, server

INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """One server under one load. CPU in microseconds per answered heartbeat, memory in bytes."""

    name: str
    tls: bool
    connections: int
    heartbeats: int
    answered: int
    cpu_us: float
    connection_bytes: int


@dataclass(frozen=True, slots=True)
class Target:
    """A running server: where it listens, which process is measured."""

    port: int
    pid: int
    event: str
    # Answers a connection gets that are no answer to a heartbeat.
    greetings: int


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    extra = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    extra += ["-out", str(cert), "-keyout", str(key)]
    subprocess.run([*command.split(), *extra], check=True, capture_output=True)
    return cert, key


class DroppedError(Exception):
    """A server dropped connections, so its figures would mean nothing."""


@contextlib.asynccontextmanager
async def ours(tls: tuple[Path, Path] | None) -> AsyncIterator[Target]:
    """Run the service with one worker, and an open event."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"tls_cert": tls[0], "tls_key": tls[1]} if tls else {}
        settings = Settings(
            data=Path(folder), workers=1, public_port=0, operator_port=0, open_delay_s=1, **options
        )
        async with running(settings) as client:
            definition = {
                "id": "bench",
                "kind": "demo",
                "title": {"en": "x"},
                "window": 7,
                "interval": 1,
            }
            await client.call("POST", "/api/events", definition)
            await client.call("POST", "/api/events/bench/open")
            await asyncio.sleep(3)
            port = int(client.public.rpartition(":")[2])
            pid = client.told["children"]["worker-0"]
            yield Target(port, pid, "bench", greetings=1)


@contextlib.asynccontextmanager
async def naive(tls: tuple[Path, Path] | None) -> AsyncIterator[Target]:
    """Run the naive server on a Valkey of its own."""
    folder = embedded.make_folder()
    guardian = await asyncio.create_subprocess_exec(
        *embedded.command(folder), stdin=asyncio.subprocess.PIPE
    )
    url = f"unix://{embedded.socket_path(folder)}"
    client = server.connect_one(url, deadline_s=1)
    while True:
        with contextlib.suppress(Exception):
            await client.ping()
            break
        await asyncio.sleep(0.05)
    await client.aclose()
    port = free_port()
    command = [sys.executable, "-m", "loadtests.bench.naive", str(port), url, *map(str, tls or ())]
    try:
        async with _server(command, Target(port, 0, "bench", greetings=0)) as target:
            yield target
    finally:
        if guardian.stdin is not None:
            guardian.stdin.close()
        await guardian.wait()


@contextlib.asynccontextmanager
async def floor(_: tuple[Path, Path] | None) -> AsyncIterator[Target]:
    """Compile and run the C loop."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "floor"
        source = Path(__file__).with_name("floor.c")
        subprocess.run(  # noqa: ASYNC221 (before anything is measured)
            ["gcc", "-O2", "-D_GNU_SOURCE", "-o", program, source], check=True
        )
        port = free_port()
        command = [str(program), str(port)]
        async with _server(command, Target(port, 0, "bench", greetings=1)) as target:
            yield target


@contextlib.asynccontextmanager
async def _server(command: list[str], target: Target) -> AsyncIterator[Target]:
    """Run a server until it is no longer measured; yields its target, with its process."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await _listens(target.port)
        yield replace(target, pid=process.pid)
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


async def measure(
    name: str,
    run: Callable[[tuple[Path, Path] | None], Any],
    tls: tuple[Path, Path] | None,
    connections: int,
    seconds: float,
) -> Figures:
    """Run a server, load it, and return its figures."""
    context = None
    if tls:
        context = ssl.create_default_context(cafile=str(tls[0]))
    # The first connections pay for what is made once; memory is that of the others.
    first = min(100, connections // 2)
    async with run(tls) as target:
        load = Load(target.port, target.event, context)
        await load.connect(first)
        await load.beat(2, INTERVAL_S)
        before = memory_bytes(target.pid)
        await load.connect(connections - first)
        await asyncio.sleep(1)
        idle = (memory_bytes(target.pid) - before) // (connections - first)
        await load.beat(3, INTERVAL_S)
        await asyncio.sleep(4)
        frames, sent, start = load.frames, load.sent, cpu_s(target.pid)
        await load.beat(seconds, INTERVAL_S)
        await asyncio.sleep(4)
        used = cpu_s(target.pid) - start
        answered, heartbeats = load.frames - frames, load.sent - sent
        if load.lost:
            raise DroppedError(
                f"{name} dropped {load.lost} connections: what it did is no comparison"
            )
        load.close()
    return Figures(
        name,
        tls is not None,
        connections,
        heartbeats,
        answered,
        used / max(1, answered) * 1e6,
        idle,
    )


async def compare(
    connections: int, seconds: float, told: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure all of them, one after another."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        tls = certificate(Path(folder))
        runs: list[tuple[str, Callable[..., Any], tuple[Path, Path] | None]] = [
            ("C epoll loop (the floor)", floor, None),
            ("streamcount worker", ours, None),
            ("naive: websockets + ZADD", naive, None),
            ("streamcount worker", ours, tls),
            ("naive: websockets + ZADD", naive, tls),
        ]
        if shutil.which("gcc") is None:
            told("no gcc: the floor is left out, and with it the ratios to it")
            runs = runs[1:]
        for name, run, context in runs:
            told(f"{name}{' with TLS' if context else ''} ...")
            rows.append(asdict(await measure(name, run, context, connections, seconds)))
    return rows


def load_average() -> float:
    """Return the load of the last minute: how noisy the machine is."""
    return os.getloadavg()[0]
