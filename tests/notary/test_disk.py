"""notary/disk and a disk that is full: nothing partial is seen, and the same goes on when there is room."""

from __future__ import annotations

import asyncio
import errno

import pytest

from streamcount.core.entries import GapEntry
from streamcount.core.event import ActRefusedError
from streamcount.notary import archive as archives
from streamcount.notary.archive import Archive
from streamcount.notary.disk import Disk, DiskFullError
from streamcount.notary.reading import ArchiveError, ArchiveReader
from tests.evidence.logs import definition
from tests.notary.test_notary import entries, holds, presences, watched
from tests.stack import Stack


class Filling(Disk):
    """A disk with so much room; the write that passes it is taken in part."""

    def __init__(self, room):
        self.room = room

    def _write_all(self, file, data):
        fits = data[: self.room]
        super()._write_all(file, fits)
        self.room -= len(fits)
        if len(fits) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")


def gap(number):
    return [(GapEntry("loss", f"number {number}", 1, 2), b"")]


@pytest.mark.parametrize("room", range(0, 420, 7))
def test_whatever_does_not_fit_changes_nothing_and_fits_later(tmp_path, room, monkeypatch):
    monkeypatch.setattr("streamcount.core.course.Course.take", lambda *_: None)
    folder = tmp_path / "lesson"
    archives.create(folder, definition(), "x")
    disk = Filling(room)
    archive = Archive(folder, lambda _: 1, disk)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    full = False
    try:
        archive.append(gap(1))
    except DiskFullError as error:
        full = True
        assert "No space left" in str(error)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        disk.room = 10_000
        archive.append(gap(1))
    needed = sum(path.stat().st_size for path in folder.iterdir() if path.name == "checkpoint")
    needed += (folder / "segment").stat().st_size - len(before["segment"])
    assert full == (room < needed)
    archive.close()
    assert ArchiveReader(folder).refresh().size == archive.size


def test_a_new_event_without_room_leaves_nothing_behind(tmp_path):
    with pytest.raises(
        ArchiveError, match="cannot make the archive of event lesson: No space left"
    ):
        archives.create(tmp_path / "lesson", definition(), "x", Filling(200))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
async def test_counting_goes_on_while_the_disk_is_full_and_nothing_heard_is_lost(valkey, tmp_path):
    async with Stack(valkey, tmp_path) as stack:
        notary = await stack.open_event()
        kept = []

        async def full_for_a_while():
            notary.archive.disk.room = 0
            await stack.until(lambda: "No space left" in notary.health.trouble)
            with pytest.raises(ActRefusedError, match="Make room and try again"):
                await stack.desk.close("lesson")
            size = notary.archive.size
            await asyncio.sleep(3)
            assert notary.archive.size == size
            kept.append(stack.desk.counts("lesson")["uncertain"])
            notary.archive.disk.room = 10**9

        notary.archive.disk = Filling(10**9)
        acks = await watched(stack, 5, full_for_a_while)
        await stack.until(lambda: notary.health.trouble == "")
        assert set(acks) == presences(notary)
        assert len(acks) >= acks.sent - 1
        assert not [gap for gap in entries(notary, GapEntry) if gap.kind == "loss"]
        await stack.close_event()
        holds(notary, tmp_path)


async def test_a_checkpoint_that_did_not_fit_leaves_the_one_before(tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"the one before")
    with pytest.raises(DiskFullError):
        Filling(4).swap(path, b"the next one")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"the one before", [path])
