"""What tests share: a real Valkey, the one the service embeds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time

import pytest
from hypothesis import settings

from streamcount.store import embedded, server
from tests.evidence import logs

SEARCH = int(os.environ.get("STREAMCOUNT_EXAMPLES", "0"))

# The machine decides how long an example takes, not the code under test. The examples are the same every
# time, so that a submission fails for what it changed; `make search` looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=SEARCH or 1)
settings.load_profile("search" if SEARCH else "same")


def pytest_collection_modifyitems(items):
    """Deal the slow tests out to the heads of the parts that xdist gives its workers."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    total, ordered = len(items), []
    for worker in range(workers):
        first = slow[worker::workers]
        room = max(0, (total - len(ordered)) // (workers - worker) - len(first))
        ordered += first + rest[:room]
        del rest[:room]
    items[:] = ordered + rest


@contextlib.contextmanager
def running_valkey():
    """Run the embedded Valkey by its guardian; yields its address."""
    folder = embedded.make_folder()
    guardian = subprocess.Popen(embedded.command(folder), stdin=subprocess.PIPE)
    url = f"unix://{embedded.socket_path(folder)}"
    try:
        wait_for_valkey(url)
        yield url
    finally:
        guardian.stdin.close()
        guardian.wait(60)


def wait_for_valkey(url, seconds=120):
    async def ping():
        client = server.connect(url, deadline_s=1)
        try:
            await client.ping()
        finally:
            await client.aclose()

    until = time.monotonic() + seconds
    while True:
        try:
            return asyncio.run(ping())
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.fixture(scope="session")
def valkey():
    with running_valkey() as url:
        yield url


@pytest.fixture(scope="session")
def valkey2():
    """Another one, for services that outlive a test."""
    with running_valkey() as url:
        yield url


@pytest.fixture
async def store(valkey):
    """A client of an empty store."""
    client = server.connect(valkey, deadline_s=60)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(autouse=True)
def _close_archives():
    yield
    while logs.OPENED:
        logs.OPENED.pop().close()
