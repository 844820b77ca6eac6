"""core/platform: how YouTube's answers are read, what the samples of an event come to, and where they may stand."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import entries
from streamcount.core.course import Course, CourseError
from streamcount.core.entries import FORMAT, EndEntry, EntryError, EpochEntry, EventEntry, TickEntry
from streamcount.core.event import parse_event
from streamcount.core.fields import EventError
from streamcount.core.platform import (
    ANSWER_BYTES_MAX,
    PlatformClaim,
    Round,
    counting,
    make_platform_claim,
    read_youtube,
)
from tests.core.claimed import claimed
from tests.evidence.logs import sample, youtube

A, B = "aaaaaaaaaaa", "bbbbbbbbbbb"
STREAMS = [
    {"id": "a", "platform": {"name": "youtube", "video": A}},
    {"id": "none"},
    {"id": "b", "platform": {"name": "youtube", "video": B}},
]
PLAIN = {
    "id": "lesson", "title": {"en": "Lesson"}, "window": 7, "interval": 1, "streams": STREAMS,
    "claimed_count": "platform",
}  # fmt: skip
EVENT = parse_event(PLAIN)
OPENED = [
    EventEntry(EVENT, FORMAT, "key", "origin", "s", bytes(32), bytes(32)),
    EpochEntry(1, 100, (0,), "open", ("r",)),
]


# --- Reading ---


def answer(details, video=A):
    return json.dumps({"items": [{"id": video, "liveStreamingDetails": details}]}).encode()


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (youtube({A: 650}), (650,)),
        (youtube({A: 0}), (0,)),
        (youtube({A: None}), (None,)),  # hidden, or over: absent, and not zero
        (youtube({A: 9_999_999_999}), (9_999_999_999,)),
        (youtube({A: 10**10}), (None,)),  # more than there are people
        (youtube({B: 650}), (None,)),
        (answer({"concurrentViewers": 650}), (None,)),  # the documentation says text
        (answer({"concurrentViewers": "-1"}), (None,)),
        (answer({"concurrentViewers": "+1"}), (None,)),
        (answer({"concurrentViewers": "01"}), (None,)),
        (answer({"concurrentViewers": "1.0"}), (None,)),
        (answer({"concurrentViewers": " 1"}), (None,)),
        (answer({"concurrentViewers": "1\n"}), (None,)),
        (answer({"concurrentViewers": "many"}), (None,)),
        (answer({"concurrentViewers": "٦٥٠"}), (None,)),
        (answer({"concurrentViewers": True}), (None,)),
        (answer({"concurrentViewers": None}), (None,)),
        (answer([]), (None,)),
        (answer(None), (None,)),
        (answer({"concurrentViewers": "7"}, video=7), (None,)),
        (b'{"items":[]}', (None,)),
        (b'{"items":{}}', (None,)),
        (b'{"items":[null,1,"x",[]]}', (None,)),
        (b"[]", (None,)),
        (b"", (None,)),
        (b"<html>", (None,)),
        (b'{"items":NaN}', (None,)),
        (b"\xef\xbb\xbf" + youtube({A: 1}), (None,)),
        (youtube({A: 1}) + b"\xff", (None,)),
        (youtube({A: 1}) + b" {}", (None,)),
        (b'{"x":' + b"[" * 400 + b"]" * 400 + b"," + youtube({A: 3})[1:], (3,)),
        (b'{"x":' + b"[" * 600 + b"]" * 600 + b"," + youtube({A: 3})[1:], (None,)),
        (b'{"x":' + b"9" * 9_000 + b"," + youtube({A: 3})[1:], (3,)),
    ],
)  # fmt: skip
def test_a_count_is_read_as_documented_and_anything_else_is_none(raw, counts):
    assert read_youtube(raw, [A]) == counts


def test_a_video_that_is_there_twice_has_no_count():
    plain = json.loads(youtube({A: 1, B: 2}))
    plain["items"].append(plain["items"][0])
    assert read_youtube(json.dumps(plain).encode(), [A, B]) == (None, 2)


# --- The claim, against the obvious slow version ---


def slow_claim(rounds, streams, first, last):
    """Section 11 of docs/evidence-format.md, word for word."""
    inside = [r for r in rounds if r.asked_ms >= 1000 * first and r.answered_ms < 1000 * (last + 1)]

    def number(r):
        known = [c for c in r.counts.values() if c is not None]
        if not known or r.answered_ms - r.asked_ms > 15_000:
            return None
        return sum(known)

    numbers = [number(r) for r in inside]
    known = [n for n in numbers if n is not None]
    samples = [c for r in inside for c in r.counts.values()]
    failed = sum(r.failed for r in inside)
    plain = {
        "peak": None, "peak_ms": None, "peak_missing": None, "before": None, "after": None, "second": None,
        "median": None, "rounds": len(inside), "numbers": len(known), "samples": len(samples), "failed": failed,
        "absent": samples.count(None) - failed,
    }  # fmt: skip
    if known:
        peak = max(known)
        at = min(i for i, n in enumerate(numbers) if n == peak)
        others = [n for i, n in enumerate(numbers) if i != at and n is not None]
        plain |= {
            "peak": peak, "peak_ms": inside[at].asked_ms,
            "peak_missing": streams - len([c for c in inside[at].counts.values() if c is not None]),
            "before": numbers[at - 1] if at > 0 else None,
            "after": numbers[at + 1] if at + 1 < len(numbers) else None,
            "second": max(others) if others else None,
            "median": sorted(known)[(len(known) - 1) // 2],
        }  # fmt: skip
    return PlatformClaim(**plain)


@st.composite
def many_rounds(draw):
    made, now = [], 98_000
    for number in range(draw(st.integers(0, 12))):
        now += draw(st.integers(0, 3_000))
        took = draw(st.sampled_from([0, 20, 900, 15_000, 15_001]))
        counts = draw(
            st.dictionaries(
                st.integers(0, 4), st.none() | st.integers(0, 3) | st.just(650), min_size=1
            )
        )
        absent = sum(count is None for count in counts.values())
        failed = draw(st.integers(0, absent))
        made.append(Round(number + 1, now, now + took, counts, failed))
        now += took
    return made


@given(many_rounds(), st.integers(97, 110), st.integers(0, 20))
def test_the_claim_is_what_the_page_says(rounds, first, ticks):
    fast = make_platform_claim(counting(rounds, first, first + ticks), 5)
    assert fast == slow_claim(rounds, 5, first, first + ticks)


# --- Where a sample may stand ---


def tick(number):
    zeros = dict.fromkeys((f.name for f in dataclasses.fields(TickEntry)), 0)
    return TickEntry(
        **(zeros | {"tick": number, "epoch": 1, "streams": (0, 0, 0), "body_root": bytes(32)})
    )


def course(*more):
    taken = Course()
    for entry in [*OPENED, *more]:
        taken.take(entry)
    return taken


def asked(told, **change):
    return sample(EVENT, youtube(told), **({"asked_ms": 100_500} | change))


def test_a_flapping_platform_is_kept_as_it_is_and_the_claim_shows_it():
    told = [650, 1, 650, 99_000, None, 648]
    rounds = [
        asked({A: n, B: 5}, round=i + 1, asked_ms=100_000 + 1000 * i) for i, n in enumerate(told)
    ]
    whole = course(*rounds, EndEntry(109), *(tick(100 + i) for i in range(17)))
    assert [one.counts[0] for one in whole.rounds] == told
    claim = claimed(whole)
    assert claim.value == 99_005
    # Highest, and plainly alone: its neighbours, the second highest and the median are far below.
    told = claim.platform
    assert (told.peak, told.before, told.after, told.second) == (99_005, 655, 5, 655)
    assert (told.median, told.peak_ms, told.rounds, told.absent) == (653, 103_000, 6, 1)
    whole.take(claim)
    with pytest.raises(CourseError, match="after the claim"):
        whole.take(asked({A: 1, B: 1}, round=9, asked_ms=117_000))


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(PlatformClaim)])
def test_a_claim_with_any_of_the_platforms_figures_changed_is_refused(name):
    whole = course(asked({A: 7, B: 5}), EndEntry(109), *(tick(100 + i) for i in range(17)))
    claim = claimed(whole)
    forged = dataclasses.replace(claim.platform, **{name: 12_345})
    with pytest.raises(CourseError, match="platform"):
        whole.take(dataclasses.replace(claim, platform=forged))


def test_samples_outside_open_and_close_do_not_count():
    early = asked({A: 9, B: 9}, asked_ms=99_950, took_ms=100)
    inside = asked({A: 1, B: 1}, round=2, asked_ms=100_100)
    late = asked({A: 9, B: 9}, round=3, asked_ms=109_950, took_ms=50)
    whole = course(early, inside, late, EndEntry(109), *(tick(100 + i) for i in range(17)))
    told = claimed(whole).platform
    assert (told.peak, told.rounds, told.samples) == (2, 1, 2)


def test_an_event_without_platforms_has_none_in_its_claim():
    event = parse_event(PLAIN | {"streams": [{"id": "a"}], "claimed_count": "proven"})
    taken = Course()
    for entry in [
        EventEntry(event, FORMAT, "k", "o", "s", bytes(32), bytes(32)),
        *OPENED[1:],
        EndEntry(109),
    ]:
        taken.take(entry)
    assert taken.platform_claim() is None


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (sample(EVENT, youtube({}), streams=[0], counts=(1,), asked_ms=100_000), "the answer says"),
        (asked({A: 7, B: 5}, counts=(7, 6)), "the answer says"),
        (asked({A: 7, B: None}, counts=(7, 0)), "the answer says"),
        (sample(EVENT, asked_ms=100_000, streams=[0], counts=(None,), platform="other"), "it does not have"),
        (dataclasses.replace(asked({}), streams=(0, 1)), "it does not have"),
        (dataclasses.replace(asked({}), streams=(0, 3)), "it does not have"),
        (asked({}, round=0), "not a later one"),
        (asked({}, round=2, asked_ms=101_000), "not a later one"),
        (asked({}, round=5, asked_ms=102_000), "twice in round"),
        (asked({}, round=6, asked_ms=101_000), "before it had answered"),
    ],
)  # fmt: skip
def test_a_sample_out_of_place_is_refused(bad, said):
    before = [asked({A: 1, B: 2}, round=5, asked_ms=101_000)] if bad.round in {2, 5, 6} else []
    with pytest.raises(CourseError, match=said):
        course(*before, bad)


def test_a_sample_is_logged_when_it_is_taken_and_not_long_afterwards():
    ticks = [tick(100 + i) for i in range(650)]
    course(*ticks, asked({}, asked_ms=150_000, took_ms=0))
    with pytest.raises(CourseError, match="long before tick 750"):
        course(*ticks, asked({}, asked_ms=149_000, took_ms=999))


def test_a_sample_before_the_event_was_opened_is_refused():
    with pytest.raises(CourseError, match="before the event was opened"):
        Course().after([OPENED[0], asked({})])


# --- The bytes of a sample ---

GOOD = asked({A: 1, B: 2})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"streams": (2, 0)}, "ascending"),
        ({"streams": (0, 0)}, "ascending"),
        ({"streams": (), "counts": ()}, "ascending"),
        ({"platform": "You Tube"}, "a platform's name"),
        ({"asked_ms": GOOD.answered_ms + 1}, "must not go back"),
        ({"answered_ms": 2**50 + 1}, "beyond any event"),
        ({"failure": "other"}, "failure: must be"),
        ({"failure": "timeout"}, "status: must be"),
        ({"status": None}, "status: must be"),
        ({"status": 99}, "status: must be"),
        ({"status": 1000}, "status: must be"),
        ({"answer": b"other"}, "as long as"),
        ({"answer_bytes": GOOD.answer_bytes + 1}, "as long as"),
        ({"failure": "too_long", "counts": (None, None)}, "as long as"),
        ({"failure": "withheld", "answer_bytes": 10**5, "counts": (None, None)}, "as long as"),
        ({"answer": b"x" * len(GOOD.answer)}, "answer_sha256"),
        ({"answer_sha256": bytes(32)}, "answer_sha256"),
        ({"counts": (1,)}, "as many as"),
        ({"counts": (1, 10**10)}, "at most"),
        ({"status": 403}, "null without an answer"),
        ({"failure": "too_long", "answer_bytes": 10**6}, "null without an answer"),
    ],
)  # fmt: skip
def test_a_sample_whose_parts_do_not_agree_is_refused(change, said):
    assert entries.decode(entries.encode(GOOD)) == GOOD
    with pytest.raises(EntryError, match=said):
        entries.decode(entries.encode(dataclasses.replace(GOOD, **change)))


def test_the_longest_sample_fits_into_an_entry():
    streams = [
        {"id": f"s{n}", "platform": {"name": "youtube", "video": f"v{n:010}"}} for n in range(500)
    ]
    event = parse_event(PLAIN | {"streams": streams})
    raw = b'{"items":[]}'.ljust(ANSWER_BYTES_MAX)
    longest = sample(
        event, raw, asked_ms=2**50, took_ms=0, round=2**53 - 1, counts=(9_999_999_999,) * 500
    )
    assert entries.decode(entries.encode(longest)) == longest


# --- The definition ---


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"streams": [{"id": "a"}]}, "no stream has a platform"),
        ({"claimed_count": "highest"}, "must be proven or platform"),
        ({"streams": [STREAMS[0], STREAMS[0] | {"id": "c"}]}, "counted twice"),
        ({"streams": [{"id": "a", "platform": "youtube"}]}, r"streams\[0\].platform: must be an object"),
        ({"streams": [{"id": "a", "platform": {"name": "youtube"}}]}, r"platform.video: is missing"),
        ({"streams": [{"id": "a", "platform": {"name": "YouTube", "video": A}}]}, "platform.name: must be"),
        ({"streams": [{"id": "a", "platform": {"name": "youtube", "video": "a,b"}}]}, "platform.video: must be"),
        ({"streams": [{"id": "a", "platform": {"name": "youtube", "video": A, "key": "x"}}]}, "platform.key"),
    ],
)  # fmt: skip
def test_a_platform_that_cannot_be_asked_has_no_place_in_a_definition(change, said):
    with pytest.raises(EventError, match=said):
        parse_event(PLAIN | change)
    assert parse_event(EVENT.as_dict()) == EVENT
