"""All events of one data directory, each with its notary, and the directory workers read.

    <data>/events/<event>/     one archive each (reading.py)

An archive that cannot be opened makes its own event unusable, loudly, and no other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from streamcount.config import PlatformSettings, Settings
from streamcount.core.bucket import BucketError, NotarysBucket
from streamcount.core.event import ActRefusedError, Event
from streamcount.core.listing import Listed
from streamcount.notary import archive as archives
from streamcount.notary import forking
from streamcount.notary.archive import Archive
from streamcount.notary.asking import Asking
from streamcount.notary.drain import DisagreementError
from streamcount.notary.kept import check_reached
from streamcount.notary.log import StoppedError
from streamcount.notary.notary import Notary
from streamcount.notary.pages import KeepsTraces, PageTests
from streamcount.notary.polling import Poller, Polling
from streamcount.notary.reading import ArchiveError
from streamcount.notary.software import software
from streamcount.notary.witnessing import Witnessing

_log = logging.getLogger(__name__)


class ListsEvents(KeepsTraces, Protocol):
    """Where workers look events up, from the side that writes it. May raise BucketError."""

    async def publish(self, events: dict[str, Listed], version: str) -> None:
        """Make sure that workers find this version."""
        ...


class Events:
    """The notaries of one data directory."""

    def __init__(
        self,
        settings: Settings,
        buckets_of: Callable[[Listed], Sequence[NotarysBucket]],
        directory: ListsEvents,
        polling: Polling | None = None,
        asking: Asking | None = None,
    ) -> None:
        """Open nothing yet.

        `polling`: the platforms that can be asked; without it, none can. `asking`: how witnesses and
        authorities are.
        """
        self.notaries: dict[str, Notary] = {}
        # Of the events that have streams on platforms.
        self.pollers: dict[str, Poller] = {}
        self.witnessings: dict[str, Witnessing] = {}
        # Event id -> why its archive cannot be used.
        self.broken: dict[str, str] = {}
        self.tests = PageTests(settings, directory)
        self._settings = settings
        self._buckets_of = buckets_of
        self._directory = directory
        self.polling = polling or Polling([], PlatformSettings())
        self.asking = asking or Asking()
        self._folder = settings.data / "events"
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # Another one in every life, so that workers look again whenever a notary has started.
        self._life = secrets.token_hex(4)

    def folder(self, event_id: str) -> Path:
        """Return where an event's archive is, or would be."""
        return self._folder / event_id

    def load(self) -> None:
        """Open the archives that are there.

        Raises:
            ArchiveError: the data directory cannot be made or read, or this program's files.
        """
        try:
            # Read now: no claim may fail for it when its event is over.
            software()
        except OSError as error:
            raise ArchiveError(f"the program's own files cannot be read: {error}") from error
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            folders = sorted(f for f in self._folder.iterdir() if not f.name.startswith("."))
        except OSError as error:
            msg = f"{self._folder}: cannot be used as data directory: {error.strerror}"
            raise ArchiveError(msg) from error
        until = time.monotonic() + self._settings.takeover_s
        for folder in folders:
            try:
                self._wait_for_turn(folder, until)
                self._add(folder)
            except ArchiveError as error:
                _log.critical("event %s cannot be used: %s", folder.name, error)
                self.broken[folder.name] = str(error)

    def create(self, event: Event, roots: Mapping[str, bytes]) -> Notary:
        """Make a new event. `roots`: its authorities' root certificates, by their names.

        Raises:
            ActRefusedError: there is one of this id, or there are too many.
            EventError: a stream's platform cannot be asked.
            ArchiveError: its archive cannot be made.
        """
        if event.id in self.notaries or event.id in self.broken:
            raise ActRefusedError(f"there is an event {event.id} already; ids are never used twice")
        if len(self.notaries) >= self._settings.events_max:
            raise ActRefusedError(f"there are {self._settings.events_max} events already")
        self.polling.check(event)
        archives.create(self.folder(event.id), event, self._settings.origin_prefix, roots=roots)
        notary = self._add(self.folder(event.id))
        self._start(event.id)
        return notary

    async def run(self) -> None:
        """Run every notary and keep the directory as it should be, until cancelled.

        Raises:
            ArchiveError, OSError: an archive cannot be written any more; the process has to end.
        """
        for event_id in self.notaries:
            self._start(event_id)
        while True:
            await self._publish()
            for task in [t for t in self._tasks.values() if t.done()]:
                task.result()
            await asyncio.sleep(self._settings.directory_poll_s)

    async def begin_test(self, event_id: str) -> dict[str, Any]:
        """Begin a test of a page, and return it when workers have had the time to learn of its code.

        Raises:
            ActRefusedError: the store cannot be reached.
        """
        begun = await self.tests.begin(event_id)
        await self._publish()
        await asyncio.sleep(2 * self._settings.directory_poll_s)
        return begun

    async def close(self) -> None:
        """End every notary between two of its steps, and let go of every archive."""
        for notary in self.notaries.values():
            await notary.rest()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self.polling.close()
        await self.asking.close()
        for notary in self.notaries.values():
            notary.archive.close()

    def _wait_for_turn(self, folder: Path, until: float) -> None:
        """Give the notary before this one, which may be ending, time to let go of an archive."""
        while time.monotonic() < until and archives.is_locked(folder):
            time.sleep(self._settings.notary_poll_s)

    def _add(self, folder: Path) -> Notary:
        forked = forking.found(folder)
        if forked is not None:
            raise ArchiveError(forked)
        kept = self._settings.kept_checkpoints
        if kept is not None:
            check_reached(folder, kept, self._settings.kept_files_max)
        opened = Archive(folder, self._settings.recent_ticks)
        entry = opened.restored.course.event
        if entry is None or entry.event.id != folder.name:
            opened.close()
            whose = "no event" if entry is None else f"event {entry.event.id}"
            raise ArchiveError(
                f"{folder}: the archive of {whose}, in a folder of another name. If it is a copy, move it "
                f"out of {self._folder}: two notaries must never write one log"
            )
        notary = Notary(opened, self._buckets_of, self._settings)
        self.notaries[notary.event.id] = notary
        stop = partial(self._stop, notary)
        self.witnessings[notary.event.id] = Witnessing(notary, self.asking, stop)
        if notary.event.on_platforms and notary.course.claim is None:
            self.pollers[notary.event.id] = Poller(notary, self.polling)
        return notary

    def _start(self, event_id: str) -> None:
        if event_id not in self._tasks:
            self._tasks[event_id] = asyncio.create_task(self._count(event_id))
            poller = self.pollers.get(event_id)
            if poller is not None:
                self._tasks[f"{event_id}, platforms"] = asyncio.create_task(poller.run())
            self._tasks[f"{event_id}, witnesses"] = asyncio.create_task(self._witness(event_id))

    async def _witness(self, event_id: str) -> None:
        """Have others see the log. Whatever goes wrong there is told, and costs no count."""
        while True:
            try:
                return await self.witnessings[event_id].run()
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException:  # noqa: BLE001 (a library's panic is no Exception; counting goes on)
                _log.exception("event %s: witnessing failed, and begins again", event_id)
                await asyncio.sleep(self.asking.settings.retry_most_s)

    def _stop(self, notary: Notary, why: str) -> None:
        """Stop an event of which there is another history."""
        _log.critical("event %s: STOPPED: %s", notary.event.id, why)
        if notary.event.id in self.pollers:
            self.pollers[notary.event.id].stop()
        notary.stop(why)

    async def _count(self, event_id: str) -> None:
        notary = self.notaries[event_id]
        try:
            await notary.run()
        except (DisagreementError, StoppedError) as error:
            _log.critical("event %s: stopped: %s", event_id, error)
            notary.health.trouble = f"stopped: {error}"
            if event_id in self.pollers:
                self.pollers[event_id].stop()

    async def _publish(self) -> None:
        listed = {
            name: replace(notary.listed(), tests=self.tests.codes(name))
            for name, notary in self.notaries.items()
        }
        stages = "".join(
            f"{name}:{','.join((one.state, f'{one.peak}', *one.tests))};"
            for name, one in sorted(listed.items())
        )
        try:
            await self._directory.publish(listed, f"{self._life};{stages}")
        except BucketError as error:
            _log.debug("the directory could not be written: %s", error)
