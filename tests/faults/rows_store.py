"""Rows of the fault matrix: what may happen to the store, and on the way to it."""

from __future__ import annotations

import shutil
import threading
import time

import redis

from tests.faults.proxy import Proxy
from tests.faults.stores import Store
from tests.faults.trial import UnableError, fill, role, row, small_disk
from tests.service import run


def valkey_of(trial):
    """The embedded Valkey's own process id; its guardian is what the service knows."""
    guardian = trial.child("store")
    with open(f"/proc/{guardian}/task/{guardian}/children") as children:
        return int(children.read().split()[0])


def a_redis():
    found = shutil.which("redis-server")
    if found is None:
        raise UnableError("needs Debian's package redis-server")
    return found


@row(3, "store: kill -9, restarted empty")
def store_killed(trial):
    trial.begin()
    for _ in range(4 if trial.full else 1):
        before = trial.child("store")
        trial.kill("store")
        trial.restarted("store", before)
        trial.healed()


@row(3, "store: kill -9, restarted with what its disk had (appendonly everysec)")
def store_killed_with_old_data(trial):
    """What comes back is old: the same keys and epoch under another run id."""
    store = trial.enter(Store(appendonly="yes", appendfsync="everysec"))
    trial.begin("--redis-url", store.url)
    for _ in range(3 if trial.full else 1):
        store.kill()
        trial.injected()
        time.sleep(1)
        store.start()
        trial.healed()


@row(3, "store: away for longer than workers can hold")
def store_away_too_long(trial):
    """What they give up is late; how long that was is a gap."""
    store = trial.enter(Store())
    trial.begin("--redis-url", store.url, STREAMCOUNT_HOLD_S="5", STREAMCOUNT_HELD_TICKS_MAX="11")
    store.kill()
    trial.injected()
    trial.uncertain()
    time.sleep(20)
    store.start()
    trial.healed()
    assert sum(viewer.late for viewer in trial.load.viewers) > 0
    trial.expect_gap("loss")


@row(4, "store hangs: SIGSTOP, shorter and longer than the window")
def store_stopped(trial):
    trial.begin()
    for seconds in (3, 9) if trial.full else (3,):
        with trial.paused(valkey_of(trial)):
            trial.injected()
            time.sleep(seconds)
        trial.healed()


@row(4, "store hangs: CLIENT PAUSE, DEBUG SLEEP")
def store_busy(trial):
    store = trial.enter(Store(enable_debug_command="local"))
    trial.begin("--redis-url", store.url)
    for words in (("CLIENT", "PAUSE", "4000", "ALL"), ("DEBUG", "SLEEP", "4")):
        trial.injected()
        threading.Thread(target=_ask, args=(store, words)).start()
        time.sleep(4.1)
        trial.healed()


def _ask(store, words):
    try:
        store.ask(*words)
    except redis.RedisError:
        pass


@row(5, "reply lost after execution")
def replies_dropped(trial):
    store = trial.enter(Store())
    proxy = trial.enter(Proxy(store.path))
    trial.begin("--redis-url", proxy.url)
    for _ in range(5 if trial.full else 2):
        proxy.drop_replies = True
        trial.injected()
        time.sleep(2)
        proxy.heal()
        trial.healed()


@row(7, "two masters: some workers stay with the old one")
def split_brain(trial):
    """A replica is promoted; the notary goes there, one worker goes on with the zombie."""
    old, new = trial.enter(Store()), trial.enter(Store())
    of_service, of_one = trial.enter(Proxy(old.path)), trial.enter(Proxy(old.path))
    trial.serve("--redis-url", of_service.url)
    trial.enter(role("worker", 7, trial.service, STREAMCOUNT_REDIS_URL=of_one.url))
    until_it_listens(trial, of_one)
    trial.open(60)
    for _ in range(2 if trial.full else 1):
        # The other one takes a copy of everything, as a replica that was promoted has it.
        new.ask("FLUSHALL")
        new.ask("REPLICAOF", "127.0.0.1", "1")
        new.ask("REPLICAOF", "NO", "ONE")
        for key in old_keys(old):
            value = _raw(old, "DUMP", key)
            if value is not None:
                _raw(new, "RESTORE", key, 0, value)
        of_service.target = new.path
        of_service.cut()
        trial.injected()
        time.sleep(5)
        of_one.target = new.path
        of_one.cut()
        trial.healed()
        old, new = new, old


def old_keys(store):
    return _raw(store, "KEYS", "*")


