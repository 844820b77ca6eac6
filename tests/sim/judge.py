"""The judge of a history: what was promised, asked of the disk and of the people, not of the notary.

It looks on while the history goes by (what is acknowledged or shown now has to be durable now), and counts
again when it is over: from the archive's bytes, by the definition read literally, and from what the clients
did and were told.
"""

from __future__ import annotations

import base64
import hmac
import struct

import numpy as np

from streamcount.core import body as bodies
from streamcount.core import entries, segment
from streamcount.core.course import Course
from streamcount.core.entries import GapEntry, TickEntry
from streamcount.core.presence import positions
from streamcount.core.recount import Recount, Tallies
from streamcount.notary import reading
from streamcount.tlog import checkpoint as cp
from streamcount.tlog.merkle import Frontier, block_root, leaf_hash
from tests.sim.loop import BEGIN_S

# Of a heartbeat's tick from the second in which it was heard: clocks are estimated, and a new master may
# differ by half a second without event time being set anew.
TICK_ERROR_S = 2.0


class ViolationError(AssertionError):
    """A promise that was not kept: which, and how that was seen."""


class Ledger:
    """The archive as a loss of power would leave it now, at the worst."""

    def __init__(self, world):
        self.world = world
        self.course = Course()
        self.presence: dict[bytes, set[int]] = {}
        self.breaks: dict[bytes, set[int]] = {}
        self.names: list[bytes] = []
        self.live: dict[int, int] = {}
        self.gaps: list[GapEntry] = []
        self.roots: dict[int, bytes] = {}
        self.signed = b""
        self._tree = Frontier()
        self._end = 0
        self._recount = None

    def refresh(self):
        """Take in what has become durable."""
        disk, folder = self.world.disk, self.world.folder
        signed = disk.durable(folder / reading.CHECKPOINT)
        if signed == self.signed:
            return
        size, root = signed.split(b"\n")[1:3]
        size = int(size)
        data = disk.durable(folder / reading.SEGMENT)
        if size <= self._tree.size:
            raise ViolationError(f"I4: a checkpoint of size {size} after one of {self._tree.size}")
        while self._tree.size < size:
            self._take(data)
        if base64.b64decode(root) != self._tree.root():
            raise ViolationError(
                f"I4: the checkpoint of size {size} is not over what is on the disk"
            )
        self.roots[size] = self._tree.root()
        self.signed = signed

    def _take(self, data):
        head = data[self._end : self._end + segment.HEAD_BYTES]
        try:
            lengths = segment.read_head(head)
        except (segment.SegmentError, struct.error) as error:
            raise ViolationError(
                "I3: a durable checkpoint covers more than is on the disk"
            ) from error
        start = self._end + segment.HEAD_BYTES
        rest = data[start : start + sum(lengths)]
        segment.check(head, rest)
        self._end = start + sum(lengths)
        encoded, stored = rest[: lengths[0]], rest[lengths[0] :]
        entry = entries.decode(encoded)
        self._tree.append(leaf_hash(encoded))
        self.course.take(entry)
        if not isinstance(entry, TickEntry):
            self.world.say("durable: %s", encoded.decode()[:150])
        if isinstance(entry, TickEntry):
            self._tick(entry, stored)
        elif isinstance(entry, GapEntry):
            self.gaps.append(entry)

    def _tick(self, entry, stored):
        data = segment.inflate(stored, entry.body_bytes) if entry.body_bytes else b""
        body = bodies.decode(
            data, new=entry.new, moves=entry.moves, viewers=entry.viewers, breaks=entry.breaks,
            streams=len(self.world.event.streams),
        )  # fmt: skip
        if self._recount is None:
            self._recount = Recount(self.world.event, first=entry.tick)
        told = Tallies(entry.heartbeats, entry.muted, entry.hidden, entry.late)
        root = block_root(data, bodies.BLOCK_BYTES)
        if self._recount.tick(entry.epoch, body, len(data), root, told) != entry:
            raise ViolationError(
                f"I1: the entry of tick {entry.tick} does not follow from the bodies"
            )
        self.names += [name.tobytes() for name in body.registrations["pseudonym"]]
        self.live[entry.tick] = entry.live
        for index in positions(np.asarray(body.presence)).tolist():
            self.presence.setdefault(self.names[index], set()).add(entry.tick)
        for index in positions(np.asarray(body.breaks)).tolist():
            self.breaks.setdefault(self.names[index], set()).add(entry.tick)

    def peak(self, presence, breaks):
        """The highest count there is, by the definition."""
        course, window = self.course, self.world.event.window
        counts = dict.fromkeys(range(course.first, course.close + 1), 0)
        for name, present in presence.items():
            for tick in proven(present, breaks.get(name, set()), window):
                if tick in counts:
                    counts[tick] += 1
        return max((n for tick, n in counts.items() if not self.in_clock_gap(tick)), default=0)

    def in_clock_gap(self, tick):
        return any(gap.kind == "clock" and gap.first <= tick <= gap.last for gap in self.gaps)


