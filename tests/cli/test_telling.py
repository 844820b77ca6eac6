"""`follow --lang`: everything a follower tells, in both languages, the same to machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from streamcount.cli.telling import Teller
from streamcount.words import catalogue
from tests.evidence.logs import some_event
from tests.follow.shown import showing_in_a_thread
from tests.service import run

FOLLOW = Path(__file__).parents[2] / "streamcount" / "follow"
NUMBERS = {
    "event": "lesson", "kind": "rehearsal", "stage": "open", "size": 12, "live": 5, "proven": 4, "peak": 2135,
    "peak_tick": 1_795_000_000, "gaps": 1, "uncertain": True, "lag_s": 9.0, "recounted": True,
    "platform": 1777,
}  # fmt: skip
TOLD = [
    ("checkpoint", NUMBERS),
    ("resumed", NUMBERS | {"peak": 0, "peak_tick": None, "recounted": False, "uncertain": False, "platform": None}),
    ("trust", {"key": "log+1+k", "source": "given", "why": "x"}),
    ("trust", {"key": "log+1+k", "source": "copy", "why": "x"}),
    ("trust", {"key": "log+1+k", "source": "log", "why": "x"}),
    ("gap", {"gap": "loss", "first": 1_795_000_000, "last": 1_795_000_004, "reason": "node a silent"}),
    ("exclude", {"viewers": 3, "reason": "probes"}),
    ("note", {"text": "seen by the jury"}),
    ("superseded", {"version": 2, "value": 2134, "reason": "a program"}),
    ("superseded", {"version": 3, "value": None, "reason": "a program"}),
    ("trouble", {"what": "no answer"}),
    ("back", {}),
    ("stall", {"seconds": 61.0, "tick": 5}),
    ("moving", {"seconds": 61.0}),
    *(("alarm", {"kind": kind, "what": "roots differ", "folder": "/copy"})
      for kind in ("origin", "fork", "body", "entry", "count")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "facts"), TOLD)
def test_whatever_a_follower_tells_is_said_in_both_languages(capsys, kind, facts):
    said = {}
    for language in ("en", "ar"):
        Teller(catalogue(language), as_json=False)(kind, **facts)
        captured = capsys.readouterr()
        assert bool(captured.err) == (kind == "alarm")
        (said[language],) = (captured.out + captured.err).splitlines()
    outside = re.sub("\u2066[^\u2066\u2069]*\u2069", "", said["ar"])
    assert not re.search("[A-Za-z\u2066-\u2069]", outside.replace("REHEARSAL", ""))
    digits = [sorted(re.findall(r"\d+", line.partition("  ")[2])) for line in said.values()]
    assert digits[0] == digits[1]
    assert ("REHEARSAL" in said["en"]) == ("تجربة" in said["ar"]) == ("stage" in facts)


def test_every_kind_that_is_told_is_tried_here():
    text = "".join(path.read_text("utf-8") for path in FOLLOW.glob("*.py"))
    kinds = set(re.findall(r"_tell\(\s*\"(\w+)\"", text))
    assert {kind for kind, _ in TOLD} == kinds | {"alarm"}
    alarms = set(re.findall(r"(?:raise_alarm\(\s*\S+|AlarmError\()\s*,?\s*\"(\w+)\"", text))
    assert alarms <= {facts["kind"] for kind, facts in TOLD if kind == "alarm"}
    assert len(alarms) > 2


def test_an_event_is_followed_in_arabic_and_by_machines(tmp_path):
    some_event(tmp_path / "lesson", ticks=20, people=12)
    with showing_in_a_thread(tmp_path / "lesson") as shown:
        shown.reader.refresh()
        log = ("follow", shown.url, "--once", "--dir")
        arabic = run(*log, str(tmp_path / "a"), "--lang", "ar").stdout
        machines = run(*log, str(tmp_path / "b"), "--lang", "ar", "--json").stdout
    assert "قول السجل نفسه: لم يُتفق عليه مسبقًا" in arabic
    assert "(نهائية): الذروة المؤكدة" in arabic
    first = json.loads(machines.splitlines()[0])
    assert (first["type"], first["source"]) == ("trust", "log")
    assert first["why"] == "the log's own word: nobody agreed on it beforehand"
