"""core/sharing: which bucket a viewer is in, and which tags spread buckets over a cluster's masters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.core.listing import _TAG
from streamcount.core.sharing import BUCKETS_MAX, SLOTS, bucket_of, buckets_of, slot_of, tags


@pytest.mark.parametrize(
    ("tag", "slot"), [("123456789", 0x31C3), ("foo", 12182), ("{user1000}.following"[1:9], 3443)]
)
def test_a_slot_is_that_of_the_cluster_specification(tag, slot):
    assert slot_of(tag) == slot


def test_one_bucket_has_the_tag_of_the_log():
    assert tags("lesson.0123", 1) == ("lesson.0123",)


@pytest.mark.parametrize("buckets", [2, 3, 7, BUCKETS_MAX])
def test_buckets_lie_in_equal_ranges_of_slots_in_order(buckets):
    made = tags("e" * 64 + "." + "f" * 16, buckets)
    assert [slot_of(tag) * buckets // SLOTS for tag in made] == list(range(buckets))
    assert all(_TAG.fullmatch(tag) for tag in made)


def test_another_number_of_buckets_has_none_of_the_same_tags():
    made = [tag for buckets in range(1, BUCKETS_MAX + 1) for tag in tags("lesson.0123", buckets)]
    assert len(set(made)) == len(made)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20), st.integers(1, BUCKETS_MAX))
def test_many_viewers_are_in_the_buckets_that_each_is_in(pseudonyms, buckets):
    found = buckets_of(b"".join(pseudonyms), buckets).tolist()
    assert found == [bucket_of(pseudonym, buckets) for pseudonym in pseudonyms]
    assert all(bucket < buckets for bucket in found)
