"""Writes such an event with the notary's archive and the exporter, so the pack is one of ours throughout.

python -m loadtests.packs.make --viewers 1000000 --seconds 3600 crowd.zip
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.packs.crowd import Crowd, Scale
from streamcount.config import Settings
from streamcount.core import body as bodies
from streamcount.core.body import BLOCK_BYTES, Body
from streamcount.core.claiming import Told, make_claim
from streamcount.core.course import Course
from streamcount.core.entries import EndEntry, Entry, EpochEntry, ExcludeEntry
from streamcount.core.event import Event, parse_event
from streamcount.core.figures import Counts, FigureCount, replayed
from streamcount.core.recount import Recount, Tallies
from streamcount.evidence.bundle import export
from streamcount.notary import archive as archives
from streamcount.notary.archive import Archive
from streamcount.notary.claims import words_of
from streamcount.notary.reading import ArchiveReader
from streamcount.notary.software import software
from streamcount.tlog.merkle import block_root

FIRST = 1_795_000_000
_AT_ONCE = 64  # entries made durable together


def make(scale: Scale, pack: Path, told: Callable[[int, int], None]) -> dict[str, Any]:
    """Write the pack of an event of this scale; return what is in it."""
    with tempfile.TemporaryDirectory(prefix=".packs-", dir=pack.parent) as name:
        folder = Path(name) / "crowd"
        heartbeats = _write(scale, folder, told)
        export(ArchiveReader(folder), pack)
    return {
        "viewers": scale.viewers,
        "seconds": scale.seconds,
        "heartbeats": heartbeats,
        "pack_bytes": pack.stat().st_size,
    }


def _write(scale: Scale, folder: Path, told: Callable[[int, int], None]) -> int:
    event = parse_event(
        {
            "id": "crowd",
            "kind": "demo",
            "title": {"en": "A crowd"},
            "window": 30,
            "interval": scale.interval,
            "streams": [{"id": f"s{number}"} for number in range(scale.streams)],
            "rule_profile": {
                "id": "crowd",
                "duration_s": 0,
                "presence_s": scale.presence_s,
                "single_stream": False,
                "count": "net",
            },
        }
    )
    archives.create(folder, event, "loadtests.invalid")
    archive = Archive(folder, Settings().recent_ticks)
    course = archive.restored.course
    figures = FigureCount(event, FIRST)
    recount = Recount(event, first=FIRST, pairs=figures.pairs)
    waiting: list[tuple[Entry, bytes]] = []

    def put(entry: Entry, data: bytes = b"") -> None:
        course.take(entry)
        waiting.append((entry, data))
        if len(waiting) >= _AT_ONCE:
            archive.append(waiting)
            waiting.clear()

    def tick(body: Body, heartbeats: int) -> None:
        data = bodies.encode(body)
        root = block_root(data, BLOCK_BYTES)
        entry = recount.tick(1, body, len(data), root, Tallies(heartbeats))
        put(entry, data)
        figures.take(entry, streams=entry.streams, in_clock_gap=False)

    put(EpochEntry(1, FIRST, (0,), "open", ("run",)))
    crowd = Crowd(scale)
    for number in range(scale.seconds):
        before = crowd.heartbeats
        body = crowd.second(number)
        tick(body, crowd.heartbeats - before)
        told(number + 1, scale.seconds)
        if number == 0 and scale.excluded:
            names = tuple(one.tobytes().hex() for one in body.registrations["pseudonym"])
            put(ExcludeEntry(names[: scale.excluded], "probes"))
            recount.exclude(names[: scale.excluded])
    put(EndEntry(FIRST + scale.seconds - 1))
    none = np.zeros_like(body.presence)
    nobody = Body(body.registrations[:0], body.moves[:0], none, none)
    while not course.final:
        tick(nobody, 0)
    archive.append(waiting)
    counts = _counts(figures, course, event, folder)
    said = Told(archive.root, "", words_of(event), software(), lambda _: 0)
    archive.append([(make_claim(course, counts, said), b"")])
    archive.close()
    return crowd.heartbeats


def _counts(figures: FigureCount, course: Course, event: Event, folder: Path) -> Counts:
    """Return what the bodies come to: known already, unless somebody was excluded."""
    if not course.exclusions:
        found = figures.found(course.viewers, course.ticks_open)
        return Counts(found, found)
    log = ArchiveReader(folder)
    size = log.refresh().size
    (counts,) = replayed(
        event,
        FIRST,
        course.ticks_open,
        course.in_clock_gap,
        [course.exclusions],
        lambda: ((frame.entry, frame.stored) for frame in log.frames(0, size)),
    )
    return counts


def main() -> int:
    """Read the options, write, print what it is as JSON."""
    parser = argparse.ArgumentParser(prog="make", description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--viewers", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--presence-s", type=int, default=0, help="asked of who is to be counted")
    parser.add_argument(
        "--excluded", type=int, default=0, help="viewers, of those of the first tick"
    )
    options = parser.parse_args()
    start = time.process_time()
    scale = Scale(
        options.viewers,
        options.seconds,
        seed=options.seed,
        presence_s=options.presence_s,
        excluded=options.excluded,
    )
    made = make(scale, options.pack, lambda _done, _all: None)
    print(json.dumps(made | {"cpu_s": round(time.process_time() - start, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
