"""core/clock: event time over a monotonic clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.clock import EventClock


@given(
    st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 50_000)), min_size=1, max_size=40),
    st.integers(-(10**12), 10**15),
)
def test_error_is_at_most_half_the_shortest_round_trip(trips, offset):
    clock = EventClock()
    now = 0
    for there, back in trips:
        clock.sample(now, now + there + back, now + there + offset)
        now += 1_000_000
    latest = trips[-16:]
    assert clock.error_us == min(there + back for there, back in latest) // 2
    assert abs(clock.now_us(now) - (now + offset)) <= clock.error_us + 1


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(-(10**9), 10**9))
def test_ticks_never_go_back(times, step):
    clock = EventClock()
    clock.sample(0, 0, 10**12)
    told = []
    for number, time in enumerate(times):
        if number == len(times) // 2:
            clock.forget()
            clock.sample(time, time, 10**12 + time + step)
        told.append(clock.tick(time))
    assert told == sorted(told)


@given(
    st.lists(st.integers(0, 400_000), min_size=1, max_size=60),
    st.integers(-1_000, 1_000),
    st.integers(-(10**12), 10**15),
)
def test_a_clock_that_drifts_as_clocks_may_is_never_refused(trips, ppm, offset):
    clock, now = EventClock(), 0
    for trip in trips:
        server = now + trip // 3
        assert clock.sample(now, now + trip, server + server * ppm // 1_000_000 + offset)
        now += 60_000_000


@given(
    st.lists(st.integers(0, 20_000), min_size=1, max_size=30),
    st.integers(300_000, 10**12) | st.integers(-(10**12), -300_000),
)
def test_a_step_is_refused_however_often_it_is_told_and_the_mapping_stays(trips, step):
    clock, now = EventClock(), 0
    for trip in trips:
        assert clock.sample(now, now + trip, now + trip // 2)
        now += 200_000
    mapped = clock.now_us(now)
    for trip in trips:
        assert not clock.sample(now, now + trip, now + trip // 2 + step)
        now += 200_000
    assert clock.now_us(now) == mapped + 200_000 * len(trips)
    clock.forget()
    assert clock.sample(now, now, now + step)


def test_small_steps_add_up_and_are_refused():
    """A clock at half its speed, asked five times a second."""
    clock = EventClock()
    taken = [clock.sample(now, now + 2_000, now // 2) for now in range(0, 2_000_000, 200_000)]
    assert taken[:2] == [True, True]
    assert not any(taken[3:])


def test_not_ready_before_the_first_answer_and_ready_while_there_are_none_later():
    clock = EventClock()
    assert not clock.ready
    clock.sample(0, 10, 5_000_000)
    clock.forget()
    assert clock.ready
    assert clock.tick(1_000_000) == 5


def test_monotonic_time_of_an_event_time():
    clock = EventClock()
    clock.sample(100, 300, 5_000_200)
    assert clock.monotonic_us(clock.now_us(777)) == 777
