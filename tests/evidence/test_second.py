"""A second verifier, written by others from docs/evidence-format.md alone, judges as ours does.

It is the one inside verify.html (streamcount/verifier), here run by Node: it shares neither code nor
language nor libraries with ours, its ZIP reader, inflater, SHA-256, tree, JSON and counting are its own. Where
the two differ, one of them is wrong, or the page is.
STREAMCOUNT_CASES sets how many packs of each kind are tried.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from streamcount.core import canonical, entries, segment
from streamcount.core.entries import TickEntry
from streamcount.evidence.pack import PackError
from streamcount.tlog.merkle import block_root
from tests.core.test_event import NO_ORIGINS, ORIGINS
from tests.evidence.forging import Forger, contents, make, rewrite

NODE = shutil.which("node")
SECOND = Path(__file__).parents[1] / "verifier" / "run.mjs"
CASES = int(os.environ.get("STREAMCOUNT_CASES", "250"))
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")

# Ours -> theirs: what has to be equal where a pack holds.
SAME = {
    "stage": "stage", "origin": "origin", "key": "key", "size": "size", "root": "root",
    "event": "event_id", "kind": "kind", "peak": "peak", "peak_tick": "peak_tick",
    "peak_last_tick": "peak_last_tick", "live_peak": "live_peak", "live_peak_tick": "live_peak_tick",
    "uniques": "uniques", "claimed_count": "claimed_count", "platform": "platform",
    "platforms_unread": "platforms_unread", "excluded": "excluded", "exclusions": "exclusions", "heartbeats": "heartbeats", "late": "late",
    "first_tick": "first_tick", "last_tick": "last_tick", "close": "close",
}  # fmt: skip


class Cases:
    """Packs to be judged by both."""

    def __init__(self, folder):
        self.folder = folder
        self.asked, self.ours = [], []

    def add(self, made, path=None, *, key=True, checkpoints=()):
        """Judge a pack now; the file is kept for the other."""
        kept = self.folder / f"{len(self.ours)}.zip"
        shutil.copy(path or made.path, kept)
        key = (made.key if key is True else key) or None
        self.ours.append(made.verify(kept, key=key, checkpoints=list(checkpoints)))
        self.asked.append(
            {
                "pack": str(kept),
                "key": key,
                "checkpoints": [one.decode("utf-8", "replace") for one in checkpoints],
            }
        )

    def compare(self):
        """Ask the other, and return how many packs held."""
        done = subprocess.run(
            [NODE, "--no-warnings", SECOND],
            input="\n".join(map(json.dumps, self.asked)),
            capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
        theirs = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(theirs) == len(self.ours)
        for number, (our, their) in enumerate(zip(self.ours, theirs, strict=True)):
            where = f"case {number}: ours {our.wrong!r}, theirs {their['where']!r}"
            judged = "unreadable" if our.unreadable else "does_not_hold" if our.wrong else "holds"
            assert judged == their["outcome"], where
            if our.wrong is None:
                plain = our.as_dict()
                assert {k: plain[k] for k in SAME} == {k: their[t] for k, t in SAME.items()}, where
        return sum(their["outcome"] == "holds" for their in theirs)


@pytest.fixture
def cases(tmp_path):
    (tmp_path / "cases").mkdir()
    return Cases(tmp_path / "cases")


def test_both_read_the_same_numbers_from_true_packs(cases, tmp_path):
    draw = random.Random(1)
    for number in range(30):
        people = draw.choice([0, 1, 8, 9, 100])
        made = make(
            tmp_path / str(number),
            seed=number,
            ticks=draw.choice([1, 2, 30, 90, 300]),
            people=people,
            streams=draw.choice([1, 1, 2, 70]),
            final=draw.random() < 0.7,
            gaps=draw.random() < 0.5,
            excludes=draw.choice([0, 0.1, 0.5]) if people else 0,
            asks=0.3 if number % 3 else 0,
            claimed_count="platform" if number % 3 == 1 else "proven",
            **draw.choice([{}, {"window": 30, "interval": 10}, {"kind": "rehearsal"}]),
        )
        cases.add(made, key=draw.random() < 0.7, checkpoints=[made.checkpoint][: number % 2])
    assert cases.compare() == 30


def test_both_refuse_every_changed_byte(cases, tmp_path):
    made = make(tmp_path, streams=3, ticks=12, people=20)
    good, draw = made.path.read_bytes(), random.Random(2)
    for _ in range(CASES):
        bad = bytearray(good)
        bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        (tmp_path / "bad.zip").write_bytes(bad)
        cases.add(made, tmp_path / "bad.zip")
    assert cases.compare() == 0


def test_both_refuse_files_changed_with_the_zip_put_right(cases, tmp_path):
    made = make(tmp_path, streams=3, ticks=12, people=20)
    files, draw = contents(made.path), random.Random(3)
    for _ in range(CASES // 2):
        name = draw.choice(sorted(files))
        bad = bytearray(files[name])
        at = draw.randrange(len(bad))
        match draw.randrange(3):
            case 0:
                bad[at] ^= 1 << draw.randrange(8)
            case 1:
                del bad[at]
            case _:
                bad[at:at] = draw.choice([b" ", b"\n", b"\r", b"0", b"=", bytes(1)])
        cases.add(made, rewrite(made.path, tmp_path, {name: bytes(bad)}), key=draw.random() < 0.5)
    assert cases.compare() == 0


# What a change of something that was changed before may meet.
ODD = (entries.EntryError, canonical.NotCanonicalError, PackError, segment.SegmentError)


def mutate(forger, draw):
    """Change entries or bodies as somebody could who has the key and signs all anew."""
    if not forger.entries:
        return
    number = draw.randrange(len(forger.entries))
    plain = canonical.load(forger.entries[number])
    ticks = [n for n, e in enumerate(forger.entries) if isinstance(entries.decode(e), TickEntry)]
    if not ticks:
        return
    match draw.choice("field field field text drop swap double body body deflate stage".split()):
        case "field":
            name = draw.choice(sorted(plain))
            old = plain[name]
            choices = [
                None,
                "",
                [],
                ["ab" * 16],
                ["AB" * 16],
                {},
                True,
                -1,
                0,
                1,
                2**40,
                2**53,
                2**63,
                1.5,
                "x",
                "é\u2028",
            ]
            if type(old) is int:
                choices += [old + 1, old - 1, old + 11, -old] * 3
            plain[name] = draw.choice(choices)
            if draw.random() < 0.1:
                del plain[name]
            if draw.random() < 0.1:
                plain["more"] = 1
            # Another shape of the same JSON, too: what canonical form is for.
            forger.entries[number] = json.dumps(
                plain,
                ensure_ascii=draw.random() < 0.1,
                sort_keys=draw.random() < 0.95,
                separators=draw.choice([(",", ":"), (",", ":"), (",", ":"), (", ", ":")]),
            ).encode("utf-8", "surrogatepass")
        case "text":
            data = bytearray(forger.entries[number])
            at = draw.randrange(len(data))
            data[at : at + draw.randint(0, 1)] = draw.choice([b"", b" ", b"0", b"\xff", b"\\u0041"])
            forger.entries[number] = bytes(data)
        case "drop":
            del forger.entries[number], forger.stored[number]
        case "swap":
            other = draw.randrange(len(forger.entries))
            for one in (forger.entries, forger.stored):
                one[number], one[other] = one[other], one[number]
        case "double":
            for one in (forger.entries, forger.stored):
                one.insert(number, one[number])
        case "body":
            number = draw.choice(ticks)
            entry = entries.decode(forger.entries[number])
            body = bytearray(segment.inflate(forger.stored[number], entry.body_bytes))
            if body:
                body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
            forger.stored[number] = segment.deflate(bytes(body))
            forger.change(number, body_root=base64.b64encode(block_root(bytes(body), 64)).decode())
            if draw.random() < 0.5:
                name = draw.choice(["present", "breaks", "live", "new", "moves"])
                forger.change(number, **{name: getattr(entry, name) + draw.choice([-1, 1])})
        case "deflate":
            number = draw.choice(ticks)
            data = bytearray(forger.stored[number])
            if data:
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            forger.stored[number] = bytes(data)
        case "stage":
            forger.stage = draw.choice(["final", "interim", "closed"])
            del forger.entries[number:], forger.stored[number:]


@pytest.mark.parametrize("seed", range(6))
def test_both_judge_alike_what_the_keys_owner_signed(cases, tmp_path, seed):
    draw = random.Random(f"owner {seed}")
    streams, excludes = 1 + 2 * (seed % 2), 0.2 * (seed // 2 % 2)
    asks, claimed = (1.5, "platform") if seed > 3 else (0, "proven")
    made = make(
        tmp_path, streams=streams, ticks=14, people=12, seed=seed, excludes=excludes, asks=asks, claimed_count=claimed
    )  # fmt: skip
    for _ in range(CASES):
        forger = Forger(made)
        forger.rooted = draw.random() < 0.9
        for _ in range(draw.choice([1, 1, 1, 2])):
            try:
                mutate(forger, draw)
            except ODD:
                continue  # a second change found nothing to change
        if forger.entries:
            cases.add(made, forger.write(tmp_path), key=draw.random() < 0.8)
    cases.compare()


def test_both_take_the_same_origins(cases, tmp_path):
    """Whose pages count is part of what was agreed: the same lists are lists to both."""
    made = make(tmp_path, ticks=3)
    lists = [[origin] for origin in (*ORIGINS, *NO_ORIGINS)]
    lists += [[], None, "none", ["none", "none"], [ORIGINS[0], "none"], ORIGINS]
    lists += [[f"https://{n}.example" for n in range(length)] for length in (50, 51)]
    for origins in lists:
        forger = Forger(made)
        event = canonical.load(forger.entries[0])["event"]
        forger.define(policy=event["policy"] | {"origins": origins})
        cases.add(made, forger.write(tmp_path))
    assert cases.compare() == len(ORIGINS) + 4
    forger = Forger(made)
    event = canonical.load(forger.entries[0])["event"]
    forger.define(policy={k: v for k, v in event["policy"].items() if k != "origins"})
    cases.add(made, forger.write(tmp_path))
    assert cases.compare() == len(ORIGINS) + 4


def test_both_take_keys_and_checkpoints_alike(cases, tmp_path):
    made = make(tmp_path, ticks=3)
    stranger = make(tmp_path / "other", ticks=3)
    keys = [
        f" {made.key}\r\n\t", f"\n{made.key}", stranger.key, made.key[:-1], made.key.lower(), "x",
        made.key.replace("+", " "), f"{made.key}=", f"\u00a0{made.key}", f"{made.key}\0", f"{made.key}\n\n",
    ]  # fmt: skip
    for key in keys:
        cases.add(made, key=key)
    good = made.checkpoint
    for kept in [
        good, good.strip(), b" \r\n" + good + b"\t\n\n", good.replace(b"\n", b"\r\n"), stranger.checkpoint,
        good + stranger.checkpoint.split(b"\n\n")[1], good[:-9], b"", b"\xff" + good, good + b"\0", good * 2,
        good.replace(b"\n\n", b"\nan extension line\n\n"),
    ]:  # fmt: skip
        cases.add(made, checkpoints=[kept])
    assert 0 < cases.compare() < len(cases.ours)
