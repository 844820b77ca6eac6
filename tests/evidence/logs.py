"""Makes archives of events that never happened, with the notary's own writer and no store."""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np

from streamcount.config import Settings
from streamcount.core import body as bodies
from streamcount.core.body import MOVE, REGISTRATION, Body
from streamcount.core.claim import Software, Wording
from streamcount.core.claiming import Told, make_claim
from streamcount.core.entries import EndEntry, EpochEntry, ExcludeEntry, GapEntry, NoteEntry
from streamcount.core.event import parse_event
from streamcount.core.figures import replayed
from streamcount.core.platform import READERS, PlatformEntry
from streamcount.core.presence import bitmap_of
from streamcount.core.recount import Recount, Tallies
from streamcount.notary import archive as archives
from streamcount.notary import reading
from streamcount.notary.archive import Archive
from streamcount.tlog.merkle import block_root

SETTINGS = Settings()
SOFTWARE = Software("streamcount of a test", bytes(32))
FIRST = 1_795_000_000
# Archives that tests opened; tests/conftest.py closes them.
OPENED = []


def definition(**change):
    plain = {
        "id": "lesson",
        "kind": "attempt",
        "title": {"ar": "درس التطوع", "en": "A lesson"},
        "timezone": "Asia/Riyadh",
        "window": 11,
        "interval": 3,
        "policy": {"origins": ["https://school.example", "none"]},
    }
    return parse_event(plain | change)


def reopen(folder):
    OPENED.append(Archive(folder, SETTINGS.recent_ticks))
    return OPENED[-1]


def name_of(viewer):
    """The pseudonym of a viewer, by the number they will have."""
    return random.Random(viewer).randbytes(16)


def youtube(counts):
    """An answer of videos.list as YouTube documents it; a count of None is left out, as there."""
    items = [
        {
            "kind": "youtube#video",
            "etag": "9VtKJx4cGzRG0SpnLFSHN8rMlP4",
            "id": video,
            "liveStreamingDetails": {
                "actualStartTime": "2026-11-18T15:00:03Z",
                **({} if count is None else {"concurrentViewers": str(count)}),
                "activeLiveChatId": "Cg0KC2FiY2RlZmdoaWpr",
            },
        }
        for video, count in counts.items()
    ]
    page = {"totalResults": len(items), "resultsPerPage": len(items)}
    plain = {"kind": "youtube#videoListResponse", "etag": "x", "items": items, "pageInfo": page}
    return json.dumps(plain, indent=2).encode()


def sample(event, answer=b"", *, streams=None, asked_ms=0, took_ms=100, status=200, **change):
    """What was logged of one request for the streams that are on platforms."""
    videos = event.on_platforms
    streams = tuple(videos) if streams is None else tuple(streams)
    name = videos[streams[0]].name
    none = (None,) * len(streams)
    read = READERS.get(name, lambda _, videos: none)
    counts = read(answer, [videos[n].video for n in streams]) if status == 200 else none
    plain = {
        "platform": name, "round": 1, "streams": streams, "asked_ms": asked_ms, "answered_ms": asked_ms + took_ms,
        "status": status, "failure": "none", "answer": answer, "answer_bytes": len(answer),
        "answer_sha256": hashlib.sha256(answer).digest(), "counts": counts,
    }  # fmt: skip
    return PlatformEntry(**(plain | change))


class Author:
    """Writes an event's archive tick by tick."""

    def __init__(self, folder, event, roots=None):
        archives.create(folder, event, "streamcount.invalid", roots=roots or {})
        self.archive = reopen(folder)
        self.course = self.archive.restored.course
        self.event = event
        self.recount = None
        self.viewers = 0

    @classmethod
    def again(cls, folder):
        """Write on in an archive that is there."""
        author = cls.__new__(cls)
        author.archive = reopen(folder)
        restored = author.archive.restored
        author.course, author.recount = restored.course, restored.recount
        author.event, author.viewers = restored.course.event.event, restored.course.viewers
        return author

    def append(self, *items):
        self.course = self.course.after(entry for entry, _ in items)
        self.archive.append(items)

    def open(self, first=FIRST, epoch=1):
        self.append((EpochEntry(epoch, first, (0,), "open", ("run",)), b""))
        self.recount = Recount(self.event, first=first)

    def tick(self, present=(), broke=(), new=(), moves=()):
        """`new`: the stream of each new viewer; `moves`: (viewer, stream)."""
        names = [name_of(self.viewers + i) for i in range(len(new))]
        self.viewers += len(new)
        body = Body(
            np.array(list(zip(names, new, strict=True)), REGISTRATION),
            np.array(sorted(moves), MOVE),
            bitmap_of(np.array(sorted(present), np.int64), self.viewers),
            bitmap_of(np.array(sorted(set(broke) - set(present)), np.int64), self.viewers),
        )
        data = bodies.encode(body)
        told = Tallies(heartbeats=len(present) + len(broke), muted=len(broke))
        entry = self.recount.tick(self.course.epoch, body, len(data), block_root(data, 64), told)
        self.append((entry, data))
        return entry

    def exclude(self, *viewers, reason="a probe"):
        names = tuple(name_of(viewer).hex() for viewer in viewers)
        self.append((ExcludeEntry(names, reason), b""))
        if self.recount is not None:
            self.recount.exclude(names)

    def sample(self, counts, **change):
        """Log what YouTube said of each stream that it has: counts, None for none."""
        latest = self.course.rounds[-1].number if self.course.rounds else 0
        videos = [one.video for one in self.event.on_platforms.values()]
        answer = youtube(dict(zip(videos, counts, strict=True)))
        plain = {"round": latest + 1, "asked_ms": self.course.next_tick * 1000 - 500}
        self.append((sample(self.event, answer, **(plain | change)), b""))

    def finish(self):
        """Close with the latest tick, let the last window pass, claim."""
        self.append((EndEntry(self.course.next_tick - 1), b""))
        while not self.course.final:
            self.tick()
        self.claim()

    def counts(self):
        """What the log comes to, counted again from the disk."""
        folder, course = self.archive.folder, self.course

        def frames():
            with (folder / "segment").open("rb") as file:
                for frame in reading.frames(file, self.archive.size):
                    yield frame.entry, frame.stored

        (counts,) = replayed(
            self.event,
            course.first,
            course.ticks_open,
            course.in_clock_gap,
            [course.exclusions],
            frames,
        )
        return counts

    def claim(self, reason="", counts=None):
        """Claim these counts, or what the log comes to."""
        told = Told(self.archive.root, reason, Wording("عدد", "a number"), SOFTWARE, lambda _: 180)
        self.append((make_claim(self.course, counts or self.counts(), told), b""))

    def note(self, text):
        self.append((NoteEntry(text), b""))

    def correct(self, *viewers, reason="recounted"):
        """Exclude viewers from a final event, and supersede its claim."""
        self.exclude(*viewers, reason=reason)
        self.claim(reason)

    def done(self):
        self.archive.close()
        return self.archive


