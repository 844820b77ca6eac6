"""Rule profiles: by which rules a claim is measured, as data.

A profile is part of an event's definition, so it is agreed before the event opens and nobody changes it
after. The ones here have names so that they need not be typed; anybody may write another. They describe
what an event can be measured by. No body that keeps records has endorsed any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

COUNTED: Final = ("net", "gross")
# Bound of the format, not of a machine: docs/evidence-format.md states it.
PROFILE_TICKS_MAX: Final = 1_000_000
PROFILE_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class RuleProfile:
    """The rules of a claim.

    `duration_s`: how many ticks the event must have been open. `presence_s`: in how many ticks a viewer
    must be proven to be in the number claimed. `single_stream`: the event must have one stream only.
    `count`: whether viewers who were excluded are left out of the number claimed (net) or not (gross).
    """

    id: str
    duration_s: int
    presence_s: int
    single_stream: bool
    count: str


# Asks for nothing beyond the definition of the count.
NEUTRAL: Final = RuleProfile(
    "neutral", duration_s=0, presence_s=0, single_stream=False, count="net"
)
PROFILES: Final = {
    one.id: one
    for one in (
        NEUTRAL,
        # Ten minutes of one stream.
        RuleProfile(
            "live-viewers-10-min", duration_s=600, presence_s=0, single_stream=True, count="net"
        ),
    )
}
