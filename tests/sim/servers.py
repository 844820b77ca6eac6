"""Redis servers as far as the write path can tell: what the scripts do is `tests/store/model.py`.

That model is held equal to the real scripts by `tests/store/test_scripts.py`. Around it stand here what it
leaves out: the fence, the journal, and the life of a server, which may restart empty, be copied to a
replica that is promoted later, or live on as a master that only some still talk to.
"""

from __future__ import annotations

import copy

import numpy as np

from streamcount.core.bucket import (
    ON_STREAM,
    STRANGER,
    Flushed,
    Read,
    SealedTick,
    State,
    Status,
)
from streamcount.core.bucket import (
    Server as Found,
)
from streamcount.core.presence import bitmap_of
from streamcount.core.pseudonym import PSEUDONYM_BYTES
from tests.sim.loop import BEGIN_S
from tests.store.model import SECOND, Model, bits


def bitmap(found):
    """A set of indices as the store's string."""
    if not found:
        return b""
    return bitmap_of(np.fromiter(sorted(found), np.int64), max(found) + 1).tobytes()


class Contents:
    """The keys of one bucket on one server."""

    def __init__(self):
        self.model: Model | None = None  # with meta, once armed
        self.epoch, self.run_id = 0, ""
        self.offset_us = 0
        self.streams_of_event = 1
        self.published = None
        self.wipe()

    def wipe(self):
        self.model = None
        self.epoch = 0
        self.registry, self.presence, self.breaks, self.tallies = {}, {}, {}, {}
        self.streams = {}
        self.members = {}
        self.journal, self.journal_base = [], 0
        self.journaled = self.told = 0

    def write_journal(self, registrations):
        """Append what the model did: registrations first, then what was lost."""
        if registrations:
            self.journal.append(b"r%d " % self.journaled + b"".join(registrations))
            self.journaled += len(registrations)
        for first, last, why, node in self.model.lost[self.told :]:
            self.journal.append(f"l{first} {last} {why} {node}".encode())
        self.told = len(self.model.lost)


