"""The store's CPU per heartbeat: flush and seal as bitmaps, beside a ZADD a heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from redis.asyncio import Redis

from streamcount.config import Settings
from streamcount.core.bucket import Arming, Flush, Published, Status, pack_tallies
from streamcount.core.recount import Tallies
from streamcount.store import embedded, server
from streamcount.store.buckets import Bucket

SECOND_US = 1_000_000
NODES = 4
DENSITY = 0.1  # of the viewers send a heartbeat in a tick
TICKS = 10


@contextlib.asynccontextmanager
async def valkey() -> AsyncIterator[Redis]:
    """Run a Valkey, the embedded one."""
    folder = embedded.make_folder()
    guardian = await asyncio.create_subprocess_exec(
        *embedded.command(folder), stdin=asyncio.subprocess.PIPE
    )
    client = server.connect_one(f"unix://{embedded.socket_path(folder)}", deadline_s=120)
    try:
        while True:
            with contextlib.suppress(Exception):
                await client.ping()
                break
            await asyncio.sleep(0.05)
        yield client
    finally:
        await client.aclose()
        if guardian.stdin is not None:
            guardian.stdin.close()
        await guardian.wait()


async def used_cpu_s(client: Redis) -> float:
    """Return the CPU seconds the server has used."""
    info = await client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def bitmaps(viewers: int) -> dict[str, Any]:
    """Measure flushing ticks of this many viewers from several nodes, sealing and reading them."""
    draw = np.random.default_rng(viewers)
    async with valkey() as client:
        # A tick waits for its nodes however long they take here.
        settings = Settings(hold_s=600, held_ticks_max=700)
        bucket = Bucket(client, "bench.0", 30, settings)
        found = await bucket.server()
        now = found.time_us // SECOND_US
        first = now - TICKS - 5
        arming = Arming(1, found.run_id, 0, first, 0, first - 1, 0, b"", [], {}, Published())
        if not await bucket.arm(arming):
            raise RuntimeError("could not be armed")
        # The registry itself is not touched by heartbeats of viewers who are in it.
        await client.hset("sc:{bench.0}:meta", "viewers", str(viewers))
        bits = [np.packbits(draw.random(viewers) < DENSITY / NODES).tobytes() for _ in range(NODES)]
        heartbeats = sum(int(np.bitwise_count(np.frombuffer(b, np.uint8)).sum()) for b in bits)
        for node in range(NODES):
            await bucket.flush(Flush(1, f"n{node}", "b", first - 1))
        tallies = pack_tallies(Tallies(heartbeats // NODES))
        start, took = await used_cpu_s(client), time.perf_counter()
        for tick in range(first, first + TICKS):
            for node, presence in enumerate(bits):
                flushed = await bucket.flush(
                    Flush(1, f"n{node}", "b", tick, tick=tick, presence=presence, tallies=tallies)
                )
                if flushed.state.status is not Status.OK:
                    raise RuntimeError(f"flush: {flushed.state.status}")
        flush_us = (await used_cpu_s(client) - start) / (heartbeats * TICKS) * 1e6
        call_ms = (time.perf_counter() - took) / (TICKS * NODES) * 1e3
        start = await used_cpu_s(client)
        read = await bucket.read(1, first, 0)
        read_us = (await used_cpu_s(client) - start) / (heartbeats * len(read.ticks)) * 1e6
        memory = (await client.info("memory"))["used_memory"]
    return {
        "viewers": viewers,
        "heartbeats_per_tick": heartbeats,
        "flush_us": flush_us,
        "read_us": read_us,
        "flush_call_ms": call_ms,
        "bytes_per_viewer_tick": memory / viewers / TICKS,
    }


async def zadd(viewers: int) -> float:
    """Measure ZADD of heartbeats to a sorted set of this many viewers; microseconds of CPU each."""
    draw = random.Random(viewers)
    async with valkey() as client:
        for start in range(0, viewers, 50_000):
            members = {f"viewer-{n:09}": 0.0 for n in range(start, min(viewers, start + 50_000))}
            await client.zadd("viewers", members)
        heartbeats = min(200_000, max(20_000, viewers // 10))
        before = await used_cpu_s(client)
        for start in range(0, heartbeats, 1000):
            async with client.pipeline(transaction=False) as pipe:
                for _ in range(1000):
                    member = f"viewer-{draw.randrange(viewers):09}"
                    pipe.zadd("viewers", {member: time.time()})
                await pipe.execute()
            if start > heartbeats:
                break
        return (await used_cpu_s(client) - before) / heartbeats * 1e6


async def compare(sizes: list[int], told: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure both for each size."""
    rows = []
    for viewers in sizes:
        told(f"store with {viewers:,} viewers ...")
        row = await bitmaps(viewers)
        row["zadd_us"] = await zadd(viewers)
        rows.append(row)
    return rows
