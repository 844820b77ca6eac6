"""ingest/holding and ingest/viewers: what is held, when it is let go, and what is told late."""

from __future__ import annotations

import hmac
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.config import Settings
from streamcount.core.bucket import (
    BREAKS,
    ON_STREAM,
    QUALIFIES,
    STRANGER,
    Flushed,
    State,
    Status,
    add_tallies,
)
from streamcount.core.event import parse_event
from streamcount.core.listing import Listed
from streamcount.core.presence import positions
from streamcount.core.sharing import bucket_of
from streamcount.ingest.hearing import Hearing, HeldTick
from streamcount.ingest.holding import Holding, Outcome
from streamcount.ingest.viewers import UNKNOWN, Viewers

SECOND = 1_000_000
NOW = 1_795_000_000


def speaker(holding, viewer, stream=0):
    return SimpleNamespace(number=holding.enter(viewer), stream=stream, late=0)


class Clockwork:
    """A holding, a monotonic clock and a store that answers what it is told to."""

    def __init__(self, streams=1, **change):
        names = [{"id": f"s{n}"} for n in range(streams)]
        event = parse_event({"id": "lesson", "title": {"en": "x"}, "streams": names})
        self.holding = Holding(
            Listed(event, "t", bytes(32), "open"), Settings(**change), "node", "boot"
        )
        self.now = 0
        self.archived = NOW - 1
        self.epoch = 1
        # Event time of the store beside what it was at first, microseconds.
        self.skew = 0
        self.next_index = 0
        self.names = {}
        assert self.answer(Status.FENCED) is Outcome.GO_ON
        self.answer()
        self.answer()

    @property
    def tick(self):
        return NOW + self.now // SECOND

    def state(self, status, **change):
        plain = {
            "epoch": self.epoch,
            "now_us": NOW * SECOND + self.now + self.skew,
            "open": NOW,
            "archived": self.archived,
        }
        return State(status, **(plain | change))

    def pseudonym(self, viewer):
        return hmac.digest(bytes(32), viewer.encode(), "sha256")[:16]

    def index(self, name):
        if name not in self.names:
            self.names[name] = len(self.names)
        return self.names[name]

    def answer(self, status=Status.OK, indices=None, **change):
        """Answer the next part; returns the outcome and keeps the part."""
        self.part = self.holding.next_part()
        strangers = np.frombuffer(self.part.flush.strangers, STRANGER)
        found = indices
        if found is None:
            found = [
                self.index(s["pseudonym"].tobytes()) if s["effects"] & QUALIFIES else -1
                for s in strangers
            ]
        flushed = Flushed(
            self.state(status, **change), found if status in {Status.OK, Status.LATE} else ()
        )
        return self.holding.take(self.part, flushed, self.now, self.now)

    def pass_second(self):
        self.now += SECOND
        self.holding.roll(self.now)

    def deliver(self):
        while self.answer() is Outcome.GO_ON:
            pass

    def settled(self):
        return [(held.tick, list(held.seqs)) for held in self.holding.settled()]


def test_a_heartbeat_is_let_go_only_when_delivered_and_archived():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 7, muted=False, hidden=False)
    assert clock.settled() == []
    clock.pass_second()
    clock.archived = NOW  # archived, but not delivered by this worker
    assert clock.settled() == []
    clock.archived = NOW - 1
    clock.deliver()  # delivered, but not archived
    assert clock.settled() == []
    clock.archived = NOW
    clock.answer()
    assert clock.settled() == [(NOW, [7])]
    assert not clock.holding.waiting


def test_the_watermark_is_told_only_with_what_comes_last():
    clock = Clockwork(strangers_per_flush_max=2)
    for number in range(5):
        clock.holding.hear_presence(
            speaker(clock.holding, f"viewer-{number}"), number, muted=False, hidden=False
        )
    clock.pass_second()
    told = []
    for _ in range(3):
        outcome = clock.answer()
        told.append(
            (
                clock.part.flush.delivered,
                len(clock.part.flush.strangers) // 19,
                bool(clock.part.flush.tallies),
            )
        )
    assert told == [(None, 2, False), (None, 2, False), (NOW, 1, True)]
    assert outcome is Outcome.PAUSE
    clock.answer()
    assert (clock.part.flush.delivered, clock.part.flush.tick) == (NOW, None)


