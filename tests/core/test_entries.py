"""core/entries: an entry and its bytes say the same."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core import canonical, claim, entries
from streamcount.core.event import parse_event
from streamcount.core.instants import Instant
from streamcount.core.platform import COUNT_MAX, PlatformClaim, PlatformEntry

EVENT = parse_event({"id": "lesson", "title": {"ar": "درس", "en": "Lesson"}})
naturals = st.integers(0, 2**53 - 1)
ticks = st.integers(0, entries.TICK_MAX)
digests = st.binary(min_size=32, max_size=32)
figures = st.builds(
    claim.Figures,
    **dict.fromkeys("peak qualified live_peak uniques watch_s average_milli".split(), naturals),
    **dict.fromkeys("peak_first peak_last live_peak_first".split(), st.none() | naturals),
)
kinds = st.one_of(
    st.just(
        entries.EventEntry(
            EVENT, entries.FORMAT, "key", "origin", "streamcount 1", bytes(32), bytes(32)
        )
    ),
    st.lists(st.tuples(st.integers(-(2**50), 2**50), st.text()), min_size=1, max_size=64).flatmap(
        lambda servers: st.builds(
            entries.EpochEntry,
            naturals,
            ticks,
            st.just(tuple(offset for offset, _ in servers)),
            st.text(),
            st.just(tuple(run_id for _, run_id in servers)),
        )
    ),
    st.builds(
        entries.TickEntry,
        **dict.fromkeys(
            "tick epoch viewers new moves present breaks live proven heartbeats muted hidden late "
            "body_bytes".split(),
            naturals,
        ),
        streams=st.lists(naturals, max_size=64).map(tuple),
        body_root=st.binary(min_size=32, max_size=32),
    ),
    st.builds(
        entries.GapEntry,
        st.sampled_from(entries.GAP_KINDS),
        st.text(),
        st.just(3),
        st.integers(3, 9),
    ),
    st.builds(entries.EndEntry, ticks),
    st.builds(
        claim.ClaimEntry,
        version=naturals,
        supersedes=st.none() | naturals,
        reason=st.text(max_size=500),
        size=naturals,
        root=digests,
        origin=st.text(),
        definition=st.just(EVENT.as_dict()),
        words=st.builds(claim.Wording, st.text(max_size=700), st.text(max_size=700)),
        software=st.builds(claim.Software, st.text(max_size=100), digests),
        value=st.none() | naturals,
        instant=st.none() | st.builds(Instant, *[st.text()] * 4),
        gross=figures,
        net=figures,
        streams=st.lists(naturals, max_size=64).map(tuple),
        exclusions=st.lists(st.builds(claim.Excluded, st.text(max_size=80), naturals)).map(tuple),
        **dict.fromkeys(("first", "last", "loss_ticks", "clock_ticks", "lag_ticks"), naturals),
        profile=st.builds(
            claim.ProfileResult, naturals, st.booleans(), naturals, st.booleans(), st.booleans()
        ),
        platform=st.none()
        | st.builds(
            PlatformClaim,
            *[st.none() | naturals] * 7,
            *[naturals] * 5,
        ),
    ),
    st.builds(
        lambda answer, counts, read: PlatformEntry(
            platform="youtube",
            round=1,
            streams=tuple(range(len(counts))),
            asked_ms=1,
            answered_ms=2,
            status=200 if read else 403,
            failure="none",
            answer=answer,
            answer_bytes=len(answer),
            answer_sha256=hashlib.sha256(answer).digest(),
            counts=tuple(counts) if read else (None,) * len(counts),
        ),
        st.binary(max_size=400),
        st.lists(st.none() | st.integers(0, COUNT_MAX), min_size=1, max_size=500),
        st.booleans(),
    ),
    st.builds(
        entries.ExcludeEntry,
        st.lists(st.binary(min_size=16, max_size=16).map(bytes.hex), min_size=1).map(tuple),
        st.text(max_size=80),
    ),
    st.builds(entries.NoteEntry, st.text(min_size=1, max_size=1_000)),
)


@given(kinds)
def test_entry_reads_back(entry):
    assert entries.decode(entries.encode(entry)) == entry


def changed(entry, **change):
    plain = canonical.load(entries.encode(entry)) | change
    return canonical.dump({key: value for key, value in plain.items() if value != "drop"})


END = entries.EndEntry(5)
TICK = entries.TickEntry(1, 1, 0, 0, 0, 0, 0, 0, 0, (0,), 0, 0, 0, 0, 0, bytes(32))
GAP = entries.GapEntry("loss", "why", 1, 2)
NOTE = entries.NoteEntry("The hall's network was down until 17:04.")
EXCLUDE = entries.ExcludeEntry(("ab" * 16,), "a probe")
EVENT_ENTRY = entries.EventEntry(
    EVENT, entries.FORMAT, "key", "origin", "streamcount 1", bytes(32), bytes(32)
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (changed(END, close=2**40 + 1), "the last there can be"),
        (changed(END, close=-1), "end entry: close: must be a whole number"),
        (changed(END, close=True), "close: must be a whole number"),
        (changed(END, close="5"), "close: must be a whole number"),
        (changed(END, close="drop"), "key close is missing"),
        (changed(END, more=1), "key more .* no place"),
        (changed(END, type="ending"), "unknown type 'ending'"),
        (changed(END, type=["end"]), "unknown type"),
        (changed(TICK, body_root="AAAA"), "body_root: must be 32 bytes"),
        (changed(TICK, body_root=7), "body_root: must be base64"),
        (changed(TICK, streams=[1, -1]), "streams: must be a whole number"),
        (changed(TICK, streams=1), "streams: must be a list"),
        (changed(GAP, kind="hole"), "kind of clock, loss, lag"),
        (changed(GAP, last=0), "last not before first"),
        (changed(GAP, reason=None), "reason: must be text"),
        (changed(EVENT_ENTRY, format="streamcount.evidence/v2"), "reads streamcount.evidence/v1"),
        (
            changed(EVENT_ENTRY, event={"id": "x", "title": {"en": "y"}}),
            "leaves fields to their defaults",
        ),
        (changed(EVENT_ENTRY, event=None), "event: must be an object"),
        (changed(NOTE, text=""), "text: must be 1 to 1000 characters"),
        (changed(NOTE, text="x" * 1_001), "text: must be 1 to 1000 characters"),
        (changed(NOTE, text=7), "note entry: text: must be text"),
        (changed(EXCLUDE, reason="x" * 81), "reason: at most 80 characters"),
        (
            changed(EVENT_ENTRY, event=EVENT.as_dict() | {"rule_profile": "neutral"}),
            "leaves fields to their defaults",
        ),
        (b"{}", "unknown type None"),
        (b'{"type": "end", "close": 5}', "canonical"),
        (b" " * 70_000, "an entry of 70000 bytes"),
    ],
)
def test_what_is_no_entry_says_why(data, said):
    with pytest.raises(entries.EntryError, match=said):
        entries.decode(data)


@given(st.binary(max_size=200))
def test_bytes_are_an_entry_or_an_entry_error(data):
    with pytest.raises(entries.EntryError):
        entries.decode(data)
