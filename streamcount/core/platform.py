"""A platform's own count: reading its answers, and what the samples of an event come to.

    one request     ->  an answer, kept raw, and a count or none for each stream asked for
    one round       ->  the requests made together; its number is the sum of their counts
    all rounds      ->  `PlatformClaim`: the highest number, and what shows whether it stands alone

A count that is absent is none, never zero: YouTube leaves `concurrentViewers` out when it is hidden, when
the broadcast is over, and when nobody watches. Nothing is dropped for being odd: platforms answer 650, 1,
650, and whoever judges shall see that. docs/evidence-format.md, sections 7 and 11, has the same rules.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from streamcount.core.event import PLATFORM, STREAMS_MAX
from streamcount.core.values import Raw

# Bounds of the format, not of a machine: docs/evidence-format.md states them.
ANSWER_BYTES_MAX: Final = 40_000
# Milliseconds; seconds of event time end at 2^40.
TIME_MS_MAX: Final = 2**50
FAILURES: Final = ("none", "timeout", "unreachable", "too_long", "withheld")
COUNT_MAX: Final = 9_999_999_999
BRACKETS_MAX: Final = 500
# From the first request of a round to its last answer; a sum over longer is of no instant.
ROUND_MS_MAX: Final = 15_000
# How many ticks may have been archived between an answer and its entry.
LATE_TICKS_MAX: Final = 600

YOUTUBE: Final = "youtube"
_COUNT = re.compile(r"0|[1-9][0-9]{0,9}")

# Of each stream asked for: its count, or None for none.
Counts = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """What a platform answered when it was asked for its own count of these streams.

    Times in milliseconds of event time. `status` is the HTTP status, None without an answer. `answer`
    is the body as it came, cut or withheld if `failure` says so; `answer_bytes` and `answer_sha256` are
    of all that was received. `counts`: what was read in it for each stream, None for none.
    """

    type: ClassVar[str] = "platform"
    platform: str
    round: int
    streams: tuple[int, ...]
    asked_ms: int
    answered_ms: int
    status: int | None
    failure: str
    answer: Raw
    answer_bytes: int
    answer_sha256: bytes
    counts: Counts

    @property
    def readable(self) -> bool:
        """Whether there is an answer in which counts may be read."""
        return self.status == 200 and self.failure == "none"


def broken_rule(entry: PlatformEntry) -> str:
    """Return the rule that the parts of an entry break among themselves, "" when none.

    Whether its counts are those of its answer depends on the event, and is the course's question.
    """
    whole = entry.failure not in {"too_long", "withheld"}
    answered = entry.failure not in {"timeout", "unreachable"}
    kept, received = len(entry.answer), entry.answer_bytes
    nothing = (None,) * len(entry.streams)
    rules = {
        "platform: must be a platform's name": PLATFORM.fullmatch(entry.platform),
        f"streams: must be 1 to {STREAMS_MAX} numbers, ascending": (
            1 <= len(entry.streams) <= STREAMS_MAX
            and all(a < b for a, b in zip(entry.streams, entry.streams[1:], strict=False))
        ),
        "asked_ms and answered_ms: must not go back, nor beyond any event": (
            entry.asked_ms <= entry.answered_ms <= TIME_MS_MAX
        ),
        f"failure: must be one of {', '.join(FAILURES)}": entry.failure in FAILURES,
        "status: must be from 100 to 999 with an answer, and null without": (
            100 <= entry.status <= 999 if entry.status is not None else not answered
        )
        and (entry.status is None) != answered,
        "answer: must be as long as the failure says": (
            kept <= ANSWER_BYTES_MAX
            and (kept == received if whole else kept < received)
            and (answered or not received)
            and not (kept and entry.failure == "withheld")
        ),
        "answer_sha256: must be that of the answer": (
            not whole or hashlib.sha256(entry.answer).digest() == entry.answer_sha256
        ),
        "counts: must be as many as streams, and null without an answer to be read": (
            len(entry.counts) == len(entry.streams) and (entry.readable or entry.counts == nothing)
        ),
    }
    return next((rule for rule, kept_to in rules.items() if not kept_to), "")


def read_youtube(answer: bytes, videos: Sequence[str]) -> Counts:
    """Return what an answer to videos.list with part=liveStreamingDetails says of each video.

    Source: https://developers.google.com/youtube/v3/docs/videos, `liveStreamingDetails`.
    """
    nothing = (None,) * len(videos)
    try:
        text = answer.decode("utf-8")
        if text.count("{") + text.count("[") > BRACKETS_MAX:
            return nothing
        # No number in it is looked at, and a very long one is costly to convert.
        plain = json.loads(text, parse_int=_nought, parse_float=_nought, parse_constant=_refuse)
    except ValueError:
        return nothing
    items = plain.get("items") if isinstance(plain, dict) else None
    if not isinstance(items, list):
        return nothing
    return tuple(_youtube_count(items, video) for video in videos)


def _nought(_digits: str) -> int:
    return 0


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _youtube_count(items: list[Any], video: str) -> int | None:
    found = [item for item in items if isinstance(item, dict) and item.get("id") == video]
    if len(found) != 1:
        return None
    details = found[0].get("liveStreamingDetails")
    count = details.get("concurrentViewers") if isinstance(details, dict) else None
    if not isinstance(count, str) or not _COUNT.fullmatch(count):
        return None
    return int(count)


# How the answers of a platform are read, by its name; of others the writer's reading stands.
READERS: Final[dict[str, Callable[[bytes, Sequence[str]], Counts]]] = {YOUTUBE: read_youtube}


@dataclass(frozen=True, slots=True)
class PlatformClaim:
    """What the rounds that count come to. Numbers are sums over streams; `peak_ms` is event time.

    `peak_missing`: streams without a count in the highest round, so that it is a lower bound. `before`,
    `after`, `second` and `median` show whether that round stands alone.
    """

    peak: int | None
    peak_ms: int | None
    peak_missing: int | None
    before: int | None
    after: int | None
    second: int | None
    median: int | None
    rounds: int
    numbers: int
    samples: int
    failed: int
    absent: int


@dataclass(frozen=True, slots=True)
class Round:
    """The requests that were made together. Times in milliseconds of event time.

    `counts`: of each stream asked for so far, by its number; `failed`: how many of these were in a
    request that brought no answer to be read. `sum` is the round's number, a lower bound, as streams
    without a count add nothing; `known` is how many have one.
    """

    number: int
    asked_ms: int
    answered_ms: int
    counts: dict[int, int | None]
    failed: int
    sum: int | None = field(init=False)
    known: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what is asked for often."""
        known = [count for count in self.counts.values() if count is not None]
        instant = self.answered_ms - self.asked_ms <= ROUND_MS_MAX
        object.__setattr__(self, "sum", sum(known) if known and instant else None)
        object.__setattr__(self, "known", len(known))

    def joined(self, other: Round) -> Round:
        """Return the round with another request of it."""
        return Round(
            self.number,
            min(self.asked_ms, other.asked_ms),
            max(self.answered_ms, other.answered_ms),
            {**self.counts, **other.counts},
            self.failed + other.failed,
        )


