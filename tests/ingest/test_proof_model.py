"""core/proof and ingest/beacons: whatever happens to requests, nobody is counted through a pause.

A model in virtual time. One client, who keeps the rule of core/proof.py, plays and pauses; its requests are
delayed by up to 40 s, lost, or come several times, each copy at one of two workers; so are the answers. The
workers are real: beacons.py, counting.py, holding.py; so is the rule. The count is the definition, read
literally. What is asked of it:

    a pair of presences that proves has no pause between them, as the client made them
    whoever is counted at an instant was playing then, or not longer before it than a presence may be old

The last part leaves out each piece of the rule in turn: the model has to notice.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamcount.config import Settings
from streamcount.core import beacon as beacons
from streamcount.core.bucket import BREAKS, QUALIFIES, STRANGER, Flushed, State, Status
from streamcount.core.event import parse_event
from streamcount.core.listing import Listed
from streamcount.core.policy import Progress
from streamcount.core.presence import proven_ticks
from streamcount.core.proof import Proof
from streamcount.ingest import beacons as posting
from streamcount.ingest import counting
from streamcount.ingest.admission import Outcomes
from streamcount.ingest.beacons import Beacons
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.holding import Holding, Outcome

BEGIN_S = 1_795_000_000
WINDOW, INTERVAL, AGE_S, ARCHIVE_LAG_S, WAIT_S = 15, 4, 5.0, 2, 10
SETTINGS = Settings(beacon_age_s=AGE_S)
EVENT = parse_event(
    {
        "id": "lesson",
        "title": {"en": "x"},
        "window": WINDOW,
        "interval": INTERVAL,
        "policy": {"progress": False},
    }
)


class Worker:
    """The real parts of one worker, on a store that takes everything and archives it in two seconds."""

    def __init__(self, world, node):
        self.world = world
        self.holding = Holding(Listed(EVENT, "t", bytes(32), "open"), SETTINGS, node, "boot")
        self.gateway = SimpleNamespace(
            settings=SETTINGS, outcomes=Outcomes(), stalled=lambda _: False
        )
        self.beacons = Beacons(self.gateway)
        self.waiting = []
        for status in (Status.FENCED, Status.OK, Status.OK):
            self.flush(status)

    def take(self, body):
        """Hear a request."""
        posted = self.beacons._count(beacons.read(body), self.holding, 0, Progress())
        self.waiting.append((posted, self.world.ms + WAIT_S * 1000))

    def second(self):
        """Deliver what is over, let go of what is archived, answer who has waited for it."""
        self.holding.roll(self.world.ms * 1000)
        while self.flush(Status.OK) is Outcome.GO_ON:
            pass
        for held in self.holding.settled():
            self.world.archive(held)
            Gateway.settle(self.gateway, self.holding, held)
        for posted, until in list(self.waiting):
            if not posted.waits or self.world.ms >= until:
                self.waiting.remove((posted, until))
                self.holding.leave(posted.number)
                self.world.reply([json.loads(text) for text in posted.answers.values()])

    def flush(self, status):
        part, us = self.holding.next_part(), self.world.ms * 1000
        indices = [
            self.world.index(one["pseudonym"].tobytes(), bool(one["effects"] & QUALIFIES))
            for one in np.frombuffer(part.flush.strangers, STRANGER)
        ]
        state = State(
            status,
            1,
            BEGIN_S * 1_000_000 + us,
            open=BEGIN_S,
            archived=BEGIN_S + self.world.ms // 1000 - ARCHIVE_LAG_S,
        )
        return self.holding.take(part, Flushed(state, tuple(indices)), us, us)


class Client:
    """Plays and pauses as it is told, and keeps the rule."""

    def __init__(self, world):
        self.world = world
        self.proof = Proof(AGE_S, WINDOW)
        self.seq = 0
        self.playing = self.gone = False
        # How far its idea of event time is behind: as long as the answer took that it is from.
        self.behind_ms = 0
        # The break that has no acknowledgement yet, and seq -> what was sent.
        self.breaks = set()
        self.made = {}

    def time_ms(self):
        return BEGIN_S * 1000 + self.world.ms - self.behind_ms

    def become(self, state):
        self.gone = state == "gone"
        self.playing = state == "playing"
        self.beat()

    def beat(self):
        if self.gone:
            return
        if not self.playing:
            self.proof.end()
        now = self.time_ms()
        self.seq += 1
        if self.playing and self.proof.may_play(now):
            self.proof.play(now)
            self.made[self.seq] = self.world.ms
            self.send({"seq": self.seq, "state": "playing"}, now)
        elif self.seq > 1:
            self.breaks.add(self.seq)
            self.send({"seq": self.seq, "state": "paused", "again": self.playing}, now)

    def send(self, heartbeat, now):
        plain = {"event": "lesson", "stream": "main", "viewer": "viewer-0001", "made_at": now}
        self.world.post(json.dumps(plain | {"heartbeats": [heartbeat]}).encode())

    def hear(self, answers, took_ms):
        self.behind_ms = took_ms
        held_back = self.playing and not self.proof.may_play(self.time_ms())
        for answer in answers:
            if answer["type"] == "ack" and answer["seq"] in self.breaks:
                self.acknowledged(answer)
        if held_back and self.proof.may_play(self.time_ms()):
            self.beat()
        elif held_back and not self.gone:
            self.world.after(max(0, self.proof.useful_from_ms() - self.time_ms()), self.try_again)

    def acknowledged(self, answer):
        self.proof.acknowledge(answer["tick"])

    def try_again(self):
        if self.playing and not self.proof.may_play(self.time_ms()):
            self.beat()


class World:
    """Time, the network, and what became evidence."""

    def __init__(self, network, life, seconds, client=Client):
        """`network(kind)` returns the copies of a request or an answer: [(delay in ms, worker)].

        `life`: [(ms, state)], what the player does.
        """
        self.ms = 0
        self.network = network
        self._plans, self._order = [], itertools.count()
        self.registry = {}
        # tick -> the effects of all workers, and when each presence in it was made.
        self.evidence, self.made = {}, {}
        self.workers = [Worker(self, f"node-{n}") for n in range(2)]
        self.client = client(self)
        self.life = life
        for ms, state in life:
            self.after(ms, self.client.become, state)
        for second in range(1, seconds + WAIT_S + 50):
            for worker in self.workers:
                self.after(second * 1000, worker.second)
        for ms in range(0, seconds * 1000, INTERVAL * 1000):
            self.after(ms + 137, self.client.beat)

    def after(self, ms, action, *given):
        heapq.heappush(self._plans, (self.ms + ms, next(self._order), action, given))

    def post(self, body):
        for delay, worker in self.network("request"):
            self.after(delay, self.workers[worker].take, body)

    def reply(self, answers):
        for delay, _ in self.network("answer"):
            self.after(delay, self.client.hear, answers, delay)

    def index(self, name, qualifies):
        if qualifies:
            self.registry.setdefault(name, len(self.registry))
        return self.registry.get(name, -1)

    def archive(self, held):
        """Take what a worker delivered of a tick: the OR with what others did."""
        there = (held.effects > 0) & ~held.unregistered
        for effect in held.effects[there]:
            self.evidence[held.tick] = self.evidence.get(held.tick, 0) | int(effect)
            if effect & QUALIFIES:
                found = [self.client.made[s] for s in held.seqs if s in self.client.made]
                self.made.setdefault(held.tick, []).extend(found)

    def run(self):
        while self._plans:
            self.ms, _, action, given = heapq.heappop(self._plans)
            action(*given)
        return self

    # --- What must be true ------------------------------------------------------------------------

    def proven(self):
        presence = {t for t, effects in self.evidence.items() if effects & QUALIFIES}
        breaks = {t for t, effects in self.evidence.items() if effects & BREAKS}
        return presence, breaks, proven_ticks(presence, breaks, WINDOW)

    def played(self, first_ms, last_ms):
        """Tell whether the client played at any instant between, both included."""
        ends = [ms for ms, _ in self.life[1:]] + [10**9]
        return any(
            state == "playing" and start <= last_ms and end >= first_ms
            for (start, state), end in zip(self.life, ends, strict=True)
        )

    def judge(self):
        presence, breaks, proven = self.proven()
        pauses = [ms for ms, state in self.life if state == "paused"]
        for first, second in itertools.combinations(sorted(presence), 2):
            if second - first <= WINDOW and not any(
                t in breaks and t not in presence for t in range(first + 1, second)
            ):
                both = self.made[first] + self.made[second]
                through = [ms for ms in pauses if min(both) < ms < max(both)]
                assert not through, f"proven {first} to {second} through a pause at {through}"
        for tick in proven:
            instant = (tick + 1 - BEGIN_S) * 1000
            assert self.played(instant - AGE_S * 1000, instant), f"counted at {tick}"
        return proven


@pytest.fixture(scope="module", autouse=True)
def virtual_time():
    """What asks for the time is told that of the world that runs."""
    running = SimpleNamespace(world=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posting, "monotonic_us", lambda: running.world.ms * 1000)
        yield running


def play(running, *given, **options):
    running.world = SimpleNamespace(ms=0)
    world = World(*given, **options)
    running.world = world
    return world.run()


def a_history(running, draw, client=Client):
    """One history by chance: three quarters of all requests arrive soon, the others who knows when."""

    def network(kind):
        copies = draw.choice([0, 1, 1, 1, 1, 2, 3] if kind == "request" else [0, 1, 1, 1])
        soon = (20, 60, 200, 900)
        late = (1_500, 2_500, 4_000, 4_900, 5_500, 7_000, 12_000, 25_000, 40_000)
        return [
            (draw.choice(soon if draw.random() < 0.7 else late), draw.randrange(2))
            for _ in range(copies)
        ]

    life, ms, state = [], 10, "playing"
    while ms < 60_000:
        life.append((ms, state))
        state = "paused" if state == "playing" else "playing"
        ms += draw.choice([300, 700, 1_100, 2_000, 3_500, 5_000, 8_000, 13_000, 21_000])
    life.append((ms, draw.choice(["paused", "gone", "gone"])))
    return play(running, network, life, 70, client=client)


@given(st.randoms(use_true_random=False))
def test_nobody_is_counted_through_a_pause_whatever_becomes_of_requests(virtual_time, draw):
    a_history(virtual_time, draw).judge()


@pytest.mark.parametrize("seed", range(8))
def test_nor_in_any_of_many_histories(virtual_time, seed):
    """By seeds, so that many of them are long and wild, as shrinking likes them short."""
    counted = 0
    for number in range(30):
        counted += len(a_history(virtual_time, random.Random(f"{seed} {number}")).judge())
    assert counted > 100


def small(running, delays, client=Client):
    """Two presences, a pause of 6 s that is told twice, and the next presence; each delayed as given."""
    todo = iter(delays)

    def network(kind):
        delay = next(todo, (40, 0)) if kind == "request" else (40, 0)
        return [] if delay is None else [delay]

    return play(
        running,
        network,
        [(10, "playing"), (6_000, "paused"), (12_000, "playing")],
        30,
        client=client,
    )


DELAYS = [(40, 0), (40, 1), (3_000, 1), (4_800, 0), (6_500, 1), None]


def test_every_way_to_delay_or_lose_four_requests_around_a_pause(virtual_time):
    """The presence before it, the break, and what follows: 6^4 histories."""
    for delays in itertools.product(DELAYS, repeat=4):
        small(virtual_time, [(40, 0), (40, 0), *delays]).judge()


# --- It also counts ---


def test_who_plays_all_along_is_counted_all_along(virtual_time):
    world = play(virtual_time, lambda _: [(40, 0)], [(10, "playing"), (40_500, "gone")], 41)
    assert world.judge() == set(range(BEGIN_S, BEGIN_S + 40))


def test_after_a_pause_one_is_counted_again_within_age_archive_and_an_interval(virtual_time):
    life = [(10, "playing"), (20_500, "paused"), (30_500, "playing"), (60_000, "gone")]
    world = play(virtual_time, lambda _: [(40, 0)], life, 60)
    proven = world.judge()
    again = min(t for t in proven if t > BEGIN_S + 21)
    assert again <= BEGIN_S + 30 + 1
    short = [(10, "playing"), (20_500, "paused"), (21_500, "playing"), (60_000, "gone")]
    proven = play(virtual_time, lambda _: [(40, 0)], short, 60).judge()
    again = min(t for t in proven if t > BEGIN_S + 21)
    assert again <= BEGIN_S + 21 + AGE_S + ARCHIVE_LAG_S + INTERVAL


# --- Every part of the rule is needed ---


class Forgetful(Client):
    """Tells the break once more, and plays on without waiting for an answer."""

    def beat(self):
        was = self.proof.broken
        super().beat()
        if was and self.playing:
            self.proof.broken = False
            super().beat()


class Hasty(Client):
    """Takes any acknowledgement of a break for the one that is asked for."""

    def acknowledged(self, answer):
        self.proof.broken = False


class Impatient(Client):
    """Plays on when no answer comes, before a window is over."""

    def __init__(self, world):
        super().__init__(world)
        self.proof.window_s = 0


def never_old(made_at_ms, now_ms, age_s):
    return ""


def noticed(running, client=Client):
    for number in range(400):
        try:
            a_history(running, random.Random(f"wrong {number}"), client).judge()
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("client", [Forgetful, Hasty, Impatient])
def test_a_client_that_leaves_out_a_part_of_the_rule_is_noticed(virtual_time, client):
    assert noticed(virtual_time, client)


def test_a_server_to_which_nothing_is_too_old_is_noticed(virtual_time, monkeypatch):
    monkeypatch.setattr(counting, "untimely", never_old)
    assert noticed(virtual_time)
