"""core/canonical: one value, one spelling."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.canonical import DEPTH_MAX, INTEGER_LIMIT, NotCanonicalError, dump, load

values = st.recursive(
    st.none() | st.booleans() | st.integers(1 - INTEGER_LIMIT, INTEGER_LIMIT - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_what_is_written_reads_back(value):
    assert load(dump(value)) == value


@given(st.dictionaries(st.text(), values, max_size=4))
def test_is_ascii_without_white_space_between_values(value):
    data = dump(value)
    assert max(data, default=0) < 128
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a": 1}', "spelling"),
        (b'{"b":1,"a":1}', "spelling"),
        (b'{"a":1}\n', "spelling"),
        (b'{"a":1.0}', "no integer"),
        (b'{"a":1e2}', "no integer"),
        (b'{"a":NaN}', "no integer"),
        (b'{"a":-0}', "spelling"),
        (b'{"a":9007199254740992}', "2^53"),
        (b'{"a":' + b"9" * 5000 + b"}", "2^53"),
        (b'{"a":"\\u00E9"}', "spelling"),
        ('{"a":"é"}'.encode(), "above 127"),
        (b'{"a":"\\/"}', "spelling"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"a":"\\udc00\\ud800"}', "lone surrogate"),
        (b"[1]", "not an object"),
        (b"", "no JSON"),
        (b"[" * 100_000, "levels"),
    ],
)
def test_another_spelling_is_refused_and_says_why(data, why):
    with pytest.raises(NotCanonicalError, match=why.replace("^", r"\^")):
        load(data)


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 990, 30_000])
def test_what_is_nested_deeper_than_any_entry_is_refused_before_it_is_read(depth):
    deep = b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1)
    with pytest.raises(NotCanonicalError, match="levels"):
        load(deep)


def test_brackets_in_strings_are_no_levels():
    value = {"a": '[{"\\' * 100, "b": [[], {}, "]"]}
    assert load(dump(value)) == value
    flat = {f"k{n}": [] for n in range(100)}
    assert load(dump(flat)) == flat
