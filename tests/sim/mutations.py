"""Thirteen ways to build this wrong, each of which the simulation has to notice.

A mutation changes the real code, or the model of the store where the real code is a Lua script, for the
time of a history. Each says in one line what is wrong about it. One that no history catches would mean
that the world lacks a fault.
"""

from __future__ import annotations

import contextlib

from streamcount.core.bucket import Status
from streamcount.core.course import Course
from streamcount.ingest.gateway import Gateway
from streamcount.ingest.holding import Holding
from streamcount.notary.armed import Armed
from streamcount.notary.log import Log
from tests.sim.servers import Server
from tests.store.model import SECOND, Model


@contextlib.contextmanager
def patched(*changes):
    """Each change: (owner, name, function of the real one that returns the wrong one)."""
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in changes]
    for owner, name, change in changes:
        setattr(owner, name, change(owner.__dict__[name]))
    try:
        yield
    finally:
        for owner, name, real in before:
            setattr(owner, name, real)


def ack_by_watermark_only():
    """What is archived need not hold this worker's own flush, which may never have been accepted."""

    def settled(real):
        def wrong(self):
            for held in self._held:
                held.undelivered[:] = False
            return real(self)

        return wrong

    return patched((Holding, "settled", settled))


def free_on_flush_ok():
    """The store may lose what it accepted: who no longer holds it cannot deliver it again."""

    def take_fence(real):
        def wrong(self, epoch):
            delivered = [held for held in self._held if not held.undelivered.any()]
            outcome = real(self, epoch)
            for held in delivered:
                held.undelivered[:] = False
            return outcome

        return wrong

    return patched((Holding, "_take_fence", take_fence))


def hold_indices():
    """Another epoch may give an index to another viewer."""

    def take_fence(real):
        def wrong(self, epoch):
            index = self.viewers.index.copy()
            outcome = real(self, epoch)
            self.viewers.index[: len(index)] = index
            return outcome

        return wrong

    return patched((Holding, "_take_fence", take_fence))


def restore_by_merge():
    """What was drained but not archived stays, under indices that the archive gives to others."""

    def wipe(real):
        def wrong(self, tag, run_id):
            return run_id == self.run_id

        return wrong

    def arm(real):
        def wrong(self, tag, arming, window, settings):
            registry = self.bucket(tag).registry
            known = set(registry.values())
            size = len(arming.pseudonyms) // 16
            extra = {name: index for name, index in registry.items() if index >= size}
            for name in extra:
                del registry[name]
            done = real(self, tag, arming, window, settings)
            registry.update(extra)
            return done and known is not None

        return wrong

    return patched((Server, "wipe", wipe), (Server, "arm", arm))


def no_epoch_in_calls():
    """A caller who knows nothing of an arming is believed all the same."""

    def fence(real):
        def wrong(self, contents, epoch):
            return real(self, contents, contents.epoch)

        return wrong

    return patched((Server, "fence", fence))


def seal_from_now():
    """Ticks that workers still hold are called sealed when the bucket is armed."""

    def arm(real):
        def wrong(self, tag, arming, window, settings):
            done = real(self, tag, arming, window, settings)
            contents = self.bucket(tag)
            if done:
                now = self.now_us(contents) // SECOND
                contents.model.sealed = max(contents.model.sealed, now - 1)
            return done

        return wrong

    return patched((Server, "arm", arm))


def cumulative_ack():
    """An acknowledgement "up to" covers those before it that came too late."""

    def settle(real):
        def wrong(self, holding, held):
            real(self, holding, held)
            for speaker, seq in zip(held.speakers, held.seqs, strict=True):
                for earlier in sorted(speaker.sent):
                    sent = speaker.sent[earlier]
                    if earlier < seq and sent.heard and not sent.answer:
                        speaker.acknowledge(earlier, _tail(holding, sent.tick))

        return wrong

    return patched((Gateway, "settle", settle))


def _tail(holding, tick):
    return b',"tick":%d,"live":%d,"peak":%d,"uncertain":false' % (
        tick, holding.state.live, holding.state.peak,
    )  # fmt: skip


def fence_by_polling():
    """Between two looks at the epoch the store may have been armed anew."""

    def fence(real):
        looked = {}

        def wrong(self, contents, epoch):
            at, seen, fenced = looked.get(epoch, (-1.0, None, None))
            if self.world.now - at > 1.0 or seen is not self.world:
                fenced = real(self, contents, epoch)
                looked[epoch] = (self.world.now, self.world, fenced)
            if fenced is None and contents.model is None:
                return real(self, contents, epoch)
            return fenced

        return wrong

    return patched((Server, "fence", fence))


def clock_while_fenced():
    """A server that was not armed tells its own time, not the event's."""

    def take(real):
        def wrong(self, part, flushed, sent_us, received_us):
            if flushed.state.status is Status.FENCED:
                self.clock.forget()
                self.clock.sample(sent_us, received_us, flushed.state.now_us)
                self.roll(received_us)
            return real(self, part, flushed, sent_us, received_us)

        return wrong

    return patched((Holding, "take", take))


def seal_without_watermarks():
    """A tick is closed by time alone, though a worker has still to deliver it."""

    def seal(real):
        def wrong(self, now_us):
            members, self.members = self.members, {}
            real(self, now_us)
            self.members = members

        return wrong

    return patched((Model, "seal", seal))


def peak_in_clock_gap():
    """What was counted while nobody knew the time may not be claimed."""
    return patched((Course, "in_clock_gap", lambda _real: lambda _self, _tick: False))


def publish_from_the_store():
    """Numbers are shown when they are counted, before they are archived."""

    def archive(real):
        async def wrong(self, items):
            kept = self.course
            self.course = kept.after(entry for entry, _ in items)
            shown = self.course
            try:
                self.course = kept
                task = real(self, items)
                self.course = _Early(kept, shown)
                await task
            finally:
                if isinstance(self.course, _Early):
                    self.course = kept

        return wrong

    return patched((Log, "append", archive))


class _Early:
    """The course so far for those who go on with it, the next one for those who look."""

    def __init__(self, kept, shown):
        self.after = kept.after
        self._shown = shown

    def __getattr__(self, name):
        return getattr(self._shown, name)


def ack_before_fsync():
    """The watermark moves while the entries are still on their way to the disk."""

    armed = {}

    def remember(real):
        def wrong(self, log, *rest):
            armed[log] = self
            real(self, log, *rest)

        return wrong

    def archive(real):
        async def wrong(self, items):
            kept = self.course
            self.course = kept.after(entry for entry, _ in items)
            if armed[self].ready and self.course.next_tick != kept.next_tick:
                await armed[self].advance()
            self.course = kept
            await real(self, items)

        return wrong

    return patched((Armed, "__init__", remember), (Log, "append", archive))


MUTATIONS = {
    mutation.__name__: mutation
    for mutation in (
        ack_by_watermark_only, free_on_flush_ok, hold_indices, restore_by_merge, no_epoch_in_calls,
        seal_from_now, cumulative_ack, fence_by_polling, clock_while_fenced, seal_without_watermarks,
        peak_in_clock_gap, publish_from_the_store, ack_before_fsync,
    )
}  # fmt: skip
