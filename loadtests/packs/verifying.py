"""What verifying a pack costs: time, CPU and memory of a process that does nothing else.

`python -m loadtests.packs.verifying PACK` measures itself. Its memory is the most it ever held, as its own
address space tells it: what wait4 gives begins with the memory of the process that started it.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from loadtests.packs.crowd import Scale
from loadtests.packs.make import make
from streamcount.evidence.verify import verify

SIZES: Final = (10_000, 100_000, 1_000_000)


async def compare(
    sizes: Sequence[int], seconds: int, told: Callable[[str], None]
) -> dict[str, Any]:
    """Make a pack of each size, verify it; return the rows, and how CPU grows with heartbeats.

    And one more of the largest size, whose rule asks how long each viewer was there, and where some were
    excluded: what costs most to verify, as its bodies are gone through twice and counted three times.
    """
    rows = []
    scales = [Scale(viewers, seconds) for viewers in sizes]
    costly = [replace(one, presence_s=seconds // 2, excluded=5) for one in scales[-1:]]
    with tempfile.TemporaryDirectory(prefix="streamcount-packs-") as folder:
        for scale in scales + costly:
            pack = Path(folder) / "crowd.zip"
            told(f"making a pack of {scale.viewers:,} viewers in {seconds:,} s ...")
            made = await asyncio.to_thread(make, scale, pack, lambda _done, _all: None)
            told("verifying it ...")
            rows.append(made | {"costly": scale in costly} | await measure(pack))
            pack.unlink()
    return {"rows": rows, "exponent": exponent([row for row in rows if not row["costly"]])}


async def measure(pack: Path) -> dict[str, Any]:
    """Return what verifying this pack costs a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(pack)), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the pack does not hold")
    measured: dict[str, Any] = json.loads(answer)
    return measured


def exponent(rows: Sequence[dict[str, Any]]) -> float | None:
    """Return e of the line CPU = a x heartbeats^e that is closest to the rows; None with fewer than two."""
    if len(rows) < 2:
        return None
    x = [math.log(row["heartbeats"]) for row in rows]
    y = [math.log(row["cpu_s"]) for row in rows]
    x0, y0 = sum(x) / len(x), sum(y) / len(y)
    over = sum((a - x0) * (b - y0) for a, b in zip(x, y, strict=True))
    return over / sum((a - x0) ** 2 for a in x)


def _memory_most_bytes() -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in status")


def main(pack: Path) -> int:
    """Verify, and print the cost of it."""
    start, cpu = time.perf_counter(), time.process_time()
    findings = verify(pack)
    measured = {
        "cpu_s": time.process_time() - cpu,
        "took_s": time.perf_counter() - start,
        "memory_bytes": _memory_most_bytes(),
        "peak": findings.as_dict().get("peak"),
    }
    print(json.dumps(measured))
    return findings.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
