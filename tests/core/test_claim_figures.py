"""core/figures and core/attendance: what a claim says, against the page read literally, over sets."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from streamcount.core import body as bodies
from streamcount.core import entries, segment
from streamcount.core.body import MOVE, REGISTRATION, Body
from streamcount.core.claim import Figures
from streamcount.core.entries import EndEntry, ExcludeEntry, TickEntry
from streamcount.core.event import parse_event
from streamcount.core.figures import FigureCount, reasons, replayed
from streamcount.core.presence import bitmap_of, live_ticks, proven_ticks, tally
from streamcount.core.recount import Recount, Tallies

FIRST, WINDOW, PEOPLE = 1_000, 7, 6


def event_of(presence_s, streams=2):
    return parse_event(
        {
            "id": "lesson",
            "title": {"en": "Lesson"},
            "window": WINDOW,
            "interval": 1,
            "streams": [{"id": f"s{n}"} for n in range(streams)],
            "rule_profile": {"id": "ours", "presence_s": presence_s},
        }
    )


def name(viewer):
    return f"{viewer + 1:032x}"


@st.composite
def histories(draw):
    """What each viewer does in each tick, who is excluded, and which ticks lie in gaps of the clock."""
    ticks = draw(st.integers(1, 30))
    states = st.sampled_from("PPPX..")
    lives = [
        draw(st.text(states, min_size=ticks, max_size=ticks))
        for _ in range(draw(st.integers(0, PEOPLE)))
    ]
    out = draw(st.lists(st.sets(st.integers(0, PEOPLE + 1), min_size=1), max_size=3))
    out = [names - set().union(*out[:n]) for n, names in enumerate(out)]
    gap = draw(st.none() | st.tuples(st.integers(0, 30), st.integers(0, 6)))
    clock = set() if gap is None else set(range(FIRST + gap[0], FIRST + gap[0] + gap[1]))
    return lives, [names for names in out if names], clock, draw(st.integers(0, 9))


def slow_figures(lives, left_out, clock, presence_s):
    """Section 11, read literally."""
    ticks = range(FIRST, FIRST + max(map(len, lives), default=0))
    here, proven, live = {}, {}, {}
    for viewer, life in enumerate(lives):
        if viewer in left_out:
            continue
        here[viewer] = {tick for tick, state in zip(ticks, life, strict=True) if state == "P"}
        broke = {tick for tick, state in zip(ticks, life, strict=True) if state == "X"}
        proven[viewer] = proven_ticks(here[viewer], broke, WINDOW)
        live[viewer] = live_ticks(here[viewer], WINDOW)
    counts = dict(zip(ticks, tally(proven.values(), ticks), strict=True))
    after = range(FIRST, ticks.stop + WINDOW)
    lives_of = dict(zip(after, tally(live.values(), after), strict=True))
    allowed = {tick: count for tick, count in counts.items() if tick not in clock}
    peak = max(allowed.values(), default=0)
    first = min((t for t, n in allowed.items() if n == peak), default=None) if peak else None
    last = first
    while last is not None and allowed.get(last + 1) == peak:
        last += 1
    there = [viewer for viewer in proven if first in proven[viewer]]
    live_peak = max(lives_of.values(), default=0)
    watched = sum(counts.values())
    return Figures(
        peak=peak,
        peak_first=first,
        peak_last=last,
        qualified=sum(len(proven[viewer] & {*ticks}) >= presence_s for viewer in there),
        live_peak=live_peak,
        live_peak_first=min(t for t, n in lives_of.items() if n == live_peak)
        if live_peak
        else None,
        uniques=len(lives) - len(left_out & {*range(len(lives))}),
        watch_s=watched,
        average_milli=1000 * watched // len(ticks) if ticks else 0,
    )


def log_of(event, lives):
    """The entries of ticks with their stored bodies, and what the streams were in each."""
    ticks = max(map(len, lives), default=0)
    recount, frames, streams = Recount(event, first=FIRST), [], {}
    for number in range(ticks + WINDOW):
        new = [(bytes.fromhex(name(v)), v % 2) for v in range(len(lives))] if not number else []
        state = ["." if number >= ticks else life[number] for life in lives]
        body = Body(
            np.array(new, REGISTRATION),
            np.array([], MOVE),
            *(
                bitmap_of(np.array([v for v, s in enumerate(state) if s == kind], int), len(lives))
                for kind in "PX"
            ),
        )
        data = bodies.encode(body)
        entry = recount.tick(1, body, len(data), bytes(32), Tallies())
        streams[entry.tick] = entry.streams
        frames.append((entries.encode(entry), segment.deflate(data) if data else b""))
    return [(entries.encode(EndEntry(FIRST + ticks)), b""), *frames], streams


@given(histories())
@example((["PP"], [{0}], set(), 1))
@example((["P.P.P", "..PP."], [], {FIRST + 2}, 3))
def test_figures_are_what_the_page_says(history):
    lives, out, clock, presence_s = history
    ticks = max(map(len, lives), default=0)
    event = event_of(presence_s)
    frames, streams = log_of(event, lives)
    exclusions = [
        ExcludeEntry(tuple(map(name, sorted(names))), f"reason {n % 2}")
        for n, names in enumerate(out)
    ]
    prefixes = [exclusions[:n] for n in range(len(exclusions) + 1)]
    found = replayed(event, FIRST, ticks, clock.__contains__, prefixes, lambda: frames)
    gross = slow_figures(lives, set(), clock, presence_s)
    for number, counts in enumerate(found):
        left_out = set().union(*out[:number])
        assert counts.gross.figures == gross
        assert counts.net.figures == slow_figures(lives, left_out, clock, presence_s)
        for one in (counts.gross, counts.net):
            assert one.streams == streams.get(one.figures.peak_first, ())
        whom = reasons(exclusions[:number])
        registered = [sum(int(v, 16) <= len(lives) for v in names) for names in whom.values()]
        assert counts.excluded == tuple(registered)


@given(histories())
def test_figures_counted_along_are_those_of_another_pass(history):
    """As a verifier has them where nobody is excluded; also in the middle, while not all ticks are final."""
    lives, _, clock, presence_s = history
    event = event_of(presence_s)
    frames, _ = log_of(event, lives)
    count = FigureCount(event, FIRST)
    recount = Recount(event, first=FIRST, pairs=count.pairs)
    seen = []
    for data, stored in frames:
        entry = entries.decode(data)
        seen.append((data, stored))
        if not isinstance(entry, TickEntry):
            continue
        body = bodies.decode(
            segment.inflate(stored, entry.body_bytes) if entry.body_bytes else b"",
            new=entry.new, moves=0, viewers=entry.viewers, breaks=entry.breaks, streams=2,
        )  # fmt: skip
        recount.count(body)
        in_gap = entry.tick - WINDOW in clock
        count.take(entry, streams=entry.streams, in_clock_gap=in_gap)
        ticks = entry.tick - FIRST + 1
        (again,) = replayed(event, FIRST, ticks, clock.__contains__, [[]], lambda: [*seen])
        assert count.found(recount.viewers, ticks) == again.gross == again.net
        # Twice the same: asking changes nothing.
        assert count.found(recount.viewers, ticks) == again.gross


def test_no_pass_has_more_than_two_sets_of_viewers_and_no_set_is_counted_twice():
    event, lives = event_of(0), ["PPPP"] * 4
    frames, _ = log_of(event, lives)
    out = [ExcludeEntry((name(viewer),), "why") for viewer in range(4)]
    passes = []

    def replay():
        passes.append(0)
        return frames

    prefixes = [[], out[:1], out[:1], out[:2], out[:3], out]
    found = replayed(event, FIRST, 4, lambda _: False, prefixes, replay)
    assert [one.net.figures.peak for one in found] == [4, 3, 3, 2, 1, 0]
    assert len(passes) == 3


def test_nothing_is_kept_of_pairs_where_nobody_asks_for_presence():
    assert FigureCount(event_of(1), FIRST).pairs is None
    assert FigureCount(event_of(2), FIRST).pairs is not None


def test_a_pair_never_reaches_beyond_what_is_final():
    """An event that goes on: of a pair whose end is not final, only the final ticks count."""
    event = event_of(4)
    frames, _ = log_of(event, ["P.....P.....P...", "PPPPPPPPPPPPPPPP"])
    (found,) = replayed(event, FIRST, 9, lambda _: False, [[]], lambda: frames[: 1 + 9])
    assert (found.gross.figures.peak, found.gross.figures.peak_first) == (2, FIRST)
    assert found.gross.figures.qualified == 0
    (found,) = replayed(event, FIRST, 12, lambda _: False, [[]], lambda: frames[: 1 + 12])
    assert found.gross.figures.qualified == 2
