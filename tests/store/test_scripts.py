"""The Lua scripts on the real server against the model, and the fence."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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
from streamcount.core.presence import bitmap_of
from streamcount.store import server
from streamcount.store.buckets import Bucket
from tests.store.model import SECOND, Model, bits

SETTINGS = Settings(hold_s=4, unarchived_ticks_max=12, viewers_max=9, ticks_per_read_max=5)
WINDOW = 6
NODES = ("a", "b", "c")
nodes = st.sampled_from(NODES)
seconds = st.integers(0, 3)


def name(number: int) -> bytes:
    return bytes([number]) * 16


def strangers_of(pairs):
    return np.array([(name(n), 0, e) for n, e in pairs], STRANGER).tobytes()


class ScriptsAgainstModel(RuleBasedStateMachine):
    """Flush, repeat, late, several nodes, seal, archive, wipe and re-arm, in any order."""

    url = ""

    @initialize()
    def start(self):
        self.runner = asyncio.Runner()
        self.client = self.run(self._connect())
        self.bucket = Bucket(self.client, "test.1", WINDOW, SETTINGS)
        self.epoch = 0
        self.archive = {}  # tick -> (presence, breaks) as the notary would have archived them
        self.registered = []
        self.sent = []
        self.server = self.run(self.bucket.server())
        # Event time is the server's, moved on by the offset alone: the test decides what time it is.
        self.now_us = self.server.time_us
        self.open = self.now_us // SECOND + 2
        self.arm(archived=self.open - 1, members={})

    async def _connect(self):
        client = server.connect(self.url, deadline_s=60)
        await client.flushall()
        return client

    def run(self, call):
        return self.runner.run(call)

    def teardown(self):
        if hasattr(self, "client"):
            self.run(self.client.aclose())
            self.runner.close()

    def arm(self, archived, members, close=0):
        self.epoch += 1
        self.server = self.run(self.bucket.server())
        kept = {t: self.archive[t] for t in sorted(self.archive)[-7:]}
        size = len(self.registered)
        arming = Arming(
            epoch=self.epoch,
            run_id=self.server.run_id,
            offset_us=self.now_us - self.server.time_us,
            open=self.open,
            close=close,
            archived=archived,
            not_before_us=self.now_us,
            pseudonyms=b"".join(self.registered),
            bitmaps=[
                (t, bitmap_of(np.array(sorted(p), np.int64), size).tobytes(),
                 bitmap_of(np.array(sorted(x), np.int64), size).tobytes())
                for t, (p, x) in kept.items()
            ],
            members={node: f"{boot} {delivered}" for node, (boot, delivered) in members.items()},
            published=Published(),
        )  # fmt: skip
        assert self.run(self.bucket.arm(arming))
        self.journal_read = 0
        self.lost_read = []
        self.model = Model(
            open=self.open,
            close=close,
            window=WINDOW,
            lag_us=SECOND,
            hold_us=4 * SECOND,
            archived=archived,
            not_before_us=self.now_us,
            viewers_max=9,
            unarchived_max=12,
            registry={pseudonym: i for i, pseudonym in enumerate(self.registered)},
            presence={t: set(p) for t, (p, _) in kept.items()},
            breaks={t: set(x) for t, (_, x) in kept.items()},
            members=dict(members),
        )

    @property
    def tick(self):
        return self.now_us // SECOND

    def flush(self, flush):
        flushed = self.run(self.bucket.flush(flush))
        # The few microseconds since the offset was set move event time on a little.
        assert 0 <= flushed.state.now_us - self.now_us < 60 * SECOND
        status, indices = self.model.flush(flush, flushed.state.now_us)
        assert (flushed.state.status, list(flushed.indices)) == (status, indices)
        assert flushed.state.sealed == self.model.sealed
        assert flushed.state.viewers == len(self.model.registry)
        return flushed

    @rule(step=seconds)
    def time_passes(self, step):
        self.run(self.client.hincrby("sc:{test.1}:meta", "offset_us", step * SECOND))
        self.now_us += step * SECOND

    @rule(
        node=nodes,
        boot=st.sampled_from(["one", "two", "two+1"]),
        ago=st.integers(-3, 8),
        strangers=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=4),
        known=st.sets(st.integers(0, 8), max_size=3),
        broke=st.sets(st.integers(0, 8), max_size=2),
        complete=st.booleans(),
    )
    def worker_flushes(self, node, boot, ago, strangers, known, broke, complete):
        tick = self.tick - ago
        size = len(self.model.registry)
        known, broke = {k for k in known if k < size}, {b for b in broke if b < size}
        flush = Flush(
            epoch=self.epoch,
            node=node,
            boot=boot,
            delivered=tick if complete else None,
            tick=tick,
            presence=bitmap_of(np.array(sorted(known), np.int64), size).tobytes() if known else b"",
            breaks=bitmap_of(np.array(sorted(broke), np.int64), size).tobytes() if broke else b"",
            strangers=strangers_of(strangers),
            streams=np.array([(k, 1) for k in sorted(known)], ON_STREAM).tobytes(),
            tallies=b"%16d" % len(known),
        )
        self.flush(flush)
        self.sent.append(flush)

    @rule(data=st.data())
    def a_reply_was_lost_and_the_worker_flushes_again(self, data):
        again = [flush for flush in self.sent if flush.epoch == self.epoch]
        if again:
            self.flush(data.draw(st.sampled_from(again)))

    @rule(node=nodes, ago=st.integers(0, 4))
    def worker_has_nothing_but_a_watermark(self, node, ago):
        self.flush(Flush(self.epoch, node, "one", delivered=self.tick - ago))

    @rule(step=seconds)
    def all_members_deliver_and_time_passes(self, step):
        for node, (boot, _) in list(self.model.members.items()):
            back = "one" if boot == "lost" else boot
            self.flush(Flush(self.epoch, node, back, delivered=self.tick))
        self.time_passes(step)

    @rule(
        newcomers=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 3)), min_size=1, max_size=4)
    )
    def a_second_goes_by_as_it_should(self, newcomers):
        """One worker registers, all deliver, the tick is sealed, read and archived."""
        tick = self.tick
        flush = Flush(
            self.epoch, "a", "one", tick, tick=tick, strangers=strangers_of(newcomers), tallies=b"t"
        )
        self.flush(flush)
        self.all_members_deliver_and_time_passes(2)
        self.notary_reads(archive=True)

    @rule(
        late_by=st.integers(0, 3),
        strangers=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=2),
        bits_in=st.booleans(),
        broke=st.booleans(),
    )
    def worker_flushes_a_tick_that_is_sealed(self, late_by, strangers, bits_in, broke):
        """Some of these hold only bits that are in; those are answered OK."""
        tick = self.model.sealed - late_by
        size = len(self.model.registry)
        here = self.model.presence.get(tick, set())
        broken = self.model.breaks.get(tick, set())
        if bits_in:
            inside = {number for number, i in self.numbers() if i in here}
            strangers = [(n, e) for n, e in strangers if n in inside]
        flush = Flush(
            self.epoch, "a", "one", None, tick=tick,
            presence=bitmap_of(np.array(sorted(here), np.int64), size).tobytes(),
            breaks=bitmap_of(np.array(sorted(broken | here if broke else set()), np.int64), size).tobytes(),
            strangers=strangers_of(strangers),
        )  # fmt: skip
        self.flush(flush)

    def numbers(self):
        return [(pseudonym[0], index) for pseudonym, index in self.model.registry.items()]

    @rule(node=nodes)
    def worker_leaves(self, node):
        self.flush(Flush(self.epoch, node, "one", delivered=None, leave=True))

    @rule(over=st.integers(1, 20))
    def a_bit_beyond_the_registry_is_refused(self, over):
        size = len(self.model.registry) + over
        beyond = bitmap_of(np.array([size - 1]), size).tobytes()
        flush = Flush(self.epoch, "a", "one", None, tick=self.tick, presence=beyond)
        assert self.flush(flush).state.status is Status.REFUSED

    @rule()
    def calls_of_another_epoch_change_nothing(self):
        before = self.run(self._everything())
        for epoch in (self.epoch - 1, self.epoch + 1):
            flush = Flush(
                epoch, "a", "one", self.tick, tick=self.tick, strangers=strangers_of([(1, 1)])
            )
            flushed = self.run(self.bucket.flush(flush))
            assert (flushed.state.status, flushed.state.epoch) == (Status.FENCED, self.epoch)
            read = self.run(self.bucket.read(epoch, self.model.archived + 1, 0))
            assert read.state.status is Status.FENCED
            state = self.run(self.bucket.advance(epoch, self.tick, 0, 0, Published()))
            assert state.status is Status.FENCED
        assert self.run(self._everything()) == before

    async def _everything(self):
        return {key: await self.client.dump(key) for key in sorted(await self.client.keys("*"))}

    @rule(archive=st.booleans())
    def notary_reads(self, archive):
        first = self.model.archived + 1
        read = self.run(self.bucket.read(self.epoch, first, self.journal_read))
        self.model.seal(read.state.now_us)
        assert read.state.sealed == self.model.sealed
        ticks = range(first, min(self.model.sealed, first + 4) + 1)
        assert [sealed.tick for sealed in read.ticks] == list(ticks)
        for sealed in read.ticks:
            assert bits(sealed.presence) == self.model.presence.get(sealed.tick, set())
            assert bits(sealed.breaks) == self.model.breaks.get(sealed.tick, set())
            assert sorted(sealed.tallies) == sorted(
                self.model.tallies.get(sealed.tick, {}).values()
            )
        members = {
            node: f"{boot} {delivered}" for node, (boot, delivered) in self.model.members.items()
        }
        assert read.members == members
        if archive and read.ticks:
            self.take(read)

    def take(self, read):
        """What the notary does with what it read: registrations, ticks, then the watermark."""
        for entry in read.journal:
            if entry[:1] == b"r":
                first, _, packed = entry[1:].partition(b" ")
                assert int(first) == len(self.registered)
                self.registered += [packed[i : i + 16] for i in range(0, len(packed), 18)]
            else:
                first, last, why, node = entry[1:].decode().split(" ")
                self.lost_read.append((int(first), int(last), why, node))
        self.journal_read += len(read.journal)
        for sealed in read.ticks:
            here = bits(sealed.presence)
            self.archive[sealed.tick] = (here, bits(sealed.breaks) - here)
        archived = read.ticks[-1].tick
        published = Published(5, 4, 6, archived, True)
        for _ in range(2):  # the reply may be lost
            state = self.run(
                self.bucket.advance(
                    self.epoch, archived, self.journal_read, self.model.close, published
                )
            )
            assert (state.status, state.archived) == (Status.OK, archived)
            assert (state.live, state.proven, state.peak, state.peak_tick) == (5, 4, 6, archived)
            assert state.uncertain == 1
        self.model.archived = archived
        self.model.forget_before(archived - SETTINGS.recent_ticks(WINDOW))
        assert [name_ for name_, _ in sorted(self.model.registry.items(), key=lambda i: i[1])][
            : len(self.registered)
        ] == self.registered
        assert self.lost_read == self.model.lost

    @rule(back=st.integers(1, 3))
    def archived_never_goes_back_nor_beyond_what_is_sealed(self, back):
        for archived in (self.model.archived - back, self.model.sealed + back):
            state = self.run(self.bucket.advance(self.epoch, archived, 0, 0, Published()))
            assert state.status is Status.REFUSED

    @rule(back=st.integers(1, 3))
    def a_call_that_comes_after_the_next_one_moves_nothing_back(self, back):
        archived, read, close = self.model.archived, self.journal_read, self.model.close
        older = [(read - back, close)] * (read >= back) + [(read, 0), (read, close + 1)] * bool(
            close
        )
        for journal_read, closes in older:
            call = self.bucket.advance(self.epoch, archived, journal_read, closes, Published())
            state = self.run(call)
            assert (state.status, state.close) == (Status.REFUSED, close)
            assert state.journal_base == read

    @rule(keep=st.booleans())
    def the_store_loses_everything_and_is_armed_again(self, keep):
        members = dict(self.model.members) if keep else {}
        self.run(self.client.flushall())
        flush = Flush(self.epoch, "a", "one", self.tick)
        flushed = self.run(self.bucket.flush(flush))
        assert (flushed.state.status, flushed.state.epoch) == (Status.FENCED, 0)
        self.arm(self.model.archived, members, self.model.close)

    @rule()
    def armed_again_over_what_is_there(self):
        self.arm(self.model.archived, dict(self.model.members), self.model.close)

    @rule()
    def scripts_are_forgotten(self):
        self.run(self.client.script_flush())

    @rule(ahead=st.integers(0, 4))
    def the_event_closes(self, ahead):
        if self.model.close or self.model.archived < self.open:
            return
        self.model.close = max(self.tick + ahead, self.model.sealed)
        state = self.run(
            self.bucket.advance(
                self.epoch, self.model.archived, self.journal_read, self.model.close, Published()
            )
        )
        assert state.close == self.model.close

    @invariant()
    def nothing_has_a_time_to_live_and_no_tick_is_left_behind(self):
        if not hasattr(self, "model"):
            return
        for key in self.run(self.client.keys("*")):
            assert self.run(self.client.ttl(key)) == -1
            kind, _, tick = key.decode().rpartition(":")
            if kind[-1] in "pxst" and tick.isdigit():
                assert int(tick) > self.model.archived - 7 - 2 * 5


def test_scripts_do_what_the_model_does(valkey):
    ScriptsAgainstModel.url = valkey
    machine = ScriptsAgainstModel.TestCase()
    machine.settings = settings(
        max_examples=100,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    machine.runTest()


# --- The fence, and hostile contents ---


async def armed(store, tag="fence.1", **change):
    bucket = Bucket(store, tag, WINDOW, SETTINGS)
    found = await bucket.server()
    now = found.time_us // SECOND
    plain = {
        "epoch": 1, "run_id": found.run_id, "offset_us": 0, "open": now - 3, "close": 0,
        "archived": now - 4, "not_before_us": 0, "pseudonyms": b"", "bitmaps": [], "members": {},
        "published": Published(),
    }  # fmt: skip
    assert await bucket.arm(Arming(**(plain | change)))
    return bucket, now


async def test_another_run_id_in_meta_fences(store):
    """What a replica promoted to master, or a slot moved to another node, looks like."""
    bucket, now = await armed(store)
    await store.hset("sc:{fence.1}:meta", "run_id", "0" * 40)
    flushed = await bucket.flush(
        Flush(1, "a", "one", now, tick=now, strangers=strangers_of([(1, 1)]))
    )
    assert (flushed.state.status, flushed.state.epoch) == (Status.FENCED, 0)
    assert await store.exists("sc:{fence.1}:registry") == 0


async def test_arming_begins_again_when_the_server_is_another(store):
    bucket, now = await armed(store)
    arming = Arming(2, "0" * 40, 0, now, 0, now - 1, 0, b"", [], {}, Published())
    assert not await bucket.arm(arming)


async def test_arming_begins_again_when_part_of_the_registry_was_lost(store):
    bucket, now = await armed(store)
    found = await bucket.server()
    twice_the_same = name(1) + name(1)
    arming = Arming(2, found.run_id, 0, now, 0, now - 1, 0, twice_the_same, [], {}, Published())
    assert not await bucket.arm(arming)
    flushed = await bucket.flush(Flush(2, "a", "one", now))
    assert flushed.state.status is Status.FENCED


async def test_sealing_waits_after_arming_when_members_are_unknown(store):
    found = await Bucket(store, "x", WINDOW, SETTINGS).server()
    bucket, now = await armed(store, not_before_us=found.time_us + 3600 * SECOND)
    read = await bucket.read(1, now - 3, 0)
    assert (read.state.sealed, list(read.ticks)) == (now - 4, [])


async def test_sealing_stops_when_the_archive_does_not_follow(store):
    found = await Bucket(store, "x", WINDOW, SETTINGS).server()
    now = found.time_us // SECOND
    bucket, _ = await armed(store, open=now - 100, archived=now - 101)
    for _ in range(5):
        read = await bucket.read(1, now - 100, 0)
    assert read.state.sealed == now - 101 + 12


@pytest.mark.parametrize("key", ["registry", "members", "journal", "p:{}", "x:{}", "s:{}", "t:{}"])
async def test_a_key_of_another_type_is_refused_before_anything_is_written(store, key):
    bucket, now = await armed(store)
    full = "sc:{fence.1}:" + key.format(now)
    await store.delete(full)
    await store.zadd(full, {"hostile": 1})
    before = {k: await store.dump(k) for k in await store.keys("*")}
    flush = Flush(
        1,
        "a",
        "one",
        now,
        tick=now,
        strangers=strangers_of([(1, 1)]),
        tallies=b"t",
        streams=b"s" * 6,
    )
    assert (await bucket.flush(flush)).state.status is Status.REFUSED
    assert {k: await store.dump(k) for k in await store.keys("*")} == before


@pytest.mark.parametrize("strangers", [b"x", b"x" * 18, b"x" * 20])
async def test_strangers_of_another_length_are_refused(store, strangers):
    bucket, now = await armed(store)
    flushed = await bucket.flush(Flush(1, "a", "one", now, tick=now, strangers=strangers))
    assert flushed.state.status is Status.REFUSED


async def test_thousands_of_strangers_in_one_call(store):
    many = SETTINGS.model_copy(update={"viewers_max": 10_000})
    bucket = Bucket(store, "many.1", WINDOW, many)
    found = await bucket.server()
    now = found.time_us // SECOND
    await bucket.arm(Arming(1, found.run_id, 0, now - 3, 0, now - 4, 0, b"", [], {}, Published()))
    pseudonyms = [number.to_bytes(16, "big") for number in range(5000)]
    strangers = np.array([(p, 0, 1) for p in pseudonyms], STRANGER).tobytes()
    flushed = await bucket.flush(Flush(1, "a", "one", now, tick=now, strangers=strangers))
    assert list(flushed.indices) == list(range(5000))
    assert await store.bitcount(f"sc:{{many.1}}:p:{now}") == 5000


async def test_no_more_members_than_allowed(store):
    few = SETTINGS.model_copy(update={"members_max": 2})
    bucket = Bucket(store, "few.1", WINDOW, few)
    found = await bucket.server()
    now = found.time_us // SECOND
    await bucket.arm(Arming(1, found.run_id, 0, now - 3, 0, now - 4, 0, b"", [], {}, Published()))
    statuses = [
        (await bucket.flush(Flush(1, node, "one", now))).state.status
        for node in ("a", "b", "c", "a")
    ]
    assert statuses == [Status.OK, Status.OK, Status.REFUSED, Status.OK]


async def test_a_store_that_is_gone_is_a_bucket_error(tmp_path):
    client = server.connect(f"unix://{tmp_path}/none.sock", deadline_s=0.2)
    bucket = Bucket(client, "gone.1", WINDOW, SETTINGS)
    with pytest.raises(BucketError, match="did not answer"):
        await bucket.flush(Flush(1, "a", "one", 0))
    await client.aclose()
