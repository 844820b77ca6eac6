"""core/event: a definition is checked once, and what is an Event keeps the rules."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.claiming import check_definition
from streamcount.core.event import (
    Stream,
    check_profile,
    check_texts,
    parse_event,
)
from streamcount.core.fields import EventError, Title
from streamcount.core.profile import NEUTRAL
from streamcount.core.trust import Trust, Witness

MINIMAL = {"id": "lesson", "title": {"en": "A lesson"}}


def test_a_minimal_definition_gets_the_defaults():
    event = parse_event(MINIMAL)
    assert (event.window, event.interval, event.kind) == (30, 10, "rehearsal")
    assert event.streams == (Stream("main", Title("", "main"), ""),)
    assert event.policy.progress
    assert event.claimed_count == "proven"


def test_plain_values_read_back_to_an_equal_event():
    event = parse_event({**MINIMAL, "title": {"ar": "درس"}, "target": 2135})
    assert parse_event(event.as_dict()) == event


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "Lesson!"}, "event.id: must be"),
        ({"id": None}, "event.id: must be"),
        ({"title": {}}, "event.title: must have text"),
        ({"title": {"en": "x" * 201}}, "event.title.en: must be text of at most 200"),
        ({"title": {"fr": "x"}}, "event.title.fr: is not a field"),
        ({"window": 24}, "at least 2 x interval [+] 5 = 25"),
        ({"window": 30.0}, "event.window: must be a whole number"),
        ({"window": True}, "event.window: must be a whole number"),
        ({"kind": "real"}, "event.kind: must be attempt or rehearsal or demo"),
        ({"streams": []}, "event.streams: must be a list of 1 to"),
        ({"streams": [{"id": "a"}, {"id": "a"}]}, "same id"),
        ({"streams": [{"id": "a"}, {}]}, r"event.streams\[1\].id: is missing"),
        ({"policy": {"progress": 1}}, "event.policy.progress: must be true or false"),
        ({"policy": {"origins": "https://a.example"}}, "event.policy.origins: must be a list"),
        ({"policy": {"origins": ["https://a.example"] * 2}}, "same origin is there twice"),
        (
            {"policy": {"origins": [f"https://{n}.example" for n in range(51)]}},
            "event.policy.origins: must be a list of at most 50",
        ),
        ({"planned_start": 10, "planned_end": 10}, "event.planned_end: must be later"),
        ({"wndow": 30}, "event.wndow: is not a field"),
        ({"rule_profile": "none"}, "must be an object, or one of neutral, live-viewers-10-min"),
        ({"rule_profile": {}}, "event.rule_profile.id: is missing"),
        ({"rule_profile": {"id": "a", "presence_s": -1}}, "presence_s: must be a whole number"),
        ({"rule_profile": {"id": "a", "count": "both"}}, "count: must be net or gross"),
        ({"rule_profile": {"id": "a", "rules": 1}}, "event.rule_profile.rules: is not a field"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(change, said):
    with pytest.raises(EventError, match=said):
        parse_event({**MINIMAL, **change})


def test_a_profile_is_an_object_however_it_was_given():
    assert parse_event(MINIMAL).rule_profile == NEUTRAL
    named = parse_event({**MINIMAL, "rule_profile": "live-viewers-10-min"})
    assert named.as_dict()["rule_profile"] == {
        "id": "live-viewers-10-min",
        "duration_s": 600,
        "presence_s": 0,
        "single_stream": True,
        "count": "net",
    }
    assert parse_event(named.as_dict()) == named
    own = parse_event({**MINIMAL, "rule_profile": {"id": "ours", "presence_s": 60}})
    assert own.rule_profile == dataclasses.replace(NEUTRAL, id="ours", presence_s=60)
    check_profile(named)
    check_profile(own)


def test_other_rules_do_not_get_the_name_of_ours():
    event = parse_event({**MINIMAL, "rule_profile": {"id": "neutral", "presence_s": 60}})
    with pytest.raises(EventError, match="neutral is the name of other rules"):
        check_profile(event)


ORIGINS = [
    "https://school.example", "http://127.0.0.1:8080", "http://[::1]:9", "https://a.example:80", "http://x:8080",
    "capacitor://localhost", "chrome-extension://abc", "none", "https://" + "a" * 292,
]  # fmt: skip
NO_ORIGINS = [
    "https://School.example", "https://school.example/", "https://school.example/page", "school.example",
    "https://*.example", "*", "null", "", "https://school.example:443", "http://school.example:80",
    "https://school.example:08443", "https://school.example:123456", "https://u@school.example", "https://a b",
    "https://school.example\n", "https://مدرسة.example", "https://" + "a" * 293, 7, None, ["none"],
]  # fmt: skip


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_is_kept_as_it_is(origin):
    event = parse_event({**MINIMAL, "policy": {"origins": [origin]}})
    assert event.policy.origins == (origin,)
    assert parse_event(event.as_dict()) == event


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_no_browser_sends_is_no_origin(origin):
    with pytest.raises(EventError, match=r"event.policy.origins\[0\]: must be an origin such as"):
        parse_event({**MINIMAL, "policy": {"origins": [origin]}})


@pytest.mark.parametrize("text", ["a\u202eb", "a\nb", "a\u0000", "\ud800"])
def test_texts_that_do_not_look_like_what_they_are_have_no_place_in_a_new_event(text):
    with pytest.raises(EventError, match="event.title.en: must be printable"):
        check_texts(parse_event({**MINIMAL, "title": {"en": text}}))
    with pytest.raises(EventError, match=r"event.streams\[0\].source: must be printable"):
        check_texts(parse_event({**MINIMAL, "streams": [{"id": "a", "source": text}]}))


def test_arabic_with_its_joiners_has():
    check_texts(parse_event({**MINIMAL, "title": {"ar": "می\u200cخواهم درس"}}))


def test_a_window_of_twice_the_interval_and_five_is_enough():
    assert parse_event({**MINIMAL, "window": 25}).window == 25


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["id", "title", "en", "streams", "policy", "window", "x"]), inner
            )
        ),
    )
)
def test_anything_else_is_an_event_error(given_value):
    try:
        parse_event(given_value)
    except EventError:
        return


def test_a_definition_that_a_claim_has_no_room_for_is_refused_beforehand():
    origins = [f"https://{'a' * 250}{number:02}.example" for number in range(50)]
    wide = "\U0001d7d9" * 200
    event = parse_event({**MINIMAL, "policy": {"origins": origins}})
    event = dataclasses.replace(event, title=Title(wide, wide), organiser=Title(wide, wide))
    check_definition(event)
    trust = Trust(tuple(Witness(f"{name}+00000000+A", wide) for name in "abcdefgh"), 1, ())
    with pytest.raises(EventError, match="a claim has room for"):
        check_definition(dataclasses.replace(event, trust=trust))
