"""notary/shares, notary/buckets: several buckets read as one, by the log's indices."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.body import REGISTRATION
from streamcount.core.bucket import ON_STREAM, BucketError, SealedTick, Server
from streamcount.core.presence import bitmap_of, positions
from streamcount.core.sharing import bucket_of
from streamcount.notary.buckets import Buckets
from streamcount.notary.drain import DisagreementError
from streamcount.notary.shares import Shares


def name(number):
    """A pseudonym whose first bytes are spread like those of a hash."""
    return ((number * 2_654_435_761) % 2**32).to_bytes(4, "big") + number.to_bytes(12, "big")


def registered(numbers):
    return np.array([(name(n), n % 5) for n in numbers], REGISTRATION)


def bits(indices, size):
    return bitmap_of(np.array(sorted(indices), np.int64), size).tobytes()


@given(
    st.integers(2, 6),
    st.lists(st.lists(st.integers(0, 300), max_size=12), max_size=4),
    st.sets(st.integers(0, 300)),
)
def test_indices_follow_from_the_order_of_the_log_alone(buckets, batches, present):
    shares, log, local = Shares(b"", buckets), [], [[] for _ in range(buckets)]
    for batch in batches:
        new = [n for n in dict.fromkeys(batch) if n not in log]
        parts = [[n for n in new if bucket_of(name(n), buckets) == b] for b in range(buckets)]
        taken = shares.register([registered(part) for part in parts])
        log += itertools.chain(*parts)
        for have, part in zip(local, parts, strict=True):
            have += part
        assert [n.tobytes() for n in taken["pseudonym"]] == [
            name(n) for n in itertools.chain(*parts)
        ]
        assert taken.tobytes() == registered(itertools.chain(*parts)).tobytes()
    ticks = [
        SealedTick(
            7, bits([i for i, n in enumerate(have) if n in present], len(have)), b"", b"", [b"x"]
        )
        for have in local
    ]
    merged = shares.merge(ticks)
    assert {log[i] for i in positions(np.frombuffer(merged.presence, np.uint8))} == present & set(
        log
    )
    assert len(merged.tallies) == buckets
    again = Shares(b"".join(map(name, log)), buckets)
    assert again.sizes() == [len(have) for have in local]
    for bucket, have in enumerate(local):
        names = b"".join(map(name, have))
        assert again.pseudonyms(bucket, b"".join(map(name, log))) == names
        part = again.bitmap(bucket, merged.presence)
        found = positions(np.frombuffer(part, np.uint8))
        assert {have[i] for i in found} == present & set(have)


def shares_of_two():
    shares = Shares(b"", 2)
    here = [[n for n in range(20) if bucket_of(name(n), 2) == b] for b in range(2)]
    shares.register([registered(part) for part in here])
    return shares, here


def test_streams_are_told_by_the_indices_of_the_log():
    shares, here = shares_of_two()
    told = np.array([(1, 4)], ON_STREAM).tobytes()
    empty = SealedTick(7, b"", b"", b"", ())
    merged = shares.merge([empty, SealedTick(7, b"", b"", told, ())])
    found = np.frombuffer(merged.streams, ON_STREAM)
    assert [(int(i), int(s)) for i, s in found] == [(len(here[0]) + 1, 4)]


@pytest.mark.parametrize(
    "odd",
    [
        {"presence": bits([19], 20)},
        {"breaks": bits([19], 20)},
        {"streams": np.array([(19, 0)], ON_STREAM).tobytes()},
        {"streams": b"12345"},
    ],
)
def test_what_is_of_nobody_in_the_bucket_stops_the_notary(odd):
    shares, _ = shares_of_two()
    plain = {"presence": b"", "breaks": b"", "streams": b"", "tallies": ()}
    parts = [SealedTick(7, **plain), SealedTick(7, **(plain | odd))]
    with pytest.raises(DisagreementError):
        shares.merge(parts)


def test_a_viewer_in_the_wrong_bucket_stops_the_notary():
    shares, here = shares_of_two()
    with pytest.raises(DisagreementError, match="bucket 1 registers a viewer of another"):
        shares.register([registered([]), registered([here[0][0]])])


class Clocked:
    """A bucket on a server whose clock is ahead, behind a slow line at times."""

    def __init__(self, ahead_us, run_ids=("one",)):
        self.ahead_us = ahead_us
        self.run_ids = itertools.cycle(run_ids)
        self.calls = 0

    async def server(self):
        self.calls += 1
        await asyncio.sleep(0.0 if self.calls == 3 else 0.03)
        now_us = asyncio.get_running_loop().time() * 1e6
        return Server(next(self.run_ids), round(now_us + self.ahead_us))


async def test_how_clocks_differ_is_measured_by_the_shortest_round_trip():
    second = 1_000_000
    buckets = Buckets([Clocked(0), Clocked(7 * second), Clocked(-2 * second)], b"")
    found = await buckets.servers()
    offsets_us = found.offsets_us(5 * second)
    assert offsets_us[0] == 5 * second
    assert abs(offsets_us[1] + 2 * second) < 300_000
    assert abs(offsets_us[2] - 7 * second) < 300_000
    assert found.run_ids == ("one", "one", "one")


async def test_a_bucket_that_moves_meanwhile_is_not_armed():
    buckets = Buckets([Clocked(0), Clocked(0, ("one", "two"))], b"")
    with pytest.raises(BucketError, match="moved"):
        await buckets.servers()