def test_known_viewers_are_a_bitmap_of_indices_and_strangers_introduce_themselves():
    clock = Clockwork()
    a, b = speaker(clock.holding, "viewer-a"), speaker(clock.holding, "viewer-b")
    clock.holding.hear_presence(a, 1, muted=True, hidden=True)
    clock.pass_second()
    clock.answer(indices=[9])
    clock.holding.hear_presence(a, 2, muted=False, hidden=True)
    clock.holding.hear_break(b, 1)
    clock.pass_second()
    clock.answer()
    flush = clock.part.flush
    assert positions(np.frombuffer(flush.presence, np.uint8)).tolist() == [9]
    (stranger,) = np.frombuffer(flush.strangers, STRANGER)
    assert (stranger["pseudonym"].tobytes(), stranger["effects"]) == (
        clock.holding.viewers.pseudonyms[b.number].tobytes(),
        BREAKS,
    )
    told = add_tallies([flush.tallies])
    assert (told.heartbeats, told.muted, told.hidden, told.late) == (2, 0, 1, 0)


def test_a_new_epoch_forgets_indices_and_delivers_everything_held_again():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.deliver()
    clock.epoch = 2
    assert clock.answer(Status.FENCED) is Outcome.GO_ON
    assert clock.holding.cut_off
    assert clock.holding.viewers.index[one.number] == UNKNOWN
    clock.archived = NOW
    assert clock.settled() == []
    clock.deliver()
    assert clock.part.flush.epoch == 2
    assert len(clock.part.flush.strangers) == 19
    assert clock.settled() == [(NOW, [1])]


def test_an_older_epoch_is_not_believed():
    """A zombie master still answers with the epoch it was armed with."""
    clock = Clockwork()
    clock.epoch = 5
    clock.answer(Status.FENCED)
    clock.deliver()
    clock.epoch = 4
    assert clock.answer(Status.FENCED) is Outcome.PAUSE
    assert clock.holding.state.epoch == 5


