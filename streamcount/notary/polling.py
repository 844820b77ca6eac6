"""Asking platforms while an event is open, and logging every answer; counting never waits for it.

One `Poller` an event, a task of the notary's process. In rounds: every platform of the event is asked for
all of its streams at once, and what came, or why nothing came, is appended between two steps of the
notary, as an operator's act is. A notary that starts again goes on from what its log has.

A round is made when the last one's interval is over: the setting's, or longer when the day's budget of
requests has to last longer, for this event and all others (`Budget`); longer still after a failure, or
when the platform asks for a pause. Nothing is asked that could not be logged: while the disk is full the
latest round waits, and as many rounds as `rounds_max` are logged of one event.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from streamcount.config import PlatformSettings
from streamcount.core.course import CourseError
from streamcount.core.event import Event
from streamcount.core.fields import EventError
from streamcount.core.platform import (
    COUNT_MAX,
    LATE_TICKS_MAX,
    READERS,
    Counts,
    PlatformEntry,
    broken_rule,
)
from streamcount.core.values import EntryError
from streamcount.notary.disk import DiskFullError
from streamcount.notary.notary import Notary
from streamcount.notary.platform import OK, Answer, Platform, no_answer

_log = logging.getLogger(__name__)
_DAY_MS = 86_400_000
# Of the pause after failures; beyond any `backoff_most_s`, and a number that floats have.
_DOUBLINGS_MOST = 30
# Streams of one request, and the platform that is asked for them.
Part = tuple[Platform, tuple[int, ...]]


class Budget:
    """How often one platform may be asked in any 24 hours, by all events together."""

    def __init__(self, per_day: int) -> None:
        self._per_day = per_day
        # When requests were made, in milliseconds of event time, the oldest first.
        self._asked: deque[int] = deque()
        # Of each event that asks now: how many requests a round takes.
        self.wanted: dict[str, int] = {}

    def take(self, now_ms: int, requests: int) -> None:
        """Take note of requests."""
        self._asked.extend([now_ms] * requests)

    def restore(self, asked_ms: Sequence[int]) -> None:
        """Take note of requests of a life before."""
        self._asked = deque(sorted([*self._asked, *asked_ms]))

    def left(self, now_ms: int) -> int:
        """Return how many requests may be made now."""
        while self._asked and self._asked[0] <= now_ms - _DAY_MS:
            self._asked.popleft()
        return self._per_day - len(self._asked)

    def interval_ms(self, now_ms: int, until_ms: int | None) -> int:
        """Return how far apart rounds have to be for the budget to last.

        `until_ms`: the planned end. Without one that is to come within a day, it is spread over days.
        """
        round_of_all = sum(self.wanted.values())
        if until_ms is not None and now_ms < until_ms < now_ms + _DAY_MS:
            return (until_ms - now_ms) * round_of_all // max(1, self.left(now_ms))
        return _DAY_MS * round_of_all // self._per_day


class Polling:
    """What all events' pollers share: the platforms there are, and their budgets."""

    def __init__(self, platforms: Sequence[Platform], settings: PlatformSettings) -> None:
        self.platforms: Mapping[str, Platform] = {one.name: one for one in platforms}
        self.budgets = {one.name: Budget(one.requests_per_day_max) for one in platforms}
        self.settings = settings

    def check(self, event: Event) -> None:
        """Check that the platforms of a new event can be asked.

        Raises:
            EventError: there is none of that name here, or a video is none of it.
        """
        for number, video in event.on_platforms.items():
            place = f"event.streams[{number}].platform"
            platform = self.platforms.get(video.name)
            if platform is None:
                known = ", ".join(sorted(self.platforms)) or "none"
                raise EventError(f"{place}.name: platforms that can be asked here: {known}")
            if wrong := platform.check(video.video):
                raise EventError(f"{place}.video: {wrong}")

    async def close(self) -> None:
        """Let go of all connections."""
        for platform in self.platforms.values():
            await platform.close()


