"""One event at one worker: what was heard in each tick, held until it is archived.

Theory of operation. A heartbeat sets one bit in the bitmap of its tick (`hearing.py`), over this worker's
own viewer numbers. When the tick's second is over it is held. Only at delivery are numbers turned into
the indices the store knows. A held tick is let go, and each of its heartbeats acknowledged, when both
are true *in the current epoch*:

    its own flush was accepted          and          the tick is archived

A new epoch forgets the indices, and everything that is held counts as undelivered again: the store may
have lost it. A flush that comes after its tick was sealed is late: those heartbeats are counted as
late, and never acknowledged. What is held is bounded in ticks and bytes; beyond that the oldest is
given up, as late.

A *break* that is late is not let go: without it the viewer's next presence would reach back over the
pause. It stands in the next tick that is not delivered yet, and takes the place of a presence there.

An event may have several buckets, and each viewer is in one of them. A flush carries what one bucket has
to know, the watermark is told to all, and the epoch is that of all: the highest that any of them told.
Event time is that of bucket 0 (`timing.py`). While one is out of reach the others are delivered to;
nothing is let go.

No input or output here: `delivery.py` carries the flushes, `gateway.py` the heartbeats and the answers.
Times are microseconds of a monotonic clock, ticks event seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamcount.config import Settings
from streamcount.core.bucket import QUALIFIES, Flush, Flushed, State, Status
from streamcount.core.listing import Listed
from streamcount.core.presence import positions
from streamcount.ingest.hearing import Hearing, HeldTick, Numbers, Speaker
from streamcount.ingest.parts import Part, PartMaker
from streamcount.ingest.timing import Timing, Told
from streamcount.ingest.viewers import Viewers


class Outcome(enum.Enum):
    """What to do after an answer of the store."""

    GO_ON = "go on"  # with the next part, until there is none
    PAUSE = "pause"  # and try again later: the store is not ready for it


class Holding:
    """An event's viewers at this worker, its held ticks, and what the store last told of it."""

    def __init__(self, listed: Listed, settings: Settings, node: str, boot: str) -> None:
        """`node` names this worker, `boot` this life of it."""
        self.listed = listed
        self.event = listed.event
        self.stream_numbers = {stream.id: n for n, stream in enumerate(listed.event.streams)}
        self.viewers = Viewers(listed.pseudonym_key, listed.buckets)
        self._timing = Timing(listed.buckets, settings.uncertain_after_s * 1e6)
        self.clock = self._timing.clock
        # What a bucket told last; of several, the one that knew of the latest archived tick.
        self.state = State(Status.FENCED, 0, 0)
        # The buckets whose latest call failed or was fenced.
        self._out_of_reach = set(range(listed.buckets))
        # Why a heartbeat heard now cannot count; empty when it can.
        self.closed_because = "not-ready"
        # Monotonic time at which the current tick ends; the hot path compares with nothing else.
        self.boundary_us = 0
        self.late_total = 0
        self._settings = settings
        self._node = node
        self._boot = boot
        # How often something was given up before it could be delivered.
        self._gave_up = 0
        self._several = len(listed.event.streams) > 1
        self._parts = PartMaker(
            self.viewers,
            several_streams=self._several,
            strangers_max=settings.strangers_per_flush_max,
        )
        self._late_untold = 0
        self._held: list[HeldTick] = []
        self._current = Hearing(0, 0, several_streams=self._several)

    @property
    def cut_off(self) -> bool:
        """True while the latest call to any of the buckets failed or was fenced."""
        return bool(self._out_of_reach)

    def share_out(self, listed: Listed) -> None:
        """Take another number of buckets: none of them has got anything yet."""
        self.listed = listed
        self.viewers.share_out(listed.buckets)
        self._out_of_reach = set(range(listed.buckets))
        self._timing.share_out(listed.buckets)
        for held in self._held:
            held.undelivered[:], held.refused[:] = True, False

    # --- Hearing ----------------------------------------------------------------------------------

    @property
    def tick(self) -> int:
        """The tick under way; 0 before the store told the time."""
        return self._current.tick

    def roll(self, now_us: int) -> None:
        """Begin the tick that is now, if it is another; the one before is held from here on."""
        if not self.clock.ready:
            return
        tick = self.clock.tick(now_us)
        if tick > self._current.tick:
            if self._current.seqs or self._current.shut:
                self._held.append(HeldTick(self._current, self._late_untold))
                self._late_untold = 0
            self._current = Hearing(tick, self.viewers.numbers_end, several_streams=self._several)
            self._give_up_the_oldest()
        # Event time may have been set back: nothing is heard until it has come to this tick again.
        behind = self.clock.now_us(now_us) // 1_000_000 < self._current.tick
        ends = self._current.tick + (0 if behind else 1)
        self.boundary_us = self.clock.monotonic_us(ends * 1_000_000)
        self._judge(behind=behind)

    def enter(self, viewer: str) -> int:
        """Return the number of a viewer who connects."""
        number = self.viewers.enter(viewer)
        self._current.room_for(number)
        return number

    def leave(self, number: int) -> None:
        """Take note that a connection of this viewer ended."""
        self.viewers.leave(number, self._current.tick)
        if not self.waiting:
            # Before an event opens no tick is ever settled.
            self.viewers.sweep(self._current.tick + 1)

    def hear_presence(self, speaker: Speaker, seq: int, *, muted: bool, hidden: bool) -> None:
        """Take a heartbeat that qualifies."""
        current, number = self._current, speaker.number
        current.presence[number >> 3] |= 0x80 >> (number & 7)
        current.speakers.append(speaker)
        current.seqs.append(seq)
        if current.streams is not None:
            current.streams[number] = speaker.stream
        if muted:
            current.muted += 1
        if hidden:
            current.hidden += 1

    def hear_break(self, speaker: Speaker, seq: int, *, again: bool = False) -> None:
        """Take a heartbeat that breaks; `again`: it happened in an earlier tick, and was lost there."""
        if again:
            self._current.shut.add(speaker.number)
        current, number = self._current, speaker.number
        current.breaks[number >> 3] |= 0x80 >> (number & 7)
        current.speakers.append(speaker)
        current.seqs.append(seq)

    def hear_late(self, speaker: Speaker, *, breaks: bool) -> None:
        """Take a heartbeat read so long after it arrived that nobody can say in which tick it did."""
        self._lose([speaker])
        if not self._current.late:
            self._current.late = True
            self._gave_up += 1
        if breaks:
            self._current.shut.add(speaker.number)

    def hear_early_break(self, speaker: Speaker) -> None:
        """Take a break that came while nothing counts; it may lie between two ticks that do."""
        open_, close = self.state.open, self.state.close
        if open_ and self.tick >= open_ and (not close or self.tick <= close):
            self._current.shut.add(speaker.number)

    # --- Delivering -------------------------------------------------------------------------------

    def next_part(self, bucket: int = 0) -> Part:
        """Return the flush to be made next to a bucket: undelivered viewers, oldest tick first.

        The last part says that everything up to the tick before the current one is delivered. The first
        in an epoch has nothing in it, and none has while clocks disagree: what is held may have been heard
        by another time than the store's.
        """
        if not self._timing.sure(bucket):
            return self._parts.next([], bucket, self._plain(None))
        return self._parts.next(self._held, bucket, self._plain(self._through()))

    def leaving(self) -> Flush:
        """Return the flush that gives up membership."""
        return replace(self._plain(None), leave=True)

    def take(self, part: Part, flushed: Flushed, sent_us: int, received_us: int) -> Outcome:
        """Take the store's answer to a part, sent and received at these times."""
        state = flushed.state
        if state.status is Status.FENCED:
            self._out_of_reach.add(part.bucket)
            if part.flush.epoch < state.epoch == self.state.epoch:
                # Another bucket told of this epoch while the call was under way.
                return Outcome.GO_ON
            return self._take_fence(state.epoch)
        if part.flush.epoch != self.state.epoch:
            # Another bucket told of a new epoch meanwhile: what this one took is gone, or will be.
            return Outcome.GO_ON
        time = self._timing.take(part.bucket, state, sent_us, received_us)
        if time is Told.DOUBTFUL:
            self._out_of_reach.add(part.bucket)
            return Outcome.PAUSE
        self._out_of_reach.discard(part.bucket)
        if state.archived >= self.state.archived:
            self.state = state
        if time is Told.ANEW and self.waiting:
            self._give_up_what_was_misheard()
        self.roll(received_us)
        if state.status is Status.REFUSED:
            # The registry is not what this worker believes: ask for every index again.
            self.viewers.forget_indices()
            return Outcome.PAUSE
        if part.held is not None:
            return self._take_part(part, part.held, flushed)
        # Before the time was known, this worker could not say what it has delivered: now it can.
        untold = part.flush.delivered is None and self._timing.agreed
        return Outcome.GO_ON if untold else Outcome.PAUSE

    def lost_contact(self, bucket: int = 0) -> None:
        """Take note that a bucket did not answer."""
        self._out_of_reach.add(bucket)

    def settled(self) -> Iterator[HeldTick]:
        """Yield, and let go of, the ticks that are delivered and archived in this epoch."""
        while not self.cut_off and self._held:
            held = self._held[0]
            if held.tick > self.state.archived or held.undelivered.any():
                break
            # The archive was written without these.
            self._lose(held.remove(np.flatnonzero(held.refused)))
            self._held.pop(0)
            if len(held.numbers):
                yield held
            else:
                self._late_untold += held.late
        self.viewers.sweep(self._held[0].tick if self._held else self._current.tick)

    def give_up(self) -> None:
        """Let go of all that was heard, as late: nobody will say any more what became of it."""
        for held in self._held:
            self._lose(held.speakers)
        self._lose(self._current.speakers)
        self._held.clear()
        self._current = Hearing(
            self._current.tick, self.viewers.numbers_end, several_streams=self._several
        )

    def unset(self, held: HeldTick) -> dict[int, str]:
        """Return the viewers of a settled tick whose heartbeats set no bit in it.

        number -> why: a break that was lost before stands there instead; or they have no index, as they
        never watched before this break, or there is no room for one more viewer.
        """
        numbers, effects = held.numbers[held.unregistered], held.effects[held.unregistered]
        return {
            number: "full" if what & QUALIFIES else "no-presence"
            for number, what in zip(numbers.tolist(), effects.tolist(), strict=True)
        } | dict.fromkeys(held.numbers[held.withheld].tolist(), "break-lost")

    @property
    def waiting(self) -> bool:
        """True while anything heard is not acknowledged."""
        return bool(self._held or self._current.seqs or self._current.shut)

    @property
    def over(self) -> bool:
        """True when the event is closed and everything up to its close is archived."""
        return bool(self.state.close) and self.state.archived >= self.state.close

    def uncertain(self, now_us: int) -> bool:
        """Tell whether what the store told last is to be doubted."""
        if self.cut_off or self.state.uncertain:
            return True
        behind = self.clock.now_us(now_us) // 1_000_000 - self.state.archived
        return behind > self._settings.seal_lag_s + self._settings.uncertain_after_s

    # --- Inside -----------------------------------------------------------------------------------

    def _judge(self, *, behind: bool) -> None:
        """Say whether heartbeats of the current tick can count."""
        state, tick = self.state, self._current.tick
        if not state.open or behind:
            self.closed_because = "not-ready"
        elif tick < state.open:
            self.closed_because = "not-open"
        elif state.close and tick > state.close:
            self.closed_because = "closed"
        else:
            self.closed_because = ""

    def _through(self) -> int | None:
        return self._current.tick - 1 if self.clock.ready else None

    def _plain(self, delivered: int | None) -> Flush:
        boot = f"{self._boot}+{self._gave_up}" if self._gave_up else self._boot
        return Flush(self.state.epoch, self._node, boot, delivered)

    def _take_fence(self, epoch: int) -> Outcome:
        if epoch <= self.state.epoch:
            return Outcome.PAUSE
        self.state = replace(self.state, epoch=epoch)
        self._out_of_reach = set(range(self.listed.buckets))
        self._timing.forget()
        self.viewers.forget_indices()
        for held in self._held:
            held.undelivered[:] = True
            held.refused[:] = False
        return Outcome.GO_ON

    def _take_part(self, part: Part, held: HeldTick, flushed: Flushed) -> Outcome:
        state = flushed.state
        if held not in self._held:
            # Given up while its flush was on the way; its heartbeats are told as late already.
            return Outcome.GO_ON
        if state.status is Status.OUTSIDE and not (state.close and held.tick > state.close):
            # In the future, or far ahead of the archive: it may be taken later.
            return Outcome.PAUSE
        places, strangers = part.places_now(held)
        if state.status is Status.LATE:
            # Unless another epoch comes before the tick is archived: then it is tried again. A break does
            # not wait for that.
            held.undelivered[places], held.refused[places] = False, True
            self._carry(held.breaking(places), held.tick)
            return Outcome.PAUSE if part.last else Outcome.GO_ON
        if state.status is not Status.OK:  # after the close
            self._lose(held.remove(places))
            if not len(held.numbers):
                self._forget(held)
            return Outcome.PAUSE if part.last else Outcome.GO_ON
        indices = np.array(flushed.indices, np.int32)
        self.viewers.index[held.numbers[strangers]] = indices
        # Unless a break took the place of what was delivered meanwhile.
        held.undelivered[places] = part.changed(held, places)
        held.unregistered[places], held.refused[places] = False, False
        held.unregistered[strangers] = indices < 0
        return Outcome.PAUSE if part.last else Outcome.GO_ON

    def _give_up_what_was_misheard(self) -> None:
        """Give up all that was heard by another time than that of the new epoch.

        Nobody knows into which ticks it belongs; in those it is in, people would count who may be gone.
        """
        self._gave_up += 1
        misheard, current = [*self._held], self._current
        for held in misheard:
            self._lose(held.speakers)
            self._forget(held)
        self._lose(current.speakers)
        self._current = Hearing(
            current.tick, self.viewers.numbers_end, several_streams=self._several
        )
        self._current.shut |= current.shut | set(positions(_bits(current.breaks)).tolist())
        for held in misheard:
            self._carry(held.breaking(np.arange(len(held.numbers))), held.tick)

    def _carry(self, numbers: Numbers, tick: int) -> None:
        """Carry breaks that were lost in this tick over to the next one there is."""
        if not len(numbers):
            return
        for number in numbers.tolist():
            self.viewers.keep(number, self._current.tick)
        later = next((held for held in self._held if held.tick > tick), None)
        if later is not None:
            later.shut(numbers)
        elif not self.state.close or self._current.tick <= self.state.close:
            self._current.shut.update(numbers.tolist())

    def _lose(self, speakers: list[Speaker]) -> None:
        for speaker in speakers:
            speaker.late += 1
        self.late_total += len(speakers)
        self._late_untold += len(speakers)

    def _forget(self, held: HeldTick) -> None:
        self._held.remove(held)
        self._late_untold += held.late

    def _give_up_the_oldest(self) -> None:
        settings = self._settings
        while self._held and (
            len(self._held) > settings.held_ticks_max
            or sum(held.size_bytes() for held in self._held) > settings.held_bytes_max
        ):
            oldest = self._held[0]
            if oldest.undelivered.any():
                # As if it had been restarted: the store tells the notary of a gap up to its return.
                self._gave_up += 1
            self._lose(oldest.speakers)
            self._forget(oldest)
            self._carry(oldest.breaking(np.arange(len(oldest.numbers))), oldest.tick)


def _bits(bitmap: bytearray) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes(bitmap), np.uint8)