def test_what_comes_after_the_seal_is_late_never_let_go_and_told_with_the_next_tick():
    clock = Clockwork()
    one, two = speaker(clock.holding, "viewer-1"), speaker(clock.holding, "viewer-2")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.holding.hear_presence(one, 2, muted=False, hidden=False)
    clock.pass_second()
    clock.answer(Status.LATE, indices=[-1])
    assert clock.settled() == []
    clock.archived = NOW
    clock.answer()
    assert clock.settled() == []
    assert (one.late, two.late, clock.holding.late_total) == (2, 0, 2)
    clock.holding.hear_presence(two, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.answer()
    assert add_tallies([clock.part.flush.tallies]).late == 2


def test_of_a_tick_in_parts_only_the_late_part_is_lost():
    clock = Clockwork(strangers_per_flush_max=1)
    one, two = speaker(clock.holding, "viewer-1"), speaker(clock.holding, "viewer-2")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.holding.hear_presence(two, 2, muted=False, hidden=False)
    clock.pass_second()
    assert clock.answer() is Outcome.GO_ON
    assert clock.answer(Status.LATE, indices=[-1]) is Outcome.PAUSE
    clock.archived = NOW
    clock.answer()
    assert clock.settled() == [(NOW, [1])]
    assert (one.late, two.late) == (0, 1)


def test_a_tick_that_is_in_the_future_for_the_store_is_delivered_later():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    assert clock.answer(Status.OUTSIDE) is Outcome.PAUSE
    clock.deliver()
    clock.archived = NOW
    clock.answer()
    assert clock.settled() == [(NOW, [1])]


def test_what_was_heard_after_the_close_is_late():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.answer(Status.OUTSIDE, close=NOW - 1)
    assert one.late == 1
    assert not clock.holding.waiting
    assert clock.holding.closed_because == "closed"


def test_a_registry_that_is_not_what_was_believed_is_asked_again():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    for _ in range(2):
        clock.holding.hear_presence(one, 1, muted=False, hidden=False)
        clock.pass_second()
        clock.deliver()
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    assert clock.answer(Status.REFUSED) is Outcome.PAUSE
    clock.answer()
    assert len(clock.part.flush.strangers) == 19


def test_more_ticks_than_allowed_give_up_the_oldest_as_late():
    clock = Clockwork(held_ticks_max=22)
    one = speaker(clock.holding, "viewer-1")
    for number in range(30):
        clock.holding.hear_presence(one, number, muted=False, hidden=False)
        clock.pass_second()
    assert one.late == 8
    # Told as a life of its own, so that the store has the notary log a gap.
    assert clock.holding.next_part().flush.boot.endswith("+8")
    clock.deliver()
    clock.archived = NOW + 100
    clock.answer()
    assert [seqs for _, seqs in clock.settled()] == [[n] for n in range(8, 30)]


def test_more_bytes_than_allowed_give_up_the_oldest_as_late():
    clock = Clockwork(held_bytes_max=16_000)
    one = speaker(clock.holding, "viewer-1")
    for _ in range(4):
        for number in range(20):
            clock.holding.hear_presence(one, number, muted=False, hidden=False)
        clock.pass_second()
    assert one.late == 60


def test_the_stream_of_the_latest_heartbeat_goes_along():
    clock = Clockwork(streams=3)
    one = speaker(clock.holding, "viewer-1", stream=1)
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.answer(indices=[4])
    assert np.frombuffer(clock.part.flush.strangers, STRANGER)["stream"].tolist() == [1]
    one.stream = 2
    clock.holding.hear_presence(one, 2, muted=False, hidden=False)
    clock.pass_second()
    clock.answer()
    assert np.frombuffer(clock.part.flush.streams, ON_STREAM).tolist() == [(4, 2)]


def test_who_got_no_index_is_told_why():
    clock = Clockwork()
    full, never = speaker(clock.holding, "viewer-1"), speaker(clock.holding, "viewer-2")
    clock.holding.hear_presence(full, 1, muted=False, hidden=False)
    clock.holding.hear_break(never, 2)
    clock.pass_second()
    clock.answer(indices=[-1, -1])
    clock.archived = NOW
    clock.answer()
    (held,) = clock.holding.settled()
    assert clock.holding.unset(held) == {full.number: "full", never.number: "no-presence"}


def effects_of(clock):
    """viewer -> effects, of the part last answered, by what the store calls them or their pseudonym."""
    strangers = np.frombuffer(clock.part.flush.strangers, STRANGER)
    known = clock.names
    told = {s["pseudonym"].tobytes(): int(s["effects"]) for s in strangers}
    for bits, effect in ((clock.part.flush.presence, QUALIFIES), (clock.part.flush.breaks, BREAKS)):
        for index in positions(np.frombuffer(bits, np.uint8)):
            name = next(name for name, at in known.items() if at == index)
            told[name] = told.get(name, 0) | effect
    return {
        viewer: told[pseudonym]
        for viewer in ("viewer-1", "viewer-2")
        if (pseudonym := clock.pseudonym(viewer)) in told
    }


def test_a_break_that_is_late_stands_in_the_next_tick_instead_of_a_presence():
    clock = Clockwork()
    one, two = speaker(clock.holding, "viewer-1"), speaker(clock.holding, "viewer-2")
    clock.holding.hear_break(one, 1)
    clock.holding.hear_presence(two, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.holding.hear_presence(one, 2, muted=False, hidden=False)
    clock.holding.hear_presence(two, 2, muted=False, hidden=False)
    clock.pass_second()
    assert clock.answer(Status.LATE) is Outcome.GO_ON
    clock.answer()
    assert effects_of(clock) == {"viewer-1": BREAKS, "viewer-2": QUALIFIES}
    clock.archived = NOW + 1
    clock.answer()
    (held,) = clock.holding.settled()
    assert (one.late, two.late) == (1, 1)
    assert held.seqs == [2, 2]
    assert clock.holding.unset(held)[one.number] == "break-lost"
    assert two.number not in clock.holding.unset(held)


def test_a_late_break_with_nothing_held_behind_it_waits_for_the_tick_under_way():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_break(one, 1)
    clock.pass_second()
    clock.answer(Status.LATE)
    assert clock.holding.waiting
    clock.holding.leave(one.number)
    stranger = speaker(clock.holding, "viewer-3")
    assert stranger.number != one.number
    clock.pass_second()
    clock.answer()
    assert effects_of(clock) == {"viewer-1": BREAKS}


def test_a_break_is_carried_on_until_it_is_taken_and_not_beyond_the_close():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_late(one, breaks=True)
    for _ in range(3):
        clock.pass_second()
        clock.answer(Status.LATE)
        assert effects_of(clock) == {"viewer-1": BREAKS}
    clock.pass_second()
    clock.answer(Status.LATE, close=NOW + 1)
    clock.archived = NOW + 9
    clock.answer(close=NOW + 1)
    assert clock.settled() == []
    assert not clock.holding.waiting


def test_what_came_too_late_is_tried_again_when_another_epoch_comes_first():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.answer(Status.LATE)
    clock.epoch = 2
    clock.answer(Status.FENCED)
    clock.answer()
    assert clock.part.held is None
    clock.answer()
    assert clock.part.held.tick == NOW
    clock.archived = NOW
    clock.answer()
    assert clock.settled() == [(NOW, [1])]
    assert one.late == 0


@pytest.mark.parametrize("seconds", [-9, -0.6, 0.6, 9])
def test_what_was_heard_by_another_time_than_a_new_epochs_is_late_and_its_breaks_stand_later(
    seconds,
):
    clock = Clockwork()
    one, two = speaker(clock.holding, "viewer-1"), speaker(clock.holding, "viewer-2")
    for seq in range(3):
        clock.holding.hear_presence(one, seq, muted=False, hidden=False)
        clock.pass_second()
    clock.holding.hear_break(two, 1)
    clock.holding.hear_presence(one, 3, muted=False, hidden=False)
    clock.epoch, clock.skew = 2, round(seconds * SECOND)
    clock.answer(Status.FENCED)
    clock.answer()
    assert (one.late, two.late) == (4, 1)
    for _ in range(11):
        clock.pass_second()
        clock.answer()
        if clock.part.held is not None:
            break
    assert clock.part.flush.boot == "boot+1"
    assert effects_of(clock) == {"viewer-2": BREAKS}


def test_a_new_epoch_under_the_same_time_keeps_what_was_heard():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    clock.epoch, clock.skew = 2, SECOND // 5
    clock.answer(Status.FENCED)
    clock.answer()
    assert (one.late, clock.part.flush.boot) == (0, "boot")
    assert clock.holding.waiting


def test_a_break_told_again_shuts_its_tick_and_an_ordinary_one_does_not():
    for again, expected in ((True, BREAKS), (False, BREAKS | QUALIFIES)):
        clock = Clockwork()
        one = speaker(clock.holding, "viewer-1")
        clock.holding.hear_break(one, 1, again=again)
        clock.holding.hear_presence(one, 2, muted=False, hidden=False)
        clock.pass_second()
        clock.answer()
        assert effects_of(clock) == {"viewer-1": expected}


def test_what_is_given_up_leaves_its_breaks_to_what_follows():
    clock = Clockwork(held_ticks_max=22)
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_break(one, 0)
    for number in range(23):
        clock.pass_second()
        clock.holding.hear_presence(one, number, muted=False, hidden=False)
    clock.answer()
    assert clock.part.held.tick == NOW + 1
    assert effects_of(clock) == {"viewer-1": BREAKS}


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1, 2, 3])), unique_by=lambda t: t[0]),
    st.sets(st.integers(0, 40)),
)
def test_shutting_a_tick_is_what_the_slow_version_says(heard, shut):
    hearing = Hearing(NOW, 41, several_streams=False)
    speakers = {}
    for number, effect in heard:
        speakers[number] = SimpleNamespace(number=number, stream=0, late=0)
        for bit, bitmap in ((QUALIFIES, hearing.presence), (BREAKS, hearing.breaks)):
            if effect & bit:
                bitmap[number >> 3] |= 0x80 >> (number & 7)
    held = HeldTick(hearing, 0)
    held.undelivered[:] = False
    held.shut(np.array(sorted(shut), np.int64))
    before = dict(heard)
    after = {
        number: BREAKS if number in shut else before[number] for number in before.keys() | shut
    }
    assert dict(zip(held.numbers.tolist(), held.effects.tolist(), strict=True)) == after
    assert set(held.numbers[held.undelivered].tolist()) == shut
    gone = {number for number in shut if before.get(number, 0) & QUALIFIES}
    assert set(held.numbers[held.withheld].tolist()) == gone


