"""The claim of a course without bodies: with the figures of its tick entries."""

from __future__ import annotations

import dataclasses

from streamcount.core.claim import Software, Wording
from streamcount.core.claiming import Told, make_claim
from streamcount.core.figures import Counts, Found

TOLD = Told(bytes(32), "", Wording("", ""), Software("", bytes(32)), lambda _: 180)


def claimed(taken, reason="", excluded=(), **change):
    """`excluded`: how many registered viewers, for each reason; some figures may be changed."""
    figures = dataclasses.replace(taken.figures(), **change)
    net = dataclasses.replace(figures, uniques=figures.uniques - sum(excluded))
    streams = (0,) * len(taken.event.event.streams) if figures.peak else ()
    counts = Counts(Found(figures, streams), Found(net, streams), tuple(excluded))
    return make_claim(taken, counts, dataclasses.replace(TOLD, reason=reason))
