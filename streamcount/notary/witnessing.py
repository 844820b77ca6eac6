"""Having others see the log while an event runs: witnesses cosign its checkpoints, authorities time them.

One `Witnessing` an event, tasks of the notary's process that counting never waits for. There is one
checkpoint at a time that everybody is asked about, so that enough witnesses see the same one:

    wanted   the first after opening; after the close; after each claim; after a new peak, at most every
             `peak_pause_s`. Always the latest checkpoint there is: what was wanted meanwhile is in it
    asked    each witness with an address and each authority by a task of its own, again and again, ever
             more slowly, until it has answered or another checkpoint is wanted
    taken    what witnesses sent by themselves (incoming.py), of whatever checkpoint of this history
    kept     what verifies, and nothing else (keeping.py)

A notary that starts again finds what is kept, and goes on. What is final is asked about for `give_up_s`. A
checkpoint that the log's own key signed, and that is not of this history, stops the event (forking.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamcount.core.trust import EARLY_S_MAX
from streamcount.notary import forking, incoming
from streamcount.notary.asking import Asking, AwayError
from streamcount.notary.disk import DiskFullError
from streamcount.notary.keeping import Kept
from streamcount.notary.notary import Notary
from streamcount.notary.reading import ArchiveError, ArchiveReader
from streamcount.notary.witnesses import Asked, ContradictionError
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note, timestamp

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The checkpoint that everybody is asked about now, and the latest tick it covers."""

    signed: bytes
    point: cp.Checkpoint
    tick: int | None


@dataclass(slots=True)
class Party:
    """A witness or an authority. `trouble`: why it has not answered; `seen`: entries of the log."""

    name: str
    kind: str
    trouble: str = ""
    seen: int = 0