def test_a_clock_that_was_set_is_not_followed_until_there_is_a_new_epoch():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_presence(one, 1, muted=False, hidden=False)
    clock.pass_second()
    for step in (-60, 60):
        assert clock.answer(now_us=(NOW + step) * SECOND + clock.now) is Outcome.PAUSE
        assert clock.holding.uncertain(clock.now)
        clock.holding.roll(clock.now)
        assert clock.holding.tick == NOW + 1
    clock.epoch = 2
    clock.answer(Status.FENCED)
    clock.answer()
    clock.archived = NOW
    clock.answer()
    assert clock.settled() == [(NOW, [1])]


def test_a_worker_whose_own_clock_stood_still_follows_the_store_after_a_while():
    clock = Clockwork()
    for second in range(8):
        clock.archived += 1
        clock.answer(now_us=(NOW + 60) * SECOND + clock.now)
        clock.pass_second()
        assert (clock.holding.tick < NOW + 60) == (second < 6)


def test_while_event_time_is_behind_the_latest_tick_nothing_is_heard():
    clock = Clockwork()
    clock.pass_second()
    clock.epoch = 2
    clock.answer(Status.FENCED)
    clock.answer(now_us=(NOW - 3) * SECOND + clock.now)
    assert clock.holding.tick == NOW + 1
    assert clock.holding.closed_because == "not-ready"
    assert clock.holding.boundary_us == clock.now + 3 * SECOND
    clock.holding.roll(clock.holding.boundary_us)
    assert clock.holding.closed_because == ""


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"open": 0}, "not-ready"),
        ({"open": NOW + 9}, "not-open"),
        ({"close": NOW - 1}, "closed"),
        ({}, ""),
    ],
)
def test_why_a_heartbeat_cannot_count_now(state, why):
    clock = Clockwork()
    clock.answer(**state)
    assert clock.holding.closed_because == why