def proven(presence, breaks, window):
    """`core/presence.py`'s literal definition, over no more pairs than can matter."""
    found = set()
    for first in presence:
        for second in range(first + 1, first + window + 1):
            between = range(first + 1, second)
            if second in presence and not any(t in breaks and t not in presence for t in between):
                found.update(range(first, second))
    return found


class Judge:
    """Looks on, and counts again."""

    def __init__(self, world):
        self.world = world
        self.ledger = Ledger(world)
        self.wrong: list[str] = []
        self.exact = True  # nothing happens that may lower a number
        self.exact_from_s = 0.0  # from when on that is so in any case
        # Event time may have moved on from the world's, and nobody but the log knows by how much.
        self.clock_was_set = False
        # A worker held more than it may, and gave up the oldest.
        self.gave_up = False
        self.acks = 0
        self._key = bytes.fromhex(
            world.disk.read(world.folder / reading.PSEUDONYM_KEY).decode().strip()
        )
        self._names: dict[str, bytes] = {}
        self._ticks: dict[object, int] = {}
        self._off: list[tuple[object, float]] = []

    def name(self, viewer):
        found = self._names.get(viewer)
        if found is None:
            found = hmac.digest(self._key, viewer.encode(), "sha256")[:16]
            self._names[viewer] = found
        return found

    def violation(self, text):
        self.world.say("VIOLATION %s", text)
        self.wrong.append(text)

    def _look(self):
        try:
            self.ledger.refresh()
        except (ViolationError, ValueError) as error:
            self.violation(f"{error}")

    # --- While it goes on ---------------------------------------------------------------------------

    def heard(self, speaker, sent):
        """A worker took a message."""
        holding = speaker.holding
        before = self._ticks.get(holding, 0)
        if holding.tick < before:
            self.violation(f"ticks: {speaker.host.name} went from {before} back to {holding.tick}")
        self._ticks[holding] = holding.tick
        if sent.heard in {"P", "X"}:
            world = self.world
            true_s = BEGIN_S + world.now + world.skew_us / 1e6
            off_s = max(sent.tick - true_s, true_s - sent.tick - 1)
            if off_s > TICK_ERROR_S:
                self._off.append((sent, true_s))

    def acknowledged(self, speaker, sent, ack):
        """A worker acknowledges a message."""
        self.acks += 1
        self._look()
        ledger, name = self.ledger, self.name(sent.viewer)
        if sent.answer:
            self.violation(f"I3: {sent.viewer}'s heartbeat {sent.seq} is answered twice")
        sent.answer = "ack"
        here = ledger.presence.get(name, ())
        found = sent.tick in here or (
            sent.heard == "X" and sent.tick in ledger.breaks.get(name, ())
        )
        if not found or ack["tick"] != sent.tick or sent.heard not in {"P", "X"}:
            self.violation(
                f"I3: {sent.viewer}'s heartbeat {sent.seq} ({sent.heard or sent.state} in tick "
                f"{sent.tick}) is acknowledged in tick {ack['tick']} and not in durable evidence"
            )
        if ack["peak"] > ledger.course.peak.count:
            self.violation(f"I1: peak {ack['peak']} is told, {ledger.course.peak.count} is durable")
        archived = speaker.holding.state.archived
        if archived >= (ledger.course.first or 0) and ack["live"] != ledger.live.get(archived):
            self.violation(f"I1: live {ack['live']} is told of tick {archived}")

    def ended(self, host, error):
        """A process ended by itself."""
        self.world.count(f"ended: {type(error).__name__}")
        text = str(error)
        known = isinstance(error, OSError) or "an earlier write failed" in text or "Errno 5" in text
        if not known:
            self.violation(f"{host.name} ended: {type(error).__name__}: {error}")

    def look_on(self):
        """Look at what everybody shows and holds just now."""
        self._look()
        world, ledger = self.world, self.ledger
        self._look_at_notary(world.notary)
        for host in world.workers:
            holding = host.holding
            if holding is not None and not host.process.dead and not host.process.stopped:
                self._look_at_worker(host, holding)
        if ledger.course.claim is None:
            world.after(0.1, self.look_on)

    def _look_at_notary(self, host):
        notary, course = host.notary, self.ledger.course
        if notary is None or host.process.dead:
            return
        shown = notary.course
        if (shown.next_tick or 0) > (course.next_tick or 0):
            self.violation(f"I3: tick {shown.next_tick} is shown and not durable")
        if shown.peak.count > course.peak.count or shown.live not in (
            0,
            *[self.ledger.live.get((shown.next_tick or 0) - 1)],
        ):
            self.violation("I3: numbers are shown that are not durable")
        if (shown.claim is not None) > (course.claim is not None):
            self.violation("I3: a claim is shown that is not durable")
        self._certainty(host, notary.uncertain)

    def _look_at_worker(self, host, holding):
        settings = self.world.settings
        self.gave_up = self.gave_up or len(holding._held) == settings.held_ticks_max
        if len(holding._held) > settings.held_ticks_max:
            self.violation(f"I7: {host.name} holds {len(holding._held)} ticks")
        if sum(held.size_bytes() for held in holding._held) > settings.held_bytes_max:
            self.violation(f"I7: {host.name} holds too many bytes")
        self._certainty(host, lambda: holding.uncertain(host.process.monotonic_ns() // 1000))

    def _certainty(self, host, uncertain):
        """What lags for long must say so."""
        world, course = self.world, self.ledger.course
        if host.process.stopped or course.next_tick is None or course.claim is not None:
            return
        settings = world.settings
        behind_s = BEGIN_S + world.now + world.skew_us / 1e6 - course.next_tick
        most_s = settings.seal_lag_s + settings.uncertain_after_s + TICK_ERROR_S + 1
        if course.close is not None and course.next_tick > course.close:
            return
        lags = behind_s > most_s and not self.clock_was_set
        if lags and not host.process.context.run(uncertain):
            self.violation(
                f"I6: {host.process.name} is certain, the archive is {behind_s:.1f} s behind"
            )

    # --- When it is over ----------------------------------------------------------------------------

    def close(self):
        """Count again."""
        self._look()
        ledger, course = self.ledger, self.ledger.course
        if self.wrong:
            return
        if course.claim is None:
            self.violation("I2: all has healed, and there is no claim")
            return
        self._checkpoint()
        if len(set(ledger.names)) != len(ledger.names):
            self.violation("I5: a viewer has two indices")
        sent = [message for viewer in self.world.viewers for message in viewer.sent]
        heard, broke, said, exact = {}, {}, {}, {}
        for message in sent:
            name = self.name(message.viewer)
            if message.heard == "P":
                heard.setdefault(name, set()).add(message.tick)
                if message.answer in {"", "ack"}:
                    exact.setdefault(name, set()).add(message.tick)
            elif message.state != "playing":
                second = int(BEGIN_S + message.at_s + self.world.skew_us / 1e6)
                tick = message.tick if message.heard == "X" else second
                if message.heard == "X" or not self.clock_was_set:
                    broke.setdefault(name, set()).add(tick)
                said.setdefault(name, set()).update((tick, second, message.tick or tick))
        self._nothing_invented(heard, said)
        self._right_seconds()
        claim = course.claim
        archived = ledger.peak(ledger.presence, ledger.breaks)
        if claim.net.peak != archived:
            self.violation(f"I1: the claim is {claim.net.peak}, the archive comes to {archived}")
        # Of two tabs one may play on while the other's pause is lost: what a break means is moot there.
        for viewer in self.world.viewers:
            if viewer.tabs:
                broke[self.name(viewer.viewer)] = ledger.breaks.get(self.name(viewer.viewer), set())
        most = ledger.peak(heard, broke)
        if claim.net.peak > most:
            self.violation(f"I1: the claim is {claim.net.peak}, {most} were there")
        self._all_answered(sent)
        self._gaps_tell(sent)
        if self.exact:
            right = ledger.peak(exact, broke)
            if claim.net.peak != right:
                self.violation(f"I2: the claim is {claim.net.peak}, {right} were there")
            losses = [gap for gap in ledger.gaps if gap.kind == "loss"]
            if losses:
                self.violation(f"I2: nothing that loses happened, and there is {losses[0]}")

    def _checkpoint(self):
        signer = reading.read_signer(self.world.folder)
        point = cp.open_checkpoint(self.ledger.signed, signer.verifier)
        if point.root != self.ledger.roots[point.size]:
            self.violation("I4: the last checkpoint is of another log")

    def _nothing_invented(self, heard, said):
        ledger = self.ledger
        for kind, found, source in (("P", ledger.presence, heard), ("X", ledger.breaks, said)):
            for name, ticks in found.items():
                there = source.get(name, set())
                odd = ticks - there
                if kind == "X" and there:
                    # A break that was lost may stand in a later tick.
                    odd = {tick for tick in odd if tick < min(there)}
                if odd:
                    who = {n: v for v, n in self._names.items()}.get(name, "nobody")
                    self.violation(f"I1: {kind} of {who} in tick {min(odd)} was heard by no worker")
                    return

    def _right_seconds(self):
        """What counts was heard in its second, unless a gap says that nobody knew the time."""
        ledger = self.ledger
        if self.clock_was_set and self.world.notary.boots > 1:
            # Known: the next notary cannot tell by how much a clock was set while there was none.
            return
        off = {id(sent) for sent, _ in self._off}
        # What was heard in the wrong tick may have been given up, and the same viewer heard rightly in it.
        right = {
            (sent.viewer, sent.tick)
            for viewer in self.world.viewers
            for sent in viewer.sent
            if sent.heard == "P" and id(sent) not in off
        }
        for sent, second in self._off:
            counts = sent.tick in ledger.presence.get(self.name(sent.viewer), ())
            if (sent.viewer, sent.tick) in right:
                continue
            if counts and not ledger.in_clock_gap(sent.tick):
                self.violation(
                    f"ticks: {sent.viewer}'s presence of second {second:.1f} stands in tick {sent.tick}"
                )
                return

    def _gaps_tell(self, sent):
        """Of what was heard and is in no evidence, a gap tells, or the heartbeat is counted as late.

        Known: of ticks that a worker gave up only the tally of late ones tells; what a bucket knows of
        losses is forgotten when it is armed before the notary has archived it; and a worker that is back
        within the second in which it died does not tell of that second.
        """
        ledger = self.ledger
        again = any(host.boots > 1 for host in self.world.workers)
        if self.gave_up or ledger.course.epoch > 1 or again:
            return
        losses = [gap for gap in ledger.gaps if gap.kind == "loss"]
        for message in sent:
            name = self.name(message.viewer)
            there = ledger.presence.get(name, set()) | ledger.breaks.get(name, set())
            gone = message.heard in {"P", "X"} and not message.answer and message.tick not in there
            if gone and not any(gap.first <= message.tick <= gap.last for gap in losses):
                self.violation(
                    f"gaps: {message.viewer}'s {message.heard} in tick {message.tick} is missing without one"
                )
                return

    def _all_answered(self, sent):
        """Every heartbeat that was heard has its answer."""
        for message in sent:
            if message.heard not in {"P", "X"} or message.answer:
                continue
            where = f"{message.viewer}'s {message.heard} in tick {message.tick}"
            if self.exact or message.at_s >= self.exact_from_s:
                self.violation(f"I2: {where} was never answered, though all had healed")
                return
