"""What operators ask for, taken apart: each value is checked before anything is done."""

from __future__ import annotations

from streamcount.core.entries import EXCLUDED_PER_ENTRY_MAX
from streamcount.core.event import check_text
from streamcount.core.fields import EventError
from streamcount.core.wire import VIEWER_ID


def viewers_in(given: object, *, least: int = 1) -> list[str]:
    """Return viewers by the ids they send.

    Raises:
        EventError: these are no ids of viewers, or too many.
    """
    most = EXCLUDED_PER_ENTRY_MAX
    if not isinstance(given, list) or not least <= len(given) <= most:
        raise EventError(f"viewers: must be a list of {least} to {most} viewers' ids")
    for viewer in given:
        if not isinstance(viewer, str) or not VIEWER_ID.fullmatch(viewer):
            raise EventError(f"viewers: {viewer!r:.80} is no viewer's id")
    return given


def text_in(given: object, name: str, most: int) -> str:
    """Return a text that becomes part of the evidence.

    Raises:
        EventError: it is none, too long, or cannot be printed.
    """
    if not isinstance(given, str) or not given.strip() or len(given) > most:
        raise EventError(f"{name}: must be a text of 1 to {most} characters")
    check_text(given, name)
    return given
