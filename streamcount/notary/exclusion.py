"""The entry that leaves viewers out of all counts, and when there can be none."""

from __future__ import annotations

from collections.abc import Sequence

from streamcount.core.course import EXCLUDE_REASONS_MAX, Course
from streamcount.core.entries import ExcludeEntry
from streamcount.core.event import ActRefusedError
from streamcount.core.pseudonym import pseudonym


def make_exclusion(
    course: Course, pseudonym_key: bytes, viewers: Sequence[str], reason: str
) -> ExcludeEntry:
    """Return the entry that excludes viewers, by the ids they send, from the next tick on.

    Raises:
        ActRefusedError: one of them is excluded already or named twice, or there are too many reasons.
    """
    names: dict[bytes, str] = {}
    for viewer in viewers:
        name = pseudonym(pseudonym_key, viewer)
        if name in course.excluded or name in names:
            raise ActRefusedError(f"viewer {viewer} is excluded already, or named twice")
        names[name] = viewer
    known = {one.reason for one in course.exclusions}
    if len(known) >= EXCLUDE_REASONS_MAX and reason not in known:
        raise ActRefusedError(
            f"reason: there are {EXCLUDE_REASONS_MAX} different ones already, give one of these"
        )
    return ExcludeEntry(tuple(name.hex() for name in names), reason)