def ask_platform(author, draw):
    """Log a round: most of the time with an answer, now and then in two requests, of which one may fail."""
    videos = [one.video for one in author.event.on_platforms.values()]
    streams = tuple(author.event.on_platforms)
    cut = draw.choice([0, 0, draw.randrange(len(streams))])
    latest = author.course.rounds[-1].number if author.course.rounds else 0
    asked_ms = author.course.next_tick * 1000 + draw.choice([-1500, 0, 300, 999])
    for part in filter(None, (streams[:cut], streams[cut:])):
        counts = {
            videos[streams.index(n)]: draw.choice([None, 0, 1, 650, 650, 651, 10**10]) for n in part
        }
        answer = draw.choice([youtube(counts)] * 5 + [b"", b"no json", b"{}", b"\xff"])
        change = draw.choice([
            {}, {}, {}, {}, {}, {"status": 403}, {"status": 500}, {"took_ms": 20_000},
            {"status": None, "failure": "timeout"}, {"status": None, "failure": "unreachable"},
            {"failure": "too_long", "status": 403, "answer_bytes": 10**6}, {"failure": "withheld", "status": 400, "answer_bytes": 9},
        ])  # fmt: skip
        gone = change.get("failure") in {"timeout", "unreachable", "withheld"}
        author.append((
            sample(author.event, b"" if gone else answer, round=latest + 1, streams=part, asked_ms=max(asked_ms, max(author.course.answered_ms.values(), default=0)), **change), b""))  # fmt: skip


def some_event(
    folder,
    *,
    seed=1,
    ticks=40,
    people=60,
    streams=1,
    final=True,
    gaps=True,
    excludes=0.0,
    asks=0.0,
    roots=None,
    **change,
):
    """A random event: people come, go, pause and move, an epoch ends, measurement has gaps.

    `excludes`: in how many ticks of all somebody is excluded. `asks`: before how many YouTube is asked.
    `roots`: certificates of the authorities that the definition names.
    """
    draw = random.Random(seed)
    excluded = set()
    names = [{"id": f"s{number}"} for number in range(streams)]
    for number in range(0, streams if asks else 0, 2):
        names[number]["platform"] = {"name": "youtube", "video": f"video-{number:05}"}
    author = Author(folder, definition(streams=names, **change), roots)
    author.open()
    here, stream = {}, {}
    for number in range(ticks):
        new = []
        if author.viewers < people:
            new = [draw.randrange(streams) for _ in range(draw.randint(0, 1 + people // 8))]
            new = new[: people - author.viewers]
        for offset, on in enumerate(new):
            here[author.viewers + offset], stream[author.viewers + offset] = number % 3, on
        present = {v for v, phase in here.items() if number % 3 == phase and draw.random() < 0.95}
        present |= set(range(author.viewers, author.viewers + len(new)))
        broke = {v for v in here if draw.random() < 0.03}
        moves = {}
        for viewer in present - set(range(author.viewers, author.viewers + len(new))):
            if streams > 1 and draw.random() < 0.1:
                moves[viewer] = draw.randrange(streams)
        moves = [(v, s) for v, s in moves.items() if stream[v] != s]
        stream.update(moves)
        for viewer in list(here):
            if draw.random() < 0.02:
                del here[viewer]
        asked = random.Random(f"{seed} platform {number}")
        if asked.random() < asks:
            ask_platform(author, asked)
        toss = random.Random(f"{seed} {number}")
        if toss.random() < excludes:  # some of them before they are registered
            names = set(toss.choices(range(people), k=toss.randint(1, 3))) - excluded
            excluded |= names
            if names:
                author.exclude(*names)
        author.tick(present, broke, new, moves)
        if gaps and number == ticks // 2:
            author.append(
                (
                    EpochEntry(3, author.course.next_tick, (-5, 7), "again", ("other", "another")),
                    b"",
                )
            )
            author.append(
                (GapEntry("loss", "node a silent", FIRST + max(0, number - 2), FIRST + number), b"")
            )
            author.append((GapEntry("clock", "step", FIRST + number + 1, FIRST + number + 2), b""))
    if final:
        author.finish()
    return author.done()