class Poller:
    """Asks the platforms of one event."""

    def __init__(self, notary: Notary, polling: Polling) -> None:
        self.trouble = ""
        self._stopped = False
        self._notary = notary
        self._polling = polling
        self._settings = polling.settings
        self._parts = list(_parts(notary.event, polling.platforms))
        # Entries that are not in the log yet; nothing is asked meanwhile.
        self._unlogged: list[PlatformEntry] = []
        # What was wrong with the latest round, and how many have failed until now.
        self._answered = ""
        self._failures = 0
        self._not_before_ms = 0
        videos = notary.event.on_platforms
        self._unknown = sorted({one.name for one in videos.values()} - polling.platforms.keys())
        asked_ms = [one.asked_ms for one in notary.course.rounds]
        for platform, _ in self._parts:  # as many requests a round as there are parts
            polling.budgets[platform.name].restore(asked_ms)

    async def run(self) -> None:
        """Ask until the event is closed, or its log has as many rounds as it may.

        Raises:
            ArchiveError, OSError: the log cannot be written; the process has to end.
        """
        try:
            while not self._over():
                if self._unlogged:
                    await self._log_round()
                elif self._look():
                    await self._round()
                await asyncio.sleep(self._settings.look_s)
        finally:
            self._want(0)

    def stop(self) -> None:
        """Ask no more: nothing may follow in this log."""
        self._stopped = True

    def _over(self) -> bool:
        course = self._notary.course
        if course.close is None or self._stopped:
            return self._stopped
        closed = self._notary.clock.ready and self._now_ms() >= (course.close + 1) * 1000
        if course.claim is None and not (closed and not self._unlogged):
            return False
        self.trouble = ""
        return True

    def _now_ms(self) -> int:
        return self._notary.now_us() // 1000

    def _look(self) -> bool:
        """Tell whether a round is to be made now, and operators what is in its way."""
        wrong = [one for platform in self._platforms() if (one := platform.missing())]
        can_ask = bool(self._parts) and not wrong
        wrong += [f"no platform {name} can be asked here" for name in self._unknown]
        due = False
        # The clock is ready once the store was armed by this notary: nothing is logged before, as this
        # could be an older copy of the log.
        if can_ask and self._notary.course.first is not None and self._notary.clock.ready:
            now_ms = self._now_ms()
            wrong += self._used_up(now_ms)
            due = self._is_time(now_ms) and not self._used_up(now_ms)
        self._tell("; ".join(filter(None, [*wrong, self._answered])))
        return due

    def _used_up(self, now_ms: int) -> list[str]:
        """Return what there may be no more of."""
        used_up = []
        rounds = len(self._notary.course.rounds)
        if rounds >= self._settings.rounds_max:
            used_up.append(f"{rounds} rounds are logged, which is the most of one event")
        for platform in self._platforms():
            left = self._polling.budgets[platform.name].left(now_ms)
            if left < self._requests(platform):
                used_up.append(f"{platform.name}: the day's budget of requests is used up")
        return used_up

    def _is_time(self, now_ms: int) -> bool:
        course = self._notary.course
        if now_ms < ((course.first or 0) - self._settings.lead_s) * 1000:
            return False
        self._want(1)
        latest_ms = course.rounds[-1].asked_ms if course.rounds else 0
        return now_ms >= max(latest_ms + self._interval_ms(now_ms), self._not_before_ms)

    def _platforms(self) -> list[Platform]:
        return list({platform.name: platform for platform, _ in self._parts}.values())

    def _requests(self, platform: Platform) -> int:
        return sum(one is platform for one, _ in self._parts)

    def _want(self, times: int) -> None:
        for platform in self._platforms():
            wanted = self._polling.budgets[platform.name].wanted
            wanted[self._notary.event.id] = times * self._requests(platform)

    def _interval_ms(self, now_ms: int) -> int:
        """Return how far this round has to be from the one before."""
        end = self._notary.event.planned_end
        budgets = [self._polling.budgets[platform.name] for platform in self._platforms()]
        until_ms = None if end is None else end * 1000
        longest = max(budget.interval_ms(now_ms, until_ms) for budget in budgets)
        return max(round(self._settings.poll_s * 1000), longest)

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("event %s: %s", self._notary.event.id, trouble)
        self.trouble = trouble

    # --- A round ----------------------------------------------------------------------------------

    async def _round(self) -> None:
        """Ask all at once, and log what came."""
        rounds = self._notary.course.rounds
        number = rounds[-1].number + 1 if rounds else 1
        done = await asyncio.gather(*(self._ask(part, number) for part in self._parts))
        answers = [answer for _, answer in done]
        failed = any(answer.status != OK or answer.failure != "none" for answer in answers)
        self._failures = self._failures + 1 if failed else 0
        again_s = self._settings.poll_s * 2 ** min(self._failures, _DOUBLINGS_MOST)
        again_s = min(again_s, self._settings.backoff_most_s)
        pause_s = max(*(answer.pause_s for answer in answers), again_s if failed else 0.0)
        self._not_before_ms = self._now_ms() + round(pause_s * 1000)
        self._answered = "; ".join(sorted({one.trouble for one in answers if one.trouble}))
        self._tell(self._answered)
        self._unlogged = [entry for entry, _ in done]
        await self._log_round()

    async def _ask(self, part: Part, number: int) -> tuple[PlatformEntry, Answer]:
        platform, streams = part
        course, on_platforms = self._notary.course, self._notary.event.on_platforms
        videos = [on_platforms[stream].video for stream in streams]
        # Event time may be set back a little by a step of the store's clock; samples do not go back.
        latest_ms = max((course.answered_ms.get(stream, 0) for stream in streams), default=0)
        asked_ms = max(self._now_ms(), latest_ms)
        self._polling.budgets[platform.name].take(asked_ms, 1)
        counts: Counts = (None,) * len(videos)
        try:
            answer = await platform.ask(videos)
            if answer.status == OK and answer.failure == "none":
                counts = READERS.get(platform.name, platform.read)(answer.body, videos)
        except Exception as error:  # noqa: BLE001 (a mistake with one platform must not end the notary)
            # Its message may hold what was asked, and so a key.
            at = traceback.extract_tb(error.__traceback__)[-1]
            kind, where = type(error).__name__, f"{at.filename}:{at.lineno}"
            _log.error("asking %s: %s in %s", platform.name, kind, where)
            answer = no_answer("unreachable", f"{platform.name} cannot be asked: see the log")
        entry = PlatformEntry(
            platform=platform.name,
            round=number,
            streams=streams,
            asked_ms=asked_ms,
            answered_ms=max(self._now_ms(), asked_ms),
            status=answer.status,
            failure=answer.failure,
            answer=answer.body,
            answer_bytes=answer.received,
            answer_sha256=answer.sha256,
            counts=tuple(n if n is not None and 0 <= n <= COUNT_MAX else None for n in counts),
        )
        return entry, answer

    async def _log_round(self) -> None:
        """Append what is not in the log yet, between two steps of the notary."""
        notary = self._notary
        async with notary.acts.turn:
            if self._stopped:
                return
            course = notary.course
            least = (course.next_tick or 0) - LATE_TICKS_MAX
            fresh = [one for one in self._unlogged if one.answered_ms // 1000 >= least]
            if len(fresh) < len(self._unlogged):
                _log.warning("event %s: answers of platforms came too late", notary.event.id)
            for rule in filter(None, map(broken_rule, fresh)):
                self._answered = f"an answer could not be logged: {rule}"
            fresh = [one for one in fresh if not broken_rule(one)]
            self._unlogged = [] if course.claim is not None else fresh
            try:
                await notary.log.append([(entry, b"") for entry in self._unlogged])
            except DiskFullError as error:
                self._tell(f"an answer waits for room: {error}")
                return
            except (CourseError, EntryError) as error:
                self._answered = f"an answer could not be logged: {error}"
            self._unlogged = []


def _parts(event: Event, platforms: Mapping[str, Platform]) -> Iterator[Part]:
    """Yield the requests of a round."""
    for name, platform in platforms.items():
        streams = [n for n, video in event.on_platforms.items() if video.name == name]
        most = platform.videos_per_request_max
        for start in range(0, len(streams), most):
            yield platform, tuple(streams[start : start + most])
