"""core/course and core/recount: what may follow what, and what it adds up to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import presence
from streamcount.core.body import MOVE, REGISTRATION, Body
from streamcount.core.claim import (
    ClaimEntry,
    Excluded,
    Figures,
    ProfileResult,
    Wording,
)
from streamcount.core.claiming import ClaimError, definition_of, profile_result
from streamcount.core.course import Course, CourseError
from streamcount.core.entries import (
    FORMAT,
    EndEntry,
    EpochEntry,
    EventEntry,
    ExcludeEntry,
    GapEntry,
    NoteEntry,
    TickEntry,
)
from streamcount.core.event import parse_event
from streamcount.core.instants import Instant
from streamcount.core.peak import Peak
from streamcount.core.recount import Recount, Tallies
from tests.core.claimed import claimed

EVENT = parse_event({"id": "lesson", "title": {"en": "Lesson"}, "window": 7, "interval": 1})
OPENED = [
    EventEntry(EVENT, FORMAT, "key", "origin", "s", bytes(32), bytes(32)),
    EpochEntry(1, 100, (0,), "open", ("r",)),
]


def tick(number, **change):
    zeros = dict.fromkeys((f.name for f in dataclasses.fields(TickEntry)), 0)
    plain = zeros | {"tick": number, "epoch": 1, "streams": (0,), "body_root": bytes(32)}
    return TickEntry(**(plain | change))


def course(*entries):
    taken = Course()
    for entry in [*OPENED, *entries]:
        taken.take(entry)
    return taken


def whole(proven, close=109, extra=()):
    """A whole event of ticks 100 .. close whose final proven counts are these."""
    ticks = [
        tick(100 + i, proven=proven[i - 7] if 0 <= i - 7 < len(proven) else 0)
        for i in range(close - 100 + 1 + 7)
    ]
    return course(*extra, EndEntry(close), *ticks)


def test_claim_names_the_first_tick_of_the_highest_proven_count():
    claim = claimed(whole([1, 5, 5, 3, 5, 5, 5]))
    assert claim.gross == claim.net
    assert (claim.net.peak, claim.net.peak_first, claim.net.peak_last) == (5, 101, 102)
    assert (claim.value, claim.first, claim.last, claim.net.uniques) == (5, 100, 109, 0)
    assert (claim.net.watch_s, claim.net.average_milli) == (29, 2_900)
    assert claim.instant == Instant(
        "1970-01-01T00:01:42Z",
        "1970-01-01T03:01:42+03:00",
        "1970-01-01T00:01:43Z",
        "1970-01-01T03:01:43+03:00",
    )


def test_an_event_nobody_watched_has_a_peak_of_zero_without_a_tick():
    claim = claimed(whole([]))
    assert (claim.net.peak, claim.net.peak_first, claim.net.peak_last) == (0, None, None)
    assert (claim.value, claim.instant, claim.streams) == (0, None, ())


def test_a_tick_in_a_clock_gap_cannot_be_the_peak_and_one_in_a_loss_gap_can():
    clock = claimed(whole([1, 9, 2], extra=[GapEntry("clock", "step", 101, 101)]))
    assert (clock.net.peak, clock.net.peak_first, clock.clock_ticks) == (2, 102, 1)
    assert clock.net.watch_s == 12
    loss = claimed(whole([1, 9, 2], extra=[GapEntry("loss", "node", 101, 103)]))
    assert (loss.net.peak, loss.net.peak_first, loss.loss_ticks) == (9, 101, 3)


def test_a_right_claim_is_taken_and_ends_the_course():
    taken = whole([4])
    taken.take(claimed(taken))
    with pytest.raises(CourseError, match="after the claim"):
        taken.take(GapEntry("loss", "", 100, 100))


TOLD = {"root", "words", "software"}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ClaimEntry)])
def test_a_claim_with_any_field_changed_is_refused_but_for_what_is_told(field):
    taken = whole([4])
    claim = claimed(taken)
    changed = dataclasses.replace(
        claim,
        **{
            field: {
                "definition": claim.definition | {"target": 1},
                "gross": dataclasses.replace(claim.gross, peak=5),
                "net": dataclasses.replace(claim.net, peak=5),
                "instant": dataclasses.replace(claim.instant, utc="1970-01-01T00:01:42Z"),
                "streams": (),
                "exclusions": (Excluded("why", 0),),
                "profile": dataclasses.replace(claim.profile, duration_ok=1),
                "reason": "why",
            }.get(field, 12345)
        },
    )
    if field in TOLD:
        taken.take(dataclasses.replace(claim, words=Wording("x", "y"), root=b"r" * 32))
    else:
        with pytest.raises(CourseError, match=field):
            taken.take(changed)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Figures)])
def test_a_claim_with_any_figure_changed_is_refused(name):
    taken = whole([4])
    right = claimed(taken)
    for key in ("gross", "net"):
        figures = getattr(right, key)
        other = dataclasses.replace(figures, **{name: (getattr(figures, name) or 0) + 1})
        with pytest.raises(CourseError, match=f"{key}.{name}"):
            taken.take(dataclasses.replace(right, **{key: other}))


def test_local_instants_may_have_any_offset_that_makes_them_the_same_instants():
    taken = whole([4])
    right = claimed(taken)
    other = dataclasses.replace(right.instant, local="1970-01-01T00:01:41+00:00")
    for local in ("1970-01-01T00:01:41+00:00", "1970-01-01T18:01:41+18:00"):
        other = dataclasses.replace(right.instant, local=local)
        taken.after([dataclasses.replace(right, instant=other)])
    for local in (
        "1970-01-01T00:01:41-00:00", "1970-01-01T03:01:42+03:00", "1970-01-01T18:02:41+18:01", "", "1970-01-01T03:01:41",
        "1970-01-01T03:01:41+3:00", "1970-01-01t03:01:41+03:00", "1970-01-01T03:01:41+02:60",
    ):  # fmt: skip
        other = dataclasses.replace(right.instant, local=local)
        with pytest.raises(CourseError, match="instant"):
            taken.after([dataclasses.replace(right, instant=other)])


def test_a_claim_may_be_superseded_after_a_note_or_an_exclusion_up_to_sixteen_times():
    taken = whole([4])
    with pytest.raises(ClaimError, match="the first claim has no reason"):
        claimed(taken, "why")
    taken.take(claimed(taken))
    with pytest.raises(ClaimError, match="without an exclude or a note"):
        claimed(taken, "why")
    first = taken.size - 1
    taken.take(NoteEntry("somebody noticed"))
    assert (taken.corrected, taken.excluded_since) == (True, False)
    with pytest.raises(ClaimError, match="each later one has one"):
        claimed(taken)
    later = claimed(taken, "somebody noticed")
    assert (later.version, later.supersedes, later.size) == (2, first, first + 2)
    for wrong in ({"version": 3}, {"supersedes": first + 1}, {"supersedes": None}, {"reason": ""}):
        with pytest.raises(CourseError):
            taken.after([dataclasses.replace(later, **wrong)])
    taken.take(later)
    for number in range(14):
        taken.take(ExcludeEntry((f"{number:032x}",), "a program"))
        assert taken.excluded_since
        taken.take(claimed(taken, "a program", excluded=[0]))
        assert not taken.excluded_since
    assert (len(taken.claims), taken.claim.version) == (16, 16)
    taken.take(NoteEntry("one more"))
    with pytest.raises(ClaimError, match="more than 16 claims"):
        claimed(taken, "one more")


def test_a_claim_says_whether_the_event_was_what_its_profile_asks_for():
    def result(ticks, streams, **rules):
        event = {"streams": [{"id": f"s{n}"} for n in range(streams)], "window": 7, "interval": 1}
        profile = {"id": "ours"} | rules
        return profile_result(
            parse_event(event | {"id": "a", "title": {"en": "a"}, "rule_profile": profile}), ticks
        )

    assert result(1, 9) == ProfileResult(1, True, 9, True, True)
    assert result(599, 1, duration_s=600) == ProfileResult(599, False, 1, True, False)
    assert result(600, 1, duration_s=600, single_stream=True) == ProfileResult(
        600, True, 1, True, True
    )
    assert result(600, 2, single_stream=True) == ProfileResult(600, True, 2, False, False)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([OPENED[0]], "second event"),
        ([EpochEntry(1, 100, (0,), "again", ("r",))], "epoch 1 after epoch 1"),
        ([tick(100), EpochEntry(2, 100, (0,), "again", ("r",))], "begins at tick 100, 101 is next"),
        ([tick(101)], "tick 101 where 100 is next"),
        ([tick(100), tick(100)], "tick 100 where 101 is next"),
        ([tick(100, epoch=2)], "epoch 2 inside epoch 1"),
        ([tick(100, viewers=3, new=2)], "0 viewers and 2 new are not 3"),
        ([GapEntry("loss", "", 99, 100)], "before the first tick"),
        ([*(tick(100 + i) for i in range(9)), GapEntry("clock", "", 101, 105)], "final already"),
        ([tick(100), tick(101), EndEntry(100)], "101 was counted already"),
        ([EndEntry(100), EndEntry(101)], "second end"),
        ([ExcludeEntry(("ab" * 16, "ab" * 16), "")], "excluded twice"),
        (
            [ExcludeEntry(("ab" * 16,), ""), ExcludeEntry(("cd" * 16, "ab" * 16), "")],
            "excluded twice",
        ),
        (
            [ExcludeEntry((f"{n:032x}",), f"reason {n % 17}") for n in range(34)],
            "more than 16 different reasons",
        ),
        ([EndEntry(100), tick(100), tick(101, present=1)], "heartbeats in tick 101"),
        ([EndEntry(100), *(tick(100 + i) for i in range(9))], "tick 108 after the last one, 107"),
        (
            [dataclasses.replace(claimed(whole([])), definition=definition_of(EVENT))],
            "no claim before",
        ),
    ],
)
def test_an_entry_out_of_place_is_refused(entries, said):
    with pytest.raises(CourseError, match=said):
        course(*entries)


def test_nothing_comes_before_the_event():
    with pytest.raises(CourseError, match="not event"):
        Course().take(OPENED[1])


@pytest.mark.parametrize("entry", [tick(100), EndEntry(100)])
def test_nothing_is_counted_before_an_epoch(entry):
    taken = Course()
    taken.take(OPENED[0])
    with pytest.raises(CourseError):
        taken.take(entry)


@given(st.lists(st.integers(0, 4)))
def test_peak_is_the_first_highest_run(counts):
    peak = Peak()
    for number, count in enumerate(counts):
        peak.take(number, count)
    best = max(counts, default=0)
    assert peak.count == best
    if best:
        first = counts.index(best)
        last = first
        while last + 1 < len(counts) and counts[last + 1] == best:
            last += 1
        assert (peak.first, peak.last) == (first, last)


def test_viewers_are_excluded_from_the_event_on_until_the_claim():
    taken = Course()
    taken.take(OPENED[0])
    taken.take(ExcludeEntry(("ab" * 16,), "before it opens"))
    other = taken.after([OPENED[1], ExcludeEntry(("cd" * 16,), "later")])
    assert (taken.excluded, len(taken.exclusions)) == ({b"\xab" * 16}, 1)
    assert (len(other.excluded), [one.reason for one in other.exclusions]) == (
        2,
        ["before it opens", "later"],
    )
    one = whole([4], extra=[ExcludeEntry(("ab" * 16,), "")])
    with pytest.raises(CourseError, match="more viewers excluded"):
        one.take(dataclasses.replace(claimed(one, excluded=[0]), exclusions=(Excluded("", 2),)))


def test_a_note_may_stand_anywhere_behind_the_event():
    taken = Course()
    for number, entry in enumerate([*OPENED, EndEntry(100)]):
        taken.take(entry)
        taken = taken.after([NoteEntry(f"note {number}")])
    assert [note.text for note in taken.notes] == ["note 0", "note 1", "note 2"]


def body(viewers, *, new=0, here=(), broke=(), moves=()):
    return Body(
        np.array([(bytes([i]) * 16, 0) for i in range(new)], REGISTRATION),
        np.array(list(moves), MOVE),
        presence.bitmap_of(np.array(here, np.int64), viewers),
        presence.bitmap_of(np.array(broke, np.int64), viewers),
    )


def test_recount_builds_the_entry_of_a_tick():
    recount = Recount(EVENT, first=100)
    told = Tallies(heartbeats=3, muted=1, hidden=2, late=4)
    entry = recount.tick(1, body(2, new=2, here=[0, 1]), 99, b"r" * 32, told)
    assert entry == tick(
        100,
        viewers=2,
        new=2,
        present=2,
        live=2,
        streams=(2,),
        heartbeats=3,
        muted=1,
        hidden=2,
        late=4,
        body_bytes=99,
        body_root=b"r" * 32,
    )


@given(st.lists(st.sets(st.integers(0, 9)), max_size=40), st.integers(0, 39))
def test_a_recount_resumed_two_windows_back_gives_the_same_counts(ticks, at):
    """What the notary does after a restart: restore the viewers, count two windows, go on."""
    window = EVENT.window
    bodies = [body(10, here=sorted(here)) for here in ticks]
    whole_count = Recount(EVENT, first=0)
    whole_count.restore(np.zeros(10, np.uint16), bytearray(160))
    expected = [whole_count.count(one) for one in bodies]
    start = max(0, min(at, len(ticks)) - 2 * window)
    resumed = Recount(EVENT, first=start)
    resumed.restore(np.zeros(10, np.uint16), bytearray(160))
    found = [resumed.count(one) for one in bodies[start:]]
    assert found[at - start :] == expected[at:]


lives = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["", "here", "broke"]), max_size=30),
        st.none() | st.integers(0, 30),
        st.integers(0, 5),
    ),
    max_size=8,
)


@given(lives)
def test_excluding_leaves_bits_out_from_the_next_tick_on_and_changes_nothing_before(people):
    """Each viewer: a life, the tick they are excluded in front of, if any, and when they register."""
    window, ticks = EVENT.window, 45
    people = sorted(people, key=lambda one: one[2])  # numbered as they register
    out = [ticks if before is None else before for _, before, _ in people]
    happened = [
        [word if t >= start else "" for t, word in enumerate(life)] for life, _, start in people
    ]

    def left(word):
        return [
            {t for t, found in enumerate(life) if found == word and t < before}
            for life, before in zip(happened, out, strict=True)
        ]

    recount, live, proven, viewers = Recount(EVENT, first=0), [], [], 0
    for t in range(ticks + window):
        named = [f"{n + 1:032x}" for n, before in enumerate(out) if before == t < ticks]
        if named:
            recount.exclude(named)
        new = sum(start == t for _, _, start in people)
        names = [(int.to_bytes(viewers + n + 1, 16), 0) for n in range(new)]
        viewers += new
        now = {n: life[t] for n, life in enumerate(happened) if t < len(life)}
        one = body(
            viewers,
            here=[n for n, word in now.items() if word == "here"],
            broke=[n for n, word in now.items() if word == "broke"],
        )
        one = dataclasses.replace(one, registrations=np.array(names, REGISTRATION))
        entry = recount.tick(1, one, 0, bytes(32), Tallies())
        words = list(now.values())
        assert (entry.present, entry.breaks) == (words.count("here"), words.count("broke"))
        live.append(entry.live)
        proven.append(entry.proven)
    here, broke = left("here"), left("broke")
    assert live[:ticks] == presence.tally(
        (presence.live_ticks(one, window) for one in here), range(ticks)
    )
    assert proven[window:] == presence.tally(
        (presence.proven_ticks(h, b, window) for h, b in zip(here, broke, strict=True)),
        range(ticks),
    )
    assert recount.excluded == sum(before < ticks for before in out)
