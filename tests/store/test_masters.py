"""store/masters, store/scripts: every script on a real cluster, and finding masters that moved."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

import numpy as np
import pytest

from streamcount.config import Settings
from streamcount.core.bucket import (
    ON_STREAM,
    STRANGER,
    Arming,
    BucketError,
    Flush,
    Published,
    Status,
)
from streamcount.core.event import parse_event
from streamcount.core.listing import Listed
from streamcount.core.sharing import slot_of
from streamcount.store import server
from streamcount.store.buckets import buckets_of
from streamcount.store.directory import Directory
from streamcount.store.scripts import Script
from tests import deployments

SECOND = 1_000_000
DEADLINE_S = 4.0
SETTINGS = Settings()
EVENT = parse_event(
    {"id": "lesson", "title": {"en": "x"}, "streams": [{"id": "a"}, {"id": "b"}], "window": 7, "interval": 1}
)  # fmt: skip
PRESENT, BOTH = 1, 3


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    with deployments.cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory):
    with deployments.replicated(tmp_path_factory.mktemp("sentinels")) as made:
        yield made


@contextlib.asynccontextmanager
async def client_of(url, **options):
    found = server.connect(url, deadline_s=DEADLINE_S, **options)
    try:
        yield found
    finally:
        await found.aclose()


def listed(log, buckets=3):
    return Listed(EVENT, f"lesson.{log}", bytes(32), "open", buckets=buckets)


def stranger(name, effects=PRESENT):
    return np.array([(name.ljust(16, b"."), 1, effects)], STRANGER).tobytes()


async def armed(bucket, epoch=1, **change):
    found = await bucket.server()
    now = found.time_us // SECOND
    plain = {
        "epoch": epoch, "run_id": found.run_id, "offset_us": 0, "open": now - 3, "close": 0,
        "archived": now - 4, "not_before_us": 0, "pseudonyms": b"x" * 16,
        "bitmaps": [(now - 4, b"\x80", b"")], "members": {"other": f"boot {now}"},
        "published": Published(), "streams": 2,
    }  # fmt: skip
    assert await bucket.arm(Arming(**(plain | change)))
    return now


# --- A cluster ---


async def test_every_script_runs_on_every_master_of_a_cluster(three):
    """A key that a script touches and does not declare is an error there, on another master or not."""
    async with client_of(three.url) as client:
        for bucket in buckets_of(client, listed("every"), SETTINGS):
            now = await armed(bucket)
            told = np.array([(0, 1)], ON_STREAM).tobytes()
            flush = Flush(
                1, "n", "b", now - 2, False, now - 2, b"\x80", b"", stranger(b"new", BOTH), told, b"t" * 16
            )  # fmt: skip
            flushed = await bucket.flush(flush)
            assert (flushed.state.status, flushed.indices) == (Status.OK, [1])
            read = await bucket.read(1, now - 3, 0)
            assert [tick.presence for tick in read.ticks] == [b"", b"\xc0"]
            assert read.members == {"n": f"b {now - 2}", "other": f"boot {now}"}
            state = await bucket.advance(1, now - 2, len(read.journal), 0, Published(live=2))
            assert (state.status, state.archived, state.live) == (Status.OK, now - 2, 2)
            assert await bucket.members() == read.members
            assert await bucket.latest() == (1, now - 2)
            leave = Flush(1, "n", "b", None, leave=True)
            assert (await bucket.flush(leave)).state.status is Status.OK
            await bucket.forget(now - 2)
            assert await bucket.latest() == (0, 0)
    assert all(server.client.keys("sc:{lesson.every*") == [] for server in three.servers)


async def test_each_bucket_is_on_a_master_of_its_own(three):
    async with client_of(three.url) as client:
        found = [await bucket.server() for bucket in buckets_of(client, listed("own"), SETTINGS)]
    runs = [server.client.info("server")["run_id"] for server in three.servers]
    assert [each.run_id for each in found] == runs


async def test_a_key_that_is_not_declared_is_refused_by_a_cluster(three):
    """So that the test above means something."""
    sneaky = Script("server")
    sneaky._text = "return redis.call('GET', 'sc:{elsewhere}:meta')"
    sneaky._sha = "0" * 40
    async with client_of(three.url) as client:
        with pytest.raises(BucketError, match="(?i)undeclared|non local|slot"):
            await sneaky.call(client, ["sc:{here}:meta"], [])


async def test_the_directory_on_a_cluster(three):
    async with client_of(three.url) as client:
        notary, worker = Directory(client), Directory(client)
        assert await worker.changed() is None
        await notary.publish({"lesson": listed("directory")}, "v1")
        assert await worker.changed() == {"lesson": listed("directory")}
        assert await worker.changed() is None
        await notary.publish({}, "v2")
        assert await worker.changed() == {}


async def test_a_slot_that_moved_is_found_by_the_next_call_and_is_fenced(three):
    async with client_of(three.url) as client:
        bucket = buckets_of(client, listed("moved"), SETTINGS)[1]
        now = await armed(bucket)
        slot, (source, target) = slot_of(listed("moved").tags[1]), three.servers[1:]
        three.move(slot, source, target)
        try:
            with pytest.raises(BucketError, match="MovedError"):
                await bucket.flush(Flush(1, "n", "b", now))
            fenced = await bucket.flush(Flush(1, "n", "b", now))
            assert (fenced.state.status, fenced.state.epoch) == (Status.FENCED, 0)
            now = await armed(bucket, 2)
            assert (await bucket.flush(Flush(2, "n", "b", now))).state.status is Status.OK
        finally:
            three.move(slot, target, source)


async def test_while_a_slot_is_being_moved_its_bucket_is_out_of_reach_and_no_other(three):
    async with client_of(three.url) as client:
        one, two = buckets_of(client, listed("moving"), SETTINGS)[:2]
        times = await armed(one), await armed(two)
        slot, (source, target) = slot_of(listed("moving").tags[0]), three.servers[:2]
        ids = three.id(source), three.id(target)
        target.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        source.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        try:
            for _ in range(2):
                with pytest.raises(BucketError, match="TryAgainError|AskError"):
                    await one.flush(Flush(1, "n", "b", times[0], tick=times[0], presence=b"\x80"))
                assert (await two.flush(Flush(1, "n", "b", times[1]))).state.status is Status.OK
        finally:
            for each in (source, target):
                each.client.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
        # Nothing was moved, so this is still the server it was armed on.
        assert (await one.flush(Flush(1, "n", "b", times[0]))).state.status is Status.OK


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_master_that_is_away_keeps_only_its_own_bucket(three, how):
    async with client_of(three.url) as client:
        buckets = buckets_of(client, listed(f"away{how}"), SETTINGS)
        times = [await armed(bucket) for bucket in buckets]
        # Also the first of those who can be asked where masters are.
        away = three.servers[0]
        away.process.send_signal(how)
        try:
            for _ in range(2):
                began = time.monotonic()
                with pytest.raises(BucketError):
                    await buckets[0].flush(Flush(1, "n", "b", times[0]))
                assert time.monotonic() - began < 2 * DEADLINE_S
                for number in (1, 2):
                    flushed = await buckets[number].flush(Flush(1, "n", "b", times[number]))
                    assert flushed.state.status is Status.OK
        finally:
            if how is signal.SIGKILL:
                away.process.wait(60)
                away.start()
            else:
                away.process.send_signal(signal.SIGCONT)
        expected = Status.FENCED if how is signal.SIGKILL else Status.OK
        assert await answered(buckets[0], Flush(1, "n", "b", times[0])) is expected


async def answered(bucket, flush, seconds=120):
    """Flush until there is an answer; return its status. No call takes longer than its deadline."""
    until = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        try:
            return (await bucket.flush(flush)).state.status
        except BucketError:
            assert time.monotonic() - began < 2 * DEADLINE_S
            assert time.monotonic() < until


async def test_one_seed_that_answers_is_enough(three):
    dead = f"127.0.0.1:{deployments.free_port()},"
    url = three.url.replace("cluster://", f"cluster://{dead * 3}")
    async with client_of(url) as client:
        assert await server.check(client, url) == "Valkey 9.1.2, a cluster of 3 masters"


async def test_every_master_of_a_cluster_is_judged(three):
    three.servers[2].client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        async with client_of(three.url) as client:
            with pytest.raises(server.ServerError, match=f"{three.servers[2].port} has maxmemory"):
                await server.check(client, three.url)
    finally:
        three.servers[2].client.config_set("maxmemory-policy", "noeviction")


async def test_one_node_of_a_cluster_alone_is_refused_with_what_to_give(three):
    url = f"redis://{three.servers[0].place}/0"
    async with client_of(url) as client:
        with pytest.raises(server.ServerError, match=r"part of a cluster; give redis\+cluster://"):
            await server.check(client, url)


async def test_a_server_that_is_no_cluster_is_said(sentinels):
    url = f"redis+cluster://{sentinels.master.place}"
    async with client_of(url) as client:
        with pytest.raises(server.ServerError, match="cluster support disabled"):
            await server.check(client, url)


# --- Sentinels ---


async def test_a_name_that_sentinels_do_not_know_is_said(sentinels):
    url = sentinels.url.replace("counting", "another")
    async with client_of(url) as client:
        with pytest.raises(server.ServerError, match="knows no 'another'"):
            await server.check(client, url)


async def test_a_sentinel_that_hangs_keeps_nobody(sentinels):
    hung = sentinels.sentinels[0].process
    hung.send_signal(signal.SIGSTOP)
    try:
        async with client_of(sentinels.url) as client:
            (bucket,) = buckets_of(client, listed("hung", 1), SETTINGS)
            now = await armed(bucket)
            assert (await bucket.flush(Flush(1, "n", "b", now))).state.status is Status.OK
    finally:
        hung.send_signal(signal.SIGCONT)


async def test_a_deposed_master_is_left_for_the_new_one(sentinels):
    """Its clients' connections stay open; that it is read only is what they notice."""
    async with client_of(sentinels.url) as client:
        (bucket,) = buckets_of(client, listed("deposed", 1), SETTINGS)
        now = await armed(bucket)
        before = (await bucket.server()).run_id
        first = sentinels.sentinels[0].client
        deployments.until(lambda: _failover(first))
        until = time.monotonic() + 120
        while time.monotonic() < until:
            flush = Flush(1, "n", "b", now, tick=now, presence=b"\x80")
            if await answered(bucket, flush) is Status.FENCED:
                break
        found = await bucket.server()
        assert found.run_id != before
        now = await armed(bucket, 2)
        assert (await bucket.flush(Flush(2, "n", "b", now))).state.status is Status.OK