def test_uncertain_while_cut_off_behind_or_told_so():
    clock = Clockwork()
    assert not clock.holding.uncertain(clock.now)
    clock.holding.lost_contact()
    assert clock.holding.uncertain(clock.now)
    clock.answer(uncertain=1)
    assert clock.holding.uncertain(clock.now)
    clock.answer()
    assert clock.holding.uncertain(clock.now + 10 * SECOND)


@given(st.lists(st.tuples(st.sampled_from(["enter", "leave", "sweep"]), st.integers(0, 5))))
def test_a_number_means_one_viewer_as_long_as_a_held_tick_can_name_them(acts):
    """Against the obvious: a viewer's number changes only after a sweep later than their leaving."""
    viewers = Viewers(bytes(32))
    connected, numbers, left = {}, {}, {}
    for tick, (act, who) in enumerate(acts):
        if act == "enter":
            number = viewers.enter(f"viewer-{who}")
            if who in numbers:
                assert numbers[who] == number
            assert number not in {n for other, n in numbers.items() if other != who}
            numbers[who] = number
            connected[who] = connected.get(who, 0) + 1
        elif act == "leave" and connected.get(who):
            connected[who] -= 1
            left[who] = tick
            viewers.leave(numbers[who], tick)
        elif act == "sweep":
            viewers.sweep(tick - 2)
            for gone in [w for w, t in left.items() if t < tick - 2 and not connected[w]]:
                del numbers[gone], left[gone]
        assert len(viewers) == len(numbers)


def test_a_break_before_the_first_presence_is_told_as_it_was_delivered():
    """The viewer has an index by the time the tick is settled, and no bit in it all the same."""
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_break(one, 1)
    clock.pass_second()
    clock.answer(indices=[-1])
    clock.holding.hear_presence(one, 2, muted=False, hidden=False)
    clock.pass_second()
    clock.answer(indices=[0])
    clock.archived = NOW + 1
    clock.answer()
    told = [(list(held.seqs), clock.holding.unset(held)) for held in clock.holding.settled()]
    assert told == [([1], {one.number: "no-presence"}), ([2], {})]


