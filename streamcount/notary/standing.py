"""Where an event stands, as its entries tell it, and what workers have to know of it."""

from __future__ import annotations

from streamcount.core.course import Course
from streamcount.core.event import Event
from streamcount.core.listing import Listed


def stage_of(course: Course) -> str:
    """Return where an event is: waiting, open, closing or final."""
    if course.claim is not None:
        return "final"
    if course.close is not None:
        return "closing"
    return "waiting" if course.first is None else "open"


def listed_of(
    event: Event, origin: str, pseudonym_key: bytes, course: Course, buckets: int
) -> Listed:
    """Return what workers have to know. The last part of an origin never repeats: it tags the bucket."""
    stage = stage_of(course)
    nonce = origin.rpartition("/")[2]
    result = (0, 0, 0)
    if stage == "final":
        peak = course.shown_peak
        result = ((course.next_tick or 1) - 1, peak.count, peak.first or 0)
    return Listed(
        event,
        f"{event.id}.{nonce}",
        pseudonym_key,
        {"closing": "open"}.get(stage, stage),
        *result,
        buckets=buckets,
    )
