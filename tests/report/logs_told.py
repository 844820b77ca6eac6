"""Logs as the format's page has them, entry by entry, for reports: no notary, no bodies, any size."""

from __future__ import annotations

import base64

from streamcount.core import canonical
from streamcount.evidence.findings import Findings

OPENED = 1_795_176_000
ROOT = base64.b64encode(bytes(range(32))).decode()
KEY = "log.example/lesson/0011223344556677+89abcdef+" + base64.b64encode(bytes(33)).decode()


def definition(**changed):
    return {
        "id": "lesson",
        "kind": "attempt",
        "title": {"ar": "الدرس الكبير", "en": "The big lesson"},
        "organiser": {"ar": "المدرسة", "en": "The school"},
        "timezone": "Asia/Riyadh",
        "planned_start": OPENED,
        "planned_end": OPENED + 3_600,
        "streams": [{"id": "main", "title": {"ar": "", "en": ""}, "source": "", "platform": None}],
        "window": 30,
        "interval": 10,
        "policy": {
            "hidden_counts": True,
            "muted_counts": False,
            "origins": ["https://school.example"],
            "progress": True,
        },
        "rule_profile": {
            "id": "plain",
            "duration_s": 600,
            "presence_s": 0,
            "single_stream": False,
            "count": "net",
        },
        "target": 2_000,
        "claimed_count": "proven",
        "trust": {"witnesses": [], "quorum": 0, "authorities": []},
    } | changed


def live_at(tick, ticks, high):
    """A crowd that comes, stays, and goes."""
    return high * min(tick * 4, ticks, (ticks - tick) * 4) // ticks


def entries(event=None, *, told=(), ticks=1_800, high=2_160, claim=True, streams=()):
    """Return the entries of a log. `told`: pairs of a tick (None: before opening) and an entry after it."""
    event = event or definition()
    yield entry("event", event=event, format="streamcount.evidence/v1", key=KEY, origin="log.example/lesson",
                software="streamcount 0.1.0", sheet_sha256=ROOT, pseudonym_key_sha256=ROOT)  # fmt: skip
    for after, one in told:
        if after is None:
            yield canonical.dump(one)
    yield entry("epoch", epoch=1, first=OPENED, offsets_us=[0], reason="opened", run_ids=["a"])
    window = event["window"]
    for number in range(ticks + window):
        proven = live_at(number - window, ticks, high) * 99 // 100 if number >= window else 0
        live = max(live_at(number, ticks, high), 0)
        yield entry("tick", tick=OPENED + number, live=live, proven=proven)
        for after, one in told:
            if after == number:
                yield canonical.dump(one)
    if claim:
        yield entry("end", close=OPENED + ticks - 1)
        yield canonical.dump(claim_of(event, ticks=ticks, high=high, streams=streams))


def entry(kind, **values):
    return canonical.dump({"type": kind} | values)


def figures_of(ticks, high):
    peak = high * 99 // 100
    return {
        "peak": peak, "peak_first": OPENED + ticks // 4, "peak_last": OPENED + ticks * 3 // 4, "qualified": peak,
        "live_peak": high, "live_peak_first": OPENED + ticks // 4, "uniques": high * 3, "watch_s": peak * ticks * 3 // 4,
        "average_milli": peak * 750,
    }  # fmt: skip


def claim_of(event, *, ticks=1_800, high=2_160, streams=(), **changed):
    figures = figures_of(ticks, high)
    return {
        "type": "claim", "version": 1, "supersedes": None, "reason": "", "size": ticks, "root": ROOT,
        "origin": "log.example/lesson", "definition": {k: v for k, v in event.items() if k != "streams"},
        "words": {"ar": "عدد من شاهدوا الدرس في اللحظة نفسها.", "en": "How many people watched the lesson at the same instant."},
        "software": {"version": "0.1.0", "sha256": ROOT}, "value": figures["peak"],
        "instant": {
            "utc": "2026-11-20T12:07:31Z", "local": "2026-11-20T15:07:31+03:00",
            "until_utc": "2026-11-20T12:22:31Z", "until_local": "2026-11-20T15:22:31+03:00",
        },
        "gross": figures | {"uniques": figures["uniques"] + 3}, "net": figures, "streams": [*streams] or [high],
        "exclusions": [], "first": OPENED, "last": OPENED + ticks - 1, "loss_ticks": 0, "clock_ticks": 0, "lag_ticks": 0,
        "profile": {"duration_s": ticks, "duration_ok": True, "streams": len(event["streams"]), "streams_ok": True, "pass": True},
        "platform": None,
    } | changed  # fmt: skip


def findings(**changed):
    given = {
        "stage": "final", "origin": "log.example/lesson", "key": KEY, "key_from_outside": True, "size": 1_833,
        "root": bytes(range(32)).hex(), "unchecked": ["history", "clock", "people", "tallies"],
    }  # fmt: skip
    return Findings(**given | changed)