class Witnessing:
    """Has others see the log of one event."""

    def __init__(self, notary: Notary, asking: Asking, stop: Callable[[str], None]) -> None:
        """`stop` ends the counting of an event, of which there is another history."""
        self._notary = notary
        self._asking = asking
        self._settings = asking.settings
        self._stop = stop
        archive, self._trust = notary.archive, notary.event.trust
        self._folder: Path = archive.folder
        self._disk = archive.disk
        self._verifier = archive.signer.verifier
        keys = [note.parse_witness(one.key) for one in self._trust.witnesses]
        self._kept = Kept(self._folder, self._verifier, keys, self._disk)
        self.witnesses = [Party(one.name, "witness") for one in keys]
        self.authorities = [Party(one.name, "authority") for one in self._trust.authorities]
        self.trouble = ""
        self._reader: ArchiveReader | None = None
        self._wanted: Wanted | None = None
        # What was there when that was wanted, and when (monotonic).
        self._known: tuple[bool, int, bool, object] = (False, 0, False, None)
        self._wanted_at = float("-inf")
        self._final_since: float | None = None
        # Files are written by one at a time.
        self._turn = asyncio.Lock()

    # --- What is shown of it ------------------------------------------------------------------------

    def as_dict(self) -> dict[str, Any]:
        """Return how it stands, for operators: sizes are entries of the log."""
        # A copy: a thread may be keeping another one.
        quorum, points = self._trust.quorum, list(self._kept.points.values())
        witnessed = [one.point.size for one in points if quorum and len(one.times) >= quorum]
        parties = [*self.witnesses, *self.authorities]
        return {
            "wanted": None if self._wanted is None else self._wanted.point.size,
            "witnessed": max(witnessed, default=0),
            "timed": max((one.seen for one in self.authorities), default=0),
            "parties": [
                {"name": one.name, "kind": one.kind, "seen": one.seen, "trouble": one.trouble}
                for one in parties
            ],
            "trouble": self.trouble,
        }

    # --- For as long as the notary lives ------------------------------------------------------------

    async def run(self) -> None:
        """Go on until cancelled. Whatever fails here is told and tried again, and stops nobody else."""
        async with asyncio.TaskGroup() as tasks:
            # Without what is kept, a bare checkpoint could be written over one that has its quorum.
            loaded = await self._tried(self._load)
            while not loaded:
                await asyncio.sleep(self._settings.retry_first_s)
                loaded = await self._tried(self._load)
            for number, witness in enumerate(self._trust.witnesses):
                if witness.url:
                    asked = Asked(self._asking, self._kept.witnesses[number], witness.url)
                    party = self.witnesses[number]
                    tasks.create_task(self._serve(party, _bound(self._cosign, number, asked)))
            for number, authority in enumerate(self._trust.authorities):
                if authority.url:
                    party = self.authorities[number]
                    work = _bound(self._stamp, authority.name, authority.url)
                    tasks.create_task(self._serve(party, work))
            while not self._notary.log.stopped:
                await self._tried(self._look)
                settings, idle = self._settings, self._is_idle()
                await asyncio.sleep(settings.idle_look_s if idle else settings.look_s)

    def _is_idle(self) -> bool:
        """Tell whether there is nobody to ask, or nothing left to ask them."""
        parties = [*self.witnesses, *self.authorities]
        if self._wanted is None or self._final_since is None:
            return not parties
        size = self._wanted.point.size
        return self._gave_up() or all(one.seen >= size for one in parties)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            await work()
            self.trouble = ""
        except (OSError, ArchiveError, DiskFullError, note.NoteError) as error:
            if self.trouble != str(error):
                _log.warning("event %s: witnessing: %s", self._notary.event.id, error)
            self.trouble = str(error)
            return False
        return True

    async def _load(self) -> None:
        await self._asking.apart(self._kept.load)
        self._note_seen()

    def _note_seen(self) -> None:
        for number, party in enumerate(self.witnesses):
            party.seen = self._kept.cosigned(number)
        for party in self.authorities:
            party.seen = self._kept.timed(party.name)

    # --- What is wanted -----------------------------------------------------------------------------

    async def _look(self) -> None:
        """Take what came by itself, and see whether another checkpoint is wanted."""
        try:
            if (self._folder / incoming.INCOMING).is_dir():
                async with self._turn:
                    self._stop_for(await self._asking.apart(self._take_incoming))
        finally:
            # A file that cannot be taken keeps nobody from being asked.
            await self._want()

    async def _want(self) -> None:
        course, now = self._notary.course, time.monotonic()
        if course.claim is not None and self._known[3] != course.claim:
            self._final_since = now
        told = (course.first is not None, course.peak.count, course.close is not None, course.claim)
        at_once = told[0] and (told[0], *told[2:]) != (self._known[0], *self._known[2:])
        peak = told[1] != self._known[1] and now >= self._wanted_at + self._settings.peak_pause_s
        if not (at_once or peak) or not (self.witnesses or self.authorities):
            return
        self._wanted = await self._asking.apart(self._latest)
        self._known, self._wanted_at = told, now

    def _latest(self) -> Wanted:
        reader = self._reading()
        point = reader.refresh()
        signed = reader.signed
        incoming.want(self._folder, signed, self._disk)
        return Wanted(signed, point, reader.tick_at(point.size))

    def _reading(self) -> ArchiveReader:
        if self._reader is None:
            self._reader = ArchiveReader(self._folder)
        return self._reader

    def _take_incoming(self) -> str | None:
        """Keep what came; return why the event has to stop, if it has to."""
        failed: Exception | None = None
        for path, number in incoming.waiting(self._folder):
            try:
                why = self._take_one(path, number)
                if why is not None:
                    return why  # no other file is worth the time
                path.unlink(missing_ok=True)
            except (OSError, ArchiveError, DiskFullError) as error:
                failed = failed or error  # it stays, and the others have their turn
        self._note_seen()
        if failed is not None:
            raise failed
        return None

    def _take_one(self, path: Path, number: int | None) -> str | None:
        signed = path.read_bytes()
        try:
            if number is None:
                return self._judge(signed)
            if number < len(self.witnesses):
                self._take_line(signed, number)
        except note.NoteError as error:
            _log.warning("event %s: %s: %s", self._notary.event.id, path.name, error)
        return None

    def _take_line(self, signed: bytes, number: int) -> None:
        reader = self._reading()
        point = cp.open_checkpoint(signed, self._verifier)
        if not incoming.of_this_history(reader, point) or self._is_full(point.size):
            return
        text, lines = note.split(signed)
        alone = f"{text}\n".encode() + note.line_of(*lines[0])
        self._kept.add_line(alone, number, lines[1])
        self.witnesses[number].trouble = ""

    def _is_full(self, size: int) -> bool:
        """Tell whether no more checkpoints are kept; that of the latest claim always is."""
        final = self._notary.course.claim is not None and size == self._reading().checkpoint.size
        full = len(self._kept.points) >= self._settings.kept_max
        return full and size not in self._kept.points and not final

    def _judge(self, shown: bytes) -> str | None:
        """Return why the event has to stop, if this is a checkpoint by its key of another history."""
        return forking.judge(self._reading(), shown, self._disk)

    def _stop_for(self, why: str | None) -> None:
        if why is not None:
            self._stop(why)

    # --- Those who are asked ------------------------------------------------------------------------

    async def _serve(self, party: Party, ask: Callable[[Wanted], Awaitable[None]]) -> None:
        """Ask one party about whatever is wanted."""
        pause_s = self._settings.retry_first_s
        while not self._notary.log.stopped:
            wanted = self._wanted
            if wanted is None or party.seen >= wanted.point.size or self._gave_up():
                done = wanted is not None and self._final_since is not None
                await asyncio.sleep(self._settings.idle_look_s if done else self._settings.look_s)
                continue
            try:
                async with self._asking.turns:
                    await ask(wanted)
                party.trouble, pause_s = "", self._settings.retry_first_s
            except AwayError as error:
                self._tell(party, str(error))
                if isinstance(error, ContradictionError):
                    await self._tried(_bound(self._judge_all, error.shown))
            except (OSError, ArchiveError, DiskFullError, note.NoteError) as error:
                self._tell(party, f"could not be kept: {error}")
            if party.trouble:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._settings.retry_most_s)

    def _tell(self, party: Party, trouble: str) -> None:
        if party.trouble != trouble:
            said = (self._notary.event.id, party.kind, party.name, trouble)
            _log.warning("event %s: %s %s: %s", *said)
        party.trouble = trouble

    def _gave_up(self) -> bool:
        since = self._final_since
        return since is not None and time.monotonic() > since + self._settings.give_up_s

    async def _judge_all(self, shown: list[bytes]) -> None:
        for one in shown:
            self._stop_for(await self._asking.apart(self._judge, one))

    async def _cosign(self, number: int, asked: Asked, wanted: Wanted) -> None:
        if self._is_full(wanted.point.size):
            raise AwayError(f"{self._settings.kept_max} checkpoints are kept, which is the most")
        old = min(self._kept.cosigned(number), wanted.point.size)
        line = await asked.cosignature(wanted.signed, old, self._reading().proof)
        async with self._turn:
            await self._asking.apart(self._kept.add_line, wanted.signed, number, line)
        self._note_seen()

    async def _stamp(self, name: str, url: str, wanted: Wanted) -> None:
        if self._is_full(wanted.point.size):
            raise AwayError(f"{self._settings.kept_max} checkpoints are kept, which is the most")
        text = wanted.point.text()
        request, nonce = timestamp.make_request(text)
        status, token = await self._asking.ask("POST", url, request, "application/timestamp-query")
        if status != 200:
            raise AwayError(f"answered with status {status}")
        async with self._turn:
            await self._asking.apart(self._keep_token, wanted, name, token, nonce)
        self._note_seen()

    def _keep_token(self, wanted: Wanted, name: str, token: bytes, nonce: int) -> None:
        try:
            root = timestamp.parse_root((self._folder / f"trust/{name}.pem").read_bytes())
        except timestamp.TokenError as error:
            # Of this authority alone: nobody else is asked the less for it.
            raise AwayError(f"trust/{name}.pem cannot be used: {error}") from error
        try:
            when = timestamp.check_token(token, wanted.point.text(), root, nonce=nonce)
        except timestamp.TokenError as error:
            raise AwayError(f"answered with a token that is none: {error}") from error
        if wanted.tick is not None and when < wanted.tick + 1 - EARLY_S_MAX:
            early_s = wanted.tick + 1 - when
            raise AwayError(
                f"its clock is {early_s} s behind event time: one of the two is wrong, and such a token "
                f"would say that the log was written in advance"
            )
        self._kept.add_token(wanted.signed, name, token)


def _bound(work: Callable[..., Awaitable[None]], *given: Any) -> Callable[..., Awaitable[None]]:
    return lambda *more: work(*given, *more)