class Server:
    """One server process, from its start to its end."""

    def __init__(self, world, skew_us, contents=None):
        self.world = world
        self.run_id = f"{world.rng.getrandbits(160):040x}"
        self.skew_us = skew_us
        self.buckets: dict[str, Contents] = contents or {}
        self.directory = None
        self.up = True

    def time_us(self):
        return BEGIN_S * SECOND + int(self.world.loop.now * 1e6) + self.skew_us

    def snapshot(self):
        """What a replica has of it now."""
        return copy.deepcopy(self.buckets)

    def bucket(self, tag):
        return self.buckets.setdefault(tag, Contents())

    # --- The scripts ------------------------------------------------------------------------------

    def fence(self, contents, epoch):
        """None, or the answer FENCED."""
        armed = contents.model is not None and contents.run_id == self.run_id
        if armed and contents.epoch == epoch:
            return None
        return State(Status.FENCED, contents.epoch if armed else 0, self.time_us())

    def now_us(self, contents):
        return self.time_us() + contents.offset_us

    def state(self, contents, status):
        model, told = contents.model, contents.published
        return State(
            status,
            contents.epoch,
            self.now_us(contents),
            contents.offset_us,
            model.open,
            model.close,
            model.window,
            model.sealed,
            model.archived,
            len(contents.registry),
            contents.journal_base,
            told.live,
            told.proven,
            told.peak,
            told.peak_tick,
            int(told.uncertain),
        )

    def flush(self, tag, flush):
        contents = self.bucket(tag)
        fenced = self.fence(contents, flush.epoch)
        if fenced:
            return Flushed(fenced, ())
        model = contents.model
        before = len(contents.registry)
        status, indices = model.flush(flush, self.now_us(contents))
        if flush.tick is not None and status is Status.OK and flush.tick > model.archived:
            self._streams(contents, flush, indices)
        strangers = np.frombuffer(flush.strangers, STRANGER)
        contents.write_journal(_registered(contents.registry, before, strangers))
        if flush.tick is not None:
            told = (flush.node, flush.tick, status.name, model.sealed, model.archived)
            self.world.say("store: %s flushes tick %d: %s (sealed %d, archived %d)", *told)
        return Flushed(self.state(contents, status), tuple(indices))

    def _streams(self, contents, flush, indices):
        if contents.streams_of_event == 1:
            return
        told = np.frombuffer(flush.strangers, STRANGER)
        new = [
            (index, int(one["stream"]))
            for one, index in zip(told, indices, strict=True)
            if index >= 0 and int(one["effects"]) & 1
        ]
        on = flush.streams + np.array(new, ON_STREAM).tobytes()
        contents.streams[flush.tick] = contents.streams.get(flush.tick, b"") + on

    def read(self, tag, epoch, first, journal_read, most):
        contents = self.bucket(tag)
        fenced = self.fence(contents, epoch)
        if fenced:
            return Read(fenced, (), (), {})
        model = contents.model
        model.seal(self.now_us(contents))
        contents.write_journal(())
        ticks = [
            SealedTick(
                tick,
                bitmap(contents.presence.get(tick, ())),
                bitmap(contents.breaks.get(tick, ())),
                contents.streams.get(tick, b""),
                list(contents.tallies.get(tick, {}).values()),
            )
            for tick in range(first, min(model.sealed, first + most - 1) + 1)
        ]
        journal = contents.journal[max(0, journal_read - contents.journal_base) :]
        members = {n: f"{boot} {through}" for n, (boot, through) in contents.members.items()}
        return Read(self.state(contents, Status.OK), journal, ticks, members)

    def advance(self, tag, epoch, archived, journal_read, close, published, keep):
        contents = self.bucket(tag)
        fenced = self.fence(contents, epoch)
        if fenced:
            return fenced
        model = contents.model
        back = archived < model.archived or journal_read < contents.journal_base
        if back or archived > model.sealed or (model.close and close != model.close):
            return self.state(contents, Status.REFUSED)
        if journal_read > contents.journal_base:
            del contents.journal[: journal_read - contents.journal_base]
        contents.journal_base = journal_read
        model.archived, model.close, contents.published = archived, close, published
        self.world.say("store: archived through %d", archived)
        model.forget_before(archived - keep)
        return self.state(contents, Status.OK)

    # --- Arming -----------------------------------------------------------------------------------

    def found(self):
        return Found(self.run_id, self.time_us())

    def members(self, tag):
        return {n: f"{b} {through}" for n, (b, through) in self.bucket(tag).members.items()}

    def latest(self, tag):
        contents = self.bucket(tag)
        return (0, 0) if contents.model is None else (contents.epoch, contents.model.archived)

    def wipe(self, tag, run_id):
        if run_id != self.run_id:
            return False
        self.bucket(tag).wipe()
        return True

    def load(self, tag, arming):
        contents = self.bucket(tag)
        if arming.run_id != self.run_id:
            return False
        names = arming.pseudonyms
        for index, at in enumerate(range(0, len(names), PSEUDONYM_BYTES)):
            contents.registry[names[at : at + PSEUDONYM_BYTES]] = index
        for tick, presence, breaks in arming.bitmaps:
            contents.presence[tick], contents.breaks[tick] = bits(presence), bits(breaks)
        return True

    def arm(self, tag, arming, window, settings):
        contents = self.bucket(tag)
        size = len(arming.pseudonyms) // PSEUDONYM_BYTES
        if arming.run_id != self.run_id or len(contents.registry) != size:
            return False
        for node, seen in arming.members.items():
            boot, through = seen.split(" ")
            contents.members[node] = (boot, int(through))
        contents.epoch, contents.run_id = arming.epoch, arming.run_id
        contents.offset_us, contents.published = arming.offset_us, arming.published
        contents.streams_of_event = arming.streams
        contents.journaled, contents.told = size, 0
        contents.journal, contents.journal_base = [], 0
        contents.model = Model(
            open=arming.open,
            close=arming.close,
            window=window,
            lag_us=round(settings.seal_lag_s * 1e6),
            hold_us=round(settings.hold_s * 1e6),
            archived=arming.archived,
            viewers_max=settings.viewers_max,
            unarchived_max=settings.unarchived_ticks_max,
            not_before_us=arming.not_before_us,
            registry=contents.registry,
            presence=contents.presence,
            breaks=contents.breaks,
            tallies=contents.tallies,
            members=contents.members,
        )
        self.world.say("store: armed, epoch %d from tick %d", arming.epoch, arming.archived + 1)
        return True


def _registered(registry, before, strangers):
    """The 18 bytes of each viewer registered since there were `before`."""
    if len(registry) == before:
        return []
    streams = {}
    for one in strangers:
        if int(one["effects"]) & 1:
            streams.setdefault(one["pseudonym"].tobytes(), int(one["stream"]))
    return [name + streams[name].to_bytes(2, "big") for name in list(registry)[before:]]