def _failover(sentinel):
    try:
        return sentinel.execute_command("SENTINEL", "FAILOVER", "counting")
    except deployments.redis.RedisError:
        return False  # a replica is not good enough yet


async def test_a_plain_client_leaves_a_server_that_was_made_a_replica(tmp_path):
    """Behind one name, which leads elsewhere after a failover: a new connection finds out."""
    one = deployments.Server(tmp_path)
    try:
        async with client_of(f"redis://{one.place}/0") as client:
            (bucket,) = buckets_of(client, listed("plain", 1), SETTINGS)
            now = await armed(bucket)
            connected = one.client.info("clients")["connected_clients"]
            one.client.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(BucketError, match="(?i)read.?only"):
                await bucket.flush(Flush(1, "n", "b", now, tick=now, presence=b"\x80"))
            deployments.until(lambda: one.client.info("clients")["connected_clients"] < connected)
            with pytest.raises(BucketError, match="replica now"):
                await bucket.server()
    finally:
        one.kill()


async def test_a_master_that_was_deposed_behind_its_clients_backs_is_left_in_time(tmp_path):
    """Cut off from everybody but a worker it never learns that it is no master any more."""
    servers = [deployments.Server(tmp_path), deployments.Server(tmp_path)]
    sentinel = deployments.Server(tmp_path, sentinel=servers[0].port)
    try:
        url = f"redis+sentinel://{sentinel.place}/counting"
        async with client_of(url, masters_age_s=0.2) as client:
            (bucket,) = buckets_of(client, listed("behind", 1), SETTINGS)
            now = await armed(bucket)
            sentinel.client.execute_command("SENTINEL", "REMOVE", "counting")
            words = ("SENTINEL", "MONITOR", "counting", "127.0.0.1", servers[1].port, 1)
            sentinel.client.execute_command(*words)
            until = time.monotonic() + 120
            while await answered(bucket, Flush(1, "n", "b", now)) is Status.OK:
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            assert (await bucket.server()).run_id == servers[1].client.info("server")["run_id"]
    finally:
        for each in (sentinel, *servers):
            each.kill()


# --- Addresses ---


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://", "redis+cluster://host", "redis+cluster://host:0", "redis+cluster://h:1/0",
        "redis+cluster://h:1,h", "redis+sentinel://h:1", "redis+sentinel://h:1/a/b", "redis+odd://h:1",
        "redis+sentinel://h:1/a/0/c", "redis+cluster://h:1?db=1", "redis+cluster://h:99999",
    ],
)  # fmt: skip
def test_a_malformed_address_of_several_is_said(url):
    with pytest.raises(server.ServerError, match=r"Give redis://host.*redis\+cluster://host:port"):
        server.connect(url, deadline_s=1)


def test_the_password_of_an_address_of_several_is_not_told():
    with pytest.raises(server.ServerError) as caught:
        server.connect("redis+cluster://user:secret@host", deadline_s=1)
    assert "secret" not in str(caught.value)
