"""Prints the tables, and writes them as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import uvloop
from rich import box
from rich.console import Console
from rich.table import Table

from loadtests.bench import store, worker
from loadtests.packs import verifying
from streamcount import __version__
from streamcount.limits import TooFewFilesError, require_open_files

# In a file or a log the tables keep their width.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def told(text: str) -> None:
    """Say what is being done."""
    Console(stderr=True).print(f"[dim]{text}[/dim]")


def worker_table(rows: list[dict[str, Any]]) -> Table:
    """Return CPU and memory, with ratios to the floor."""
    floor = next((row["cpu_us"] for row in rows if "floor" in row["name"]), None)
    table = Table(
        "server", "TLS", "connections", "heartbeats", "answered", "CPU us each", "x floor",
        "bytes a connection",
        box=box.SIMPLE,
    )  # fmt: skip
    for row in rows:
        ratio = f"{row['cpu_us'] / floor:.1f}" if floor else "-"
        table.add_row(
            row["name"],
            "yes" if row["tls"] else "no",
            f"{row['connections']:,}",
            f"{row['heartbeats']:,}",
            f"{row['answered']:,}",
            f"{row['cpu_us']:.1f}",
            ratio,
            f"{row['connection_bytes']:,}",
        )
    return table


def store_table(rows: list[dict[str, Any]]) -> Table:
    """Return the store's CPU per heartbeat."""
    table = Table(
        "viewers", "heartbeats a tick", "flush us each", "read us each", "ZADD us each",
        "ZADD / flush", "a flush, ms",
        box=box.SIMPLE,
    )  # fmt: skip
    for row in rows:
        table.add_row(
            f"{row['viewers']:,}",
            f"{row['heartbeats_per_tick']:,}",
            f"{row['flush_us']:.3f}",
            f"{row['read_us']:.3f}",
            f"{row['zadd_us']:.2f}",
            f"{row['zadd_us'] / row['flush_us']:.0f}",
            f"{row['flush_call_ms']:.2f}",
        )
    return table


def verifying_table(rows: list[dict[str, Any]]) -> Table:
    """Return what verifying costs, and what a pack weighs."""
    table = Table(
        "viewers", "event s", "heartbeats", "verified in s", "CPU s", "CPU us a heartbeat",
        "MiB at most", "pack MB", "bytes a heartbeat",
        box=box.SIMPLE,
    )  # fmt: skip
    for row in rows:
        table.add_row(
            f"{row['viewers']:,}" + (" *" if row["costly"] else ""),
            f"{row['seconds']:,}",
            f"{row['heartbeats']:,}",
            f"{row['took_s']:.1f}",
            f"{row['cpu_s']:.1f}",
            f"{row['cpu_s'] / row['heartbeats'] * 1e6:.3f}",
            f"{row['memory_bytes'] / 2**20:.0f}",
            f"{row['pack_bytes'] / 1e6:.1f}",
            f"{row['pack_bytes'] / row['heartbeats']:.3f}",
        )
    return table


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for."""
    result: dict[str, Any] = {
        "streamcount": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": worker.load_average(),
    }
    if options.only in {"all", "worker"}:
        result["worker"] = await worker.compare(options.connections, options.seconds, told)
        console.print(worker_table(result["worker"]))
    if options.only in {"all", "store"}:
        sizes = [
            size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size <= options.viewers
        ]
        result["store"] = await store.compare(sizes, told)
        console.print(store_table(result["store"]))
    if options.only in {"all", "verify"}:
        sizes = [size for size in verifying.SIZES if size <= options.viewers]
        result["verify"] = await verifying.compare(sizes, options.event_seconds, told)
        console.print(verifying_table(result["verify"]["rows"]))
        console.print("* a rule asks how long each was there, and some were excluded")
        if (exponent := result["verify"]["exponent"]) is not None:
            console.print(
                f"CPU of verifying grows with heartbeats to the power of {exponent:.2f}\n"
            )
    return result


def main() -> int:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", choices=["all", "worker", "store", "verify"], default="all")
    parser.add_argument("--connections", type=int, default=3000, help="viewers of each server")
    parser.add_argument("--seconds", type=float, default=10, help="time each server is measured")
    parser.add_argument(
        "--viewers", type=int, default=10_000_000, help="largest size of the store, and of a pack"
    )
    parser.add_argument(
        "--event-seconds", type=int, default=600, help="length of the events that are verified"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.connections < 2 or options.seconds <= 0 or options.event_seconds < 1:
        parser.error("--connections must be 2 at least, --seconds more than 0, --event-seconds 1")
    if sys.platform != "linux":
        console.print("bench reads /proc, so it needs Linux")
        return 1
    try:
        require_open_files(options.connections * 2, f"{options.connections} connections")
    except TooFewFilesError as error:
        console.print(str(error))
        return 1
    try:
        result = uvloop.run(run(options))
    except worker.DroppedError as error:
        console.print(str(error))
        return 1
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
