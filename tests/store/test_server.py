"""store/server, store/embedded, store/directory: which servers will do, and the one we bring."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from streamcount.core.event import parse_event
from streamcount.core.listing import Listed, ListingError, parse_listing
from streamcount.store import embedded, server
from streamcount.store.directory import Directory
from tests.conftest import wait_for_valkey

INFO = {"redis_version": "7.0.15", "maxmemory_policy": "noeviction", "role": "master"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "Redis 7.0.15"),
        ({"redis_version": "6.2.0"}, "Redis 6.2.0"),
        ({"valkey_version": "9.1.2", "redis_version": "7.2.4"}, "Valkey 9.1.2"),
        ({"maxmemory_policy": "volatile-lru"}, "Redis 7.0.15"),
    ],
)
def test_a_server_that_will_do_is_named(change, expected):
    assert server.judge(INFO | change, "here") == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"redis_version": "6.0.16"}, "Redis 6.0.16; 6.2 or later"),
        ({"redis_version": "5.0"}, "6.2 or later"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy allkeys-lru.*noeviction"),
        ({"role": "slave"}, "replica"),
    ],
)
def test_a_server_that_will_not_do_is_refused_with_what_to_do(change, said):
    with pytest.raises(server.ServerError, match=said):
        server.judge(INFO | change, "here")


async def test_the_embedded_server_will_do(valkey, store):
    assert (await server.check(store, valkey)).startswith("Valkey 9.")


async def test_a_server_whose_policy_drops_keys_is_refused(valkey, store):
    await store.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(server.ServerError, match="may drop keys"):
            await server.check(store, valkey)
    finally:
        await store.config_set("maxmemory-policy", "noeviction")


async def test_no_server_is_said_with_its_place_and_without_the_password():
    url = "redis://user:secret@127.0.0.1:1/0"
    client = server.connect(url, deadline_s=0.5)
    with pytest.raises(
        server.ServerError, match="no answer from the store at redis://127.0.0.1:1/0"
    ) as caught:
        await server.check(client, url)
    assert "secret" not in str(caught.value)
    await client.aclose()


def test_a_malformed_address_is_said():
    with pytest.raises(server.ServerError, match="Give redis://host"):
        server.connect("http://x", deadline_s=1)


# --- The embedded server ends with its parent ---

PARENT = """
import subprocess, sys, time
from pathlib import Path
from streamcount.store import embedded
folder = Path(sys.argv[1])
guardian = subprocess.Popen(embedded.command(folder), stdin=subprocess.PIPE)
print(guardian.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def family(tmp_path):
    """A parent, its guardian and the server: (parent, guardian's pid, server's pid)."""
    folder = embedded.make_folder()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True
    )
    guardian = int(parent.stdout.readline())
    wait_for_valkey(f"unix://{embedded.socket_path(folder)}")
    (server_pid,) = children(guardian)
    yield parent, guardian, server_pid
    for pid in (parent.pid, guardian, server_pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    parent.wait(60)
    parent.stdout.close()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as listing:
        return [int(child) for child in listing.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid, seconds):
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads /proc")


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_is_gone_when_its_parent_is_killed(family, how):
    parent, guardian, server_pid = family
    parent.send_signal(how)
    assert gone_within(server_pid, 60)
    assert gone_within(guardian, 60)


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_the_server_is_gone_when_the_guardian_is_killed(family):
    _, guardian, server_pid = family
    os.kill(guardian, signal.SIGKILL)
    assert gone_within(server_pid, 60)


@needs_proc
def test_the_guardian_ends_when_the_server_is_killed_so_that_both_are_started_again(family):
    _, guardian, server_pid = family
    os.kill(server_pid, signal.SIGKILL)
    assert gone_within(guardian, 60)


# --- The directory ---

EVENT = parse_event({"id": "lesson", "title": {"ar": "درس"}})
LISTED = Listed(EVENT, "lesson.0123", bytes(32), "open")


def test_a_listing_reads_back():
    assert parse_listing(LISTED.to_json()) == LISTED


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", LISTED.to_json().replace(b"open", b"ajar"), LISTED.to_json().replace(b"lesson.0123", b"a b"),
        LISTED.to_json().replace(b"00", b"zz"), b'{"event":1,"tag":1,"pseudonym_key":1,"state":1}',
    ],
)  # fmt: skip
def test_what_is_no_listing_is_refused(data):
    with pytest.raises(ListingError):
        parse_listing(data)


async def test_workers_see_a_change_once_and_forget_nothing_when_the_store_does(store):
    notary, worker = Directory(store), Directory(store)
    assert await worker.changed() is None
    await notary.publish({"lesson": LISTED}, "v1")
    assert await worker.changed() == {"lesson": LISTED}
    assert await worker.changed() is None
    await store.flushall()
    assert await worker.changed() is None
    await notary.publish({"lesson": LISTED}, "v2")
    assert await worker.changed() == {"lesson": LISTED}


async def test_a_listing_that_cannot_be_read_is_left_out(store, caplog):
    await Directory(store).publish({"lesson": LISTED}, "v1")
    await store.hset("sc:{directory}:events", "odd", b"not json")
    assert await Directory(store).changed() == {"lesson": LISTED}
    assert "odd" in caplog.text