def test_delivered_again_after_a_new_epoch_a_break_of_a_registered_viewer_is_in():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    clock.holding.hear_break(one, 1)
    clock.pass_second()
    clock.answer(indices=[-1])
    clock.epoch = 2
    clock.answer(Status.FENCED)
    clock.answer()
    clock.answer(indices=[7])
    clock.deliver()
    clock.archived = NOW
    clock.answer()
    (held,) = clock.holding.settled()
    assert clock.holding.unset(held) == {}


@pytest.mark.parametrize("status", [Status.OK, Status.LATE, Status.OUTSIDE])
def test_what_is_given_up_while_its_flush_is_on_the_way_is_late_once(status):
    clock = Clockwork(held_ticks_max=22)
    holding = clock.holding
    one = speaker(holding, "viewer-1")
    for number in range(22):
        holding.hear_presence(one, number, muted=False, hidden=False)
        clock.pass_second()
    part = holding.next_part()
    holding.hear_presence(one, 22, muted=False, hidden=False)
    clock.pass_second()
    assert one.late == 1
    holding.take(part, Flushed(clock.state(status), [0]), clock.now, clock.now)
    assert one.late == 1
    clock.deliver()
    clock.archived = NOW + 100
    clock.answer()
    assert [seqs for _, seqs in clock.settled()] == [[n] for n in range(1, 23)]


def test_viewers_who_come_and_go_before_the_event_opens_are_forgotten():
    event = parse_event({"id": "lesson", "title": {"en": "x"}})
    holding = Holding(Listed(event, "t", bytes(32), "waiting"), Settings(), "node", "boot")
    stays = holding.enter("viewer-stays")
    for number in range(1000):
        holding.leave(holding.enter(f"viewer-{number}"))
    assert len(holding.viewers) == 1
    assert holding.viewers.numbers_end == 2
    assert holding.enter("viewer-stays") == stays


def test_what_nobody_will_answer_any_more_is_given_up_as_late():
    clock = Clockwork()
    one = speaker(clock.holding, "viewer-1")
    for number in range(3):
        clock.holding.hear_presence(one, number, muted=False, hidden=False)
        clock.now += SECOND
        if number < 2:
            clock.holding.roll(clock.now)
    assert clock.holding.waiting
    clock.holding.give_up()
    assert (clock.holding.waiting, one.late, clock.holding.late_total) == (False, 3, 3)


# --- Several buckets ---


class Buckets(Clockwork):
    """A holding of an event in three buckets, each of which answers when it is told to."""

    def __init__(self):
        event = parse_event({"id": "lesson", "title": {"en": "x"}, "streams": [{"id": "s"}]})
        listed = Listed(event, "t", bytes(32), "open", buckets=3)
        self.holding = Holding(listed, Settings(), "node", "boot")
        self.now, self.archived, self.epoch, self.skew = 0, NOW - 1, 1, 0
        self.names = {}
        for bucket in (0, 1, 2):
            self.round(bucket)

    def ask(self, bucket):
        return self.holding.next_part(bucket)

    def reply(self, part, status=Status.OK, epoch=None):
        strangers = np.frombuffer(part.flush.strangers, STRANGER)
        names = self.names.setdefault(part.bucket, [])
        for stranger in strangers:
            if stranger["pseudonym"].tobytes() not in names:
                names.append(stranger["pseudonym"].tobytes())
        found = [names.index(stranger["pseudonym"].tobytes()) for stranger in strangers]
        state = self.state(status, epoch=self.epoch if epoch is None else epoch)
        fenced = status is Status.FENCED
        return self.holding.take(part, Flushed(state, () if fenced else found), self.now, self.now)

    def round(self, bucket):
        while True:
            part = self.ask(bucket)
            fenced = part.flush.epoch != self.epoch
            if self.reply(part, Status.FENCED if fenced else Status.OK) is Outcome.PAUSE:
                return part

    def hear(self, numbers):
        for number in numbers:
            one = speaker(self.holding, f"viewer-{number:04}")
            self.holding.hear_presence(one, number, muted=False, hidden=False)


