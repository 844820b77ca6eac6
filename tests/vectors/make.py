"""Writes the golden pack of the format's present version: `python -m tests.vectors.make`, once a version.

Each version has one, with a bit of everything: streams, moves, breaks, gaps, two epochs, exclusions, a platform's
answers, a note, a superseded claim, witnesses, tokens. It is not made again: every later streamcount has to verify
it, to the numbers beside it (tests/evidence/test_golden.py). Its keys were thrown away.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.evidence.authority import Authority
from tests.evidence.forging import contents
from tests.evidence.logs import FIRST, Author, name_of, some_event
from tests.evidence.trusted import Witnessed, trust

HERE = Path(__file__).parent
VERSION = "v1"


def write(folder):
    """Make the event in a folder, and leave pack, key and numbers beside this file."""
    event = Witnessed.__new__(Witnessed)
    event.folder, event.authorities = folder, {"golden": Authority(folder / "golden", "golden")}
    some_event(
        folder / "lesson",
        seed=11,
        ticks=70,
        people=40,
        streams=3,
        excludes=0.06,
        asks=0.2,
        trust=trust(authorities=event.authorities),
        roots={name: one.pem for name, one in event.authorities.items()},
        rule_profile={"id": "golden", "presence_s": 9},
        target=10,
        organiser={"ar": "المدرسة", "en": "The school"},
    )
    kept = event.made().checkpoint
    event.keep(0, 1, size=30, when=FIRST + 40).stamp("golden", size=30)
    author = Author.again(folder / "lesson")
    author.note("A helper had watched on two screens.")
    left = next(n for n in range(author.viewers) if counted(author, n))
    author.correct(left, reason="a helper of ours")
    author.done()
    made = event.keep(0, 2, when=FIRST + 200).stamp("golden", when=FIRST + 210).made()
    findings = made.verify(checkpoints=[kept])
    if findings.wrong is not None:
        raise SystemExit(findings.wrong)
    (HERE / f"{VERSION}.zip").write_bytes(made.path.read_bytes())
    (HERE / f"{VERSION}.sheet.txt").write_bytes(contents(made.path)["sheet.txt"])
    told = {"key": made.key, "checkpoint": kept.decode(), "findings": findings.as_dict()}
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / f"{VERSION}.json").write_text(f"{text}\n", "utf-8")


def counted(author, number):
    """Tell whether a viewer was not excluded so far."""
    return name_of(number) not in author.course.excluded


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_in:
        write(Path(made_in))
