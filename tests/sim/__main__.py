"""`make sim`: many histories on all cores, or one that is told from beginning to end.

python -m tests.sim --seeds 10000 --first 0      a table, and the seeds of histories that went wrong
python -m tests.sim --seed 123                   what happened in that one
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.sim.history import run

CHUNK = 25


def main():
    parser = argparse.ArgumentParser(prog="make sim")
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if given.seed is not None:
        return replay(given.seed)
    return search(range(given.first, given.first + given.seeds))


def replay(seed):
    """Tell one history."""
    outcome = run(seed, say=True)
    print("\n".join(outcome.story))
    print(f"\nseed {seed}, {outcome.kind}: {outcome.sent} heartbeats, {outcome.acks} acknowledged")
    for wrong in outcome.wrong:
        print(f"VIOLATION {wrong}")
    if not outcome.wrong:
        print("every promise was kept")
    return bool(outcome.wrong)


def search(seeds):
    """Run histories, say how far it is, and print what came of them."""
    begin, told = time.monotonic(), 0.0
    kinds, faults, sums = collections.Counter(), collections.Counter(), collections.Counter()
    wrong = []
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        for outcomes in pool.map(_several, chunks):
            for outcome in outcomes:
                kinds[outcome.kind] += 1
                faults.update(outcome.faults)
                sums.update(sent=outcome.sent, acks=outcome.acks, seconds=int(outcome.seconds))
                if outcome.wrong:
                    wrong.append(outcome)
                    print(f"\nseed {outcome.seed}, {outcome.kind}: {outcome.wrong[0]}", flush=True)
            if sys.stderr.isatty() or time.monotonic() - told > 30:
                told = time.monotonic()
                done, end = sum(kinds.values()), "\r" if sys.stderr.isatty() else "\n"
                print(
                    f"  {done:,} of {len(seeds):,} histories", end=end, file=sys.stderr, flush=True
                )
    _table(kinds, faults, sums, wrong, time.monotonic() - begin)
    return bool(wrong)


def _several(seeds):
    return [run(seed) for seed in seeds]


def _table(kinds, faults, sums, wrong, seconds):
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    print(f"histories          {sum(kinds.values()):>10,}   {told}")
    for fault, count in sorted(faults.items(), key=lambda item: (-item[1], item[0])):
        print(f"  {fault:30} {count:>10,}")
    print(f"heartbeats sent    {sums['sent']:>10,}")
    print(f"acknowledged       {sums['acks']:>10,}")
    print(
        f"seconds of events  {sums['seconds']:>10,}   in {seconds:.0f} s on {os.cpu_count()} cores"
    )
    print(f"violations         {len(wrong):>10,}")
    for outcome in wrong:
        print(f"  make sim SEED={outcome.seed}")


if __name__ == "__main__":
    sys.exit(main())