def test_each_bucket_is_given_its_own_viewers_and_all_are_told_the_watermark():
    clock = Buckets()
    clock.hear(range(40))
    clock.pass_second()
    sizes, tallies = [], []
    for bucket in (0, 1, 2):
        part = clock.round(bucket)
        names = np.frombuffer(part.flush.strangers, STRANGER)["pseudonym"]
        assert {bucket_of(name.tobytes(), 3) for name in names} == {bucket}
        assert part.flush.delivered == NOW
        sizes.append(len(names))
        tallies += [part.flush.tallies] if part.flush.tallies else []
        clock.archived = NOW if bucket == 2 else NOW - 1
    assert (sum(sizes), min(sizes) > 5) == (40, True)
    assert [add_tallies([one]).heartbeats for one in tallies] == [40]
    assert clock.settled() == []
    clock.round(0)
    assert clock.settled() == [(NOW, list(range(40)))]


def test_while_one_bucket_is_out_of_reach_the_others_get_theirs_and_nothing_is_let_go():
    clock = Buckets()
    clock.hear(range(40))
    clock.pass_second()
    clock.holding.lost_contact(1)
    clock.archived = NOW
    for bucket in (0, 2):
        clock.round(bucket)
    assert clock.holding.cut_off
    assert clock.settled() == []
    clock.round(1)
    assert not clock.holding.cut_off
    assert clock.settled() == [(NOW, list(range(40)))]


def test_what_a_bucket_took_before_another_told_of_a_new_epoch_is_delivered_again():
    clock = Buckets()
    clock.hear(range(40))
    clock.pass_second()
    early = clock.ask(1)
    clock.epoch = 2
    assert clock.reply(clock.ask(0), Status.FENCED) is Outcome.GO_ON
    # This one was accepted in the epoch before, and what had it was wiped since, or will be.
    assert clock.reply(early, epoch=1) is Outcome.GO_ON
    # Nothing is delivered before the time of the epoch is known.
    assert clock.ask(1).flush.strangers == b""
    assert clock.reply(clock.ask(0)) is Outcome.GO_ON
    again = clock.ask(1)
    assert again.flush.epoch == 2
    assert again.flush.strangers == early.flush.strangers


def test_a_fence_of_an_epoch_that_another_bucket_told_of_meanwhile_is_no_reason_to_wait():
    clock = Buckets()
    early = clock.ask(1)
    clock.epoch = 2
    clock.reply(clock.ask(0), Status.FENCED)
    assert clock.reply(early, Status.FENCED) is Outcome.GO_ON


def test_what_one_bucket_says_is_late_leaves_what_another_is_about_to_answer_in_place():
    clock = Buckets()
    clock.hear(range(40))
    clock.pass_second()
    parts = [clock.ask(bucket) for bucket in (0, 1, 2)]
    clock.reply(parts[0], Status.LATE)
    clock.reply(parts[1])
    assert clock.ask(1).held is None
    # None of another bucket's viewers were taken for delivered.
    assert clock.ask(2).flush.strangers == parts[2].flush.strangers
    clock.reply(parts[2])
    clock.archived = NOW
    for bucket in (0, 1, 2):
        clock.round(bucket)
    ((tick, seqs),) = clock.settled()
    late = len(np.frombuffer(parts[0].flush.strangers, STRANGER))
    assert (tick, len(seqs)) == (NOW, 40 - late)
    assert clock.holding.late_total == late


def test_another_number_of_buckets_gets_everything_again():
    clock = Buckets()
    clock.hear(range(40))
    clock.pass_second()
    for bucket in (0, 1, 2):
        clock.round(bucket)
    listed = replace(clock.holding.listed, buckets=2)
    clock.holding.share_out(listed)
    assert clock.holding.cut_off
    clock.names, clock.epoch = {}, 2
    sizes = [len(np.frombuffer(clock.round(b).flush.strangers, STRANGER)) for b in (0, 1)]
    assert (sum(sizes), min(sizes) > 8) == (40, True)
