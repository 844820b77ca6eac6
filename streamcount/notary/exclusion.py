"""The entry that leaves viewers out of all counts, and when there can be none."""

from __future__ import annotations

from collections.abc import Sequence

from streamcount.core.course import Course
from streamcount.core.entries import ExcludeEntry
from streamcount.core.event import ActRefusedError
from streamcount.core.pseudonym import pseudonym


def make_exclusion(
    course: Course, pseudonym_key: bytes, viewers: Sequence[str], reason: str
) -> ExcludeEntry:
    """Return the entry that excludes viewers, by the ids they send, from the next tick on.

    Raises:
        ActRefusedError: the event is final, or one of them is excluded already or named twice.
    """
    if course.claim is not None:
        raise ActRefusedError("the event is final: nothing follows its claim")
    names: dict[bytes, str] = {}
    for viewer in viewers:
        name = pseudonym(pseudonym_key, viewer)
        if name in course.excluded or name in names:
            raise ActRefusedError(f"viewer {viewer} is excluded already, or named twice")
        names[name] = viewer
    return ExcludeEntry(tuple(name.hex() for name in names), reason)