def counting(rounds: Sequence[Round], first: int, last: int) -> list[Round]:
    """Return the rounds during all of which the event was open: ticks `first` to `last`."""
    return [
        one
        for one in rounds
        if one.asked_ms >= first * 1000 and one.answered_ms < (last + 1) * 1000
    ]


def make_platform_claim(rounds: Sequence[Round], streams: int) -> PlatformClaim:
    """Return what rounds that count come to, of an event with so many streams on platforms."""
    numbers = [one.sum for one in rounds]
    known = sorted(number for number in numbers if number is not None)
    peak = known[-1] if known else None
    missing = peak_ms = before = after = None
    if peak is not None:
        at = numbers.index(peak)
        peak_ms = rounds[at].asked_ms
        missing = streams - rounds[at].known
        before = numbers[at - 1] if at else None
        after = numbers[at + 1] if at + 1 < len(numbers) else None
    samples = sum(len(one.counts) for one in rounds)
    failed = sum(one.failed for one in rounds)
    return PlatformClaim(
        peak=peak,
        peak_ms=peak_ms,
        peak_missing=missing,
        before=before,
        after=after,
        second=known[-2] if len(known) > 1 else None,
        median=known[(len(known) - 1) // 2] if known else None,
        rounds=len(rounds),
        numbers=len(known),
        samples=samples,
        failed=failed,
        absent=samples - failed - sum(one.known for one in rounds),
    )
