"""Loaded into schemathesis by asking.py (SCHEMATHESIS_HOOKS)."""

from __future__ import annotations

import schemathesis

from tests.schemas.asking import ACTED, WATCHED


@schemathesis.hook
def before_call(context, case, kwargs):
    """Nobody acts on the event that is watched, or is a viewer of it: its id is learned from what is answered."""
    if case.method == "POST":
        for place in (case.path_parameters, case.body):
            if isinstance(place, dict) and place.get("event") == WATCHED:
                place["event"] = ACTED
