"""core/trace: what is seen of a tested page, read back, bounded, and judged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from streamcount.core.policy import Effect
from streamcount.core.trace import TRACE_BYTES_MAX, Trace, TraceError, parse_trace, verdict
from streamcount.core.wire import Heartbeat, Hello
from streamcount.words import catalogue

ROOT = Path(__file__).parents[2]
HELLO = Hello("lesson", "main", "viewer-0001", "film", "html5", "abcdefghijkl")
QUALIFIES, BREAKS = (Effect.QUALIFIES, ""), (Effect.BREAKS, "")


def neither(why):
    return Effect.NEITHER, why


def beat(seq, state="playing"):
    return Heartbeat(seq, state, True, False, 1.0, None, "")


def traced(*does, closed=None):
    trace = Trace.begun(HELLO, "https://page.example", 1000)
    for seq, one in enumerate(does):
        trace.hear(beat(seq), one, 2000 + seq, 5)
    if closed is not None:
        trace.close(closed, "because")
    return trace


def test_a_trace_reads_back_and_names_no_viewer():
    trace = traced(QUALIFIES, neither("muted"), BREAKS, closed=4404)
    trace.acknowledge(0, 77)
    assert parse_trace(trace.to_json()) == trace
    assert b"viewer-0001" not in trace.to_json()


def test_it_keeps_the_latest_heartbeats_and_counts_all():
    trace = traced(*[QUALIFIES] * 9)
    assert [one.number for one in trace.heartbeats] == [5, 6, 7, 8, 9]
    assert trace.heard == 9


def test_an_answer_is_for_one_heartbeat_and_the_first_stands():
    trace = traced(QUALIFIES, QUALIFIES)
    trace.acknowledge(1, 77)
    trace.note(1, "full", waiting=False)
    trace.note(99, "full", waiting=False)
    assert [(one.tick, one.noted) for one in trace.heartbeats] == [(None, None), (77, None)]


SOUND = json.loads(traced(QUALIFIES).to_json())
BEAT = SOUND["heartbeats"][0]


@pytest.mark.parametrize(
    "given",
    [
        b"", b"[]", b"{}", b"null", b"x" * (TRACE_BYTES_MAX + 1),
        SOUND | {"more": 1}, SOUND | {"origin": None}, SOUND | {"origin": "x" * 301}, SOUND | {"late": True},
        SOUND | {"closed": "4404"}, SOUND | {"heartbeats": {}}, SOUND | {"heartbeats": [1]},
        SOUND | {"heartbeats": [BEAT] * 101}, SOUND | {"heartbeats": [BEAT | {"state": "dancing"}]},
        SOUND | {"heartbeats": [BEAT | {"why": "<script>"}]}, SOUND | {"heartbeats": [BEAT | {"tick": "1"}]},
        SOUND | {"heartbeats": [BEAT | {"noted": "No"}]}, SOUND | {"heartbeats": [BEAT | {"muted": 1}]},
    ],
)  # fmt: skip
def test_what_is_no_trace_is_refused(given):
    with pytest.raises(TraceError):
        parse_trace(given if isinstance(given, bytes) else json.dumps(given).encode())


def answered(*does, ack=(), noted=(), late=0, closed=None, waiting=False):
    trace = traced(*does, closed=closed)
    trace.late = late
    for seq in ack:
        trace.acknowledge(seq, 77)
    for seq, why in noted:
        trace.note(seq, why, waiting=waiting)
    return trace


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (answered(), "silent"),
        (answered(QUALIFIES), "unanswered"),
        (answered(QUALIFIES, late=1), "late"),
        (answered(QUALIFIES, ack=[0]), "counted"),
        (answered(QUALIFIES, QUALIFIES, ack=[0]), "counted"),
        (answered(QUALIFIES, noted=[(0, "not-open")]), "would-count"),
        (answered(QUALIFIES, QUALIFIES, noted=[(0, "not-open")]), "would-count"),
        (answered(QUALIFIES, noted=[(0, "full")]), "full"),
        (answered(QUALIFIES, noted=[(0, "not-ready")], waiting=True), "would-count"),
        (answered(QUALIFIES, noted=[(0, "not-ready")]), "not-ready"),
        (answered(QUALIFIES, neither("muted"), ack=[0]), "muted"),
        (answered(QUALIFIES, BREAKS, ack=[0, 1]), "hidden"),
        (answered(BREAKS, QUALIFIES, ack=[0]), "unanswered"),
        (answered(neither("no-position")), "no-position"),
        (answered(QUALIFIES, ack=[0], closed=0), "counted"),
        (answered(QUALIFIES, ack=[0], closed=4429), "refused"),
        (answered(closed=4404), "refused"),
    ],
)
def test_the_verdict(trace, expected):
    assert verdict(trace) == expected


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_a_player_that_stands_still_breaks_for_that_reason(state):
    trace = traced()
    trace.hear(beat(1, state), BREAKS, 1, 5)
    assert verdict(trace) == state


def test_every_verdict_has_its_words():
    """Those of the docstring, and every reason of a `noted` that a qualifying heartbeat can get."""
    own = re.findall(r"^    ([a-z-]+)  ", verdict.__doc__, re.MULTILINE)
    protocol = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    reasons = protocol.partition("| `why` |")[2].partition("\n\n")[0]
    noted = re.findall(r"`([a-z-]+)`", reasons)
    assert {"full", "not-ready", "no-progress"} <= set(noted)
    for why in {*own, "ended", "hidden", "nobody", *noted} - {"else", "not-open", "no-presence"}:
        for lang in ("en", "ar"):
            key = "test_verdict_" + why.replace("-", "_")
            assert catalogue(lang).say(key, code=4404)
