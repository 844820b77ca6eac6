"""Locust's viewers against a service of its own: load, close, verify, and compare the two counts.

python -m loadtests.run --users 300 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from streamcount.config import Settings
from streamcount.demo import running
from streamcount.evidence.verify import verify

console = Console(highlight=False)


async def locust(url: str, users: int, seconds: int, folder: Path) -> dict[str, Any]:
    """Run locust without its page; return its figures by request name."""
    options = {
        "locustfile": Path(__file__).with_name("locustfile.py"),
        "host": url,
        "users": users,
        "spawn-rate": max(10, users // 5),
        "run-time": f"{seconds}s",
        "stop-timeout": 30,
        "csv": folder / "locust",
        "loglevel": "WARNING",
        "exit-code-on-error": 0,
    }
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "--headless", "--only-summary", *given),
        env={**os.environ, "STREAMCOUNT_EVENT": "load"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(errors.decode())
    text = (folder / "locust_stats.csv").read_text("utf-8")
    return {row["Name"]: row for row in csv.DictReader(text.splitlines())}


async def run(users: int, seconds: int) -> dict[str, Any]:
    """Load a service, and set what locust's viewers were told beside what the evidence says."""
    with tempfile.TemporaryDirectory(prefix="streamcount-load-") as name:
        folder = Path(name)
        settings = Settings(data=folder / "data", public_port=0, operator_port=0)
        async with running(settings) as client:
            definition = {
                "id": "load",
                "kind": "demo",
                "title": {"en": "Load"},
                "window": 9,
                "interval": 2,
            }
            made = await client.call("POST", "/api/events", definition)
            first = (await client.call("POST", "/api/events/load/open"))["first_tick"]
            counts: dict[str, Any] = {"now": 0}
            while (counts["now"] or 0) < first:
                await asyncio.sleep(0.2)
                counts = await client.call("GET", "/api/events/load/counts")
            told = await locust(client.public.replace("http", "ws", 1), users, seconds, folder)
            await client.call("POST", "/api/events/load/close")
            while counts.get("stage") != "final":
                await asyncio.sleep(0.5)
                counts = await client.call("GET", "/api/events/load/counts")
            pack = folder / "load.zip"
            await client.save("/api/events/load/evidence", pack)
            findings = await asyncio.to_thread(verify, pack, key=made["key"])
        acks = told["heartbeat to ack"]
        return {
            "users": users,
            "acknowledged": int(acks["Request Count"]) - int(acks["Failure Count"]),
            "failures": int(acks["Failure Count"]),
            "ack_ms_median": float(acks["Median Response Time"]),
            "ack_ms_99": float(acks["99%"]),
            "holds": findings.exit_code == 0,
            "wrong": findings.wrong,
            "peak": findings.as_dict().get("peak"),
            "uniques": findings.as_dict().get("uniques"),
            "heartbeats": findings.heartbeats,
            "late": findings.late,
        }


def main() -> int:
    """Read the options, run, print; 1 when anything does not add up."""
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = asyncio.run(run(options.users, options.seconds))
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            console.print(f"{name:<16}{value}")
    # What is acknowledged while locust ends is in the evidence, and no longer in its figures.
    right = (
        result["holds"]
        and result["failures"] == 0
        and result["peak"] == result["uniques"] == options.users
        and options.users <= result["acknowledged"] <= result["heartbeats"]
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