def _raw(store, *words):
    with redis.Redis(unix_socket_path=str(store.path), socket_timeout=5) as client:
        return client.execute_command(*words)


def until_it_listens(trial, proxy):
    trial.until(lambda: proxy.connections > 0)
    time.sleep(1.5)


@row(7, "one worker of three cut off from the store")
def one_worker_cut_off(trial):
    store = trial.enter(Store())
    proxy = trial.enter(Proxy(store.path))
    trial.serve("--redis-url", store.url)
    trial.enter(role("worker", 7, trial.service, STREAMCOUNT_REDIS_URL=proxy.url))
    until_it_listens(trial, proxy)
    trial.open(60)
    for seconds in (4, 8) if trial.full else (4,):
        proxy.timeout = True
        trial.injected()
        time.sleep(seconds)
        proxy.heal()
        trial.healed()


@row(7, "one worker of three cut off for longer than the hold")
def one_worker_cut_off_too_long(trial):
    """The others go on without it; what it heard meanwhile is late."""
    store = trial.enter(Store())
    proxy = trial.enter(Proxy(store.path))
    trial.serve("--redis-url", store.url, STREAMCOUNT_HOLD_S="5")
    cut = {"STREAMCOUNT_REDIS_URL": proxy.url, "STREAMCOUNT_HOLD_S": "5"}
    trial.enter(role("worker", 7, trial.service, **cut))
    until_it_listens(trial, proxy)
    trial.open(60)
    proxy.timeout = True
    trial.injected()
    time.sleep(12)
    proxy.heal()
    trial.healed()
    trial.expect_gap("loss")


@row(9, "scripts gone: SCRIPT FLUSH; everything gone: FLUSHALL")
def flushed(trial):
    store = trial.enter(Store())
    trial.begin("--redis-url", store.url)
    for words in (("SCRIPT", "FLUSH"), ("FLUSHALL",)) * (3 if trial.full else 1):
        store.ask(*words)
        trial.injected()
        time.sleep(1)
        trial.healed()


@row(10, "store out of memory (-OOM); a policy that evicts is refused")
def store_out_of_memory(trial):
    store = trial.enter(Store(maxmemory_policy="allkeys-lru"))
    refused = run(
        "serve", "--data", str(trial.folder / "refused"), "--redis-url", store.url, check=False
    )
    assert refused.returncode == 1
    assert "noeviction" in refused.stderr + refused.stdout
    store.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    trial.begin("--redis-url", store.url)
    for _ in range(2 if trial.full else 1):
        store.ask("CONFIG", "SET", "maxmemory", "1000")
        trial.injected()
        trial.uncertain()
        store.ask("CONFIG", "SET", "maxmemory", "0")
        trial.healed()


@row(11, "the store's own disk is full: -MISCONF")
def store_disk_full(trial):
    """Debian's Redis, everysec: it refuses writes until its file can be written again."""
    binary = a_redis()
    disk = trial.enter(small_disk(trial.folder / "aof", 4 * 2**20))
    store = trial.enter(
        Store(binary, dir=disk, appendonly="yes", appendfsync="everysec", auto_aof_rewrite_percentage=0)
    )  # fmt: skip
    trial.begin("--redis-url", store.url)
    for _ in range(2 if trial.full else 1):
        filler = fill(disk)
        trial.injected()
        trial.uncertain()
        time.sleep(2)
        filler.unlink()
        trial.healed()


@row(16, "latency, jitter, dribble, cut connections between the service and the store")
def slow_network(trial):
    store = trial.enter(Store())
    proxy = trial.enter(Proxy(store.path))
    trial.begin("--redis-url", proxy.url)
    for weather in (
        {"latency_s": 0.2},
        {"latency_s": 0.5, "jitter": True},
        {"slicer_bytes": 40, "slicer_s": 0.002},
        {"limit_data": 3000},
        {"reset_peer": True},
        {"timeout": True},
    ):
        for name, value in weather.items():
            setattr(proxy, name, value)
        if "reset_peer" in weather:
            proxy.cut()
        trial.injected()
        time.sleep(4)
        proxy.heal()
        trial.healed()


@row(16, "late replies: every answer comes after the deadline")
def late_replies(trial):
    store = trial.enter(Store())
    proxy = trial.enter(Proxy(store.path))
    trial.begin("--redis-url", proxy.url)
    for _ in range(3 if trial.full else 1):
        proxy.latency_s = 1.3
        trial.injected()
        time.sleep(5)
        proxy.heal()
        trial.healed()
