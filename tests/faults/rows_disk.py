"""Rows of the fault matrix: what may happen to the disk that the evidence is on."""

from __future__ import annotations

import re
import shutil
import time

from streamcount.config import Settings
from streamcount.notary.archive import Archive
from streamcount.notary.reading import ArchiveError
from tests.faults.trial import fill, injecting, need, row, small_disk

SETTINGS = Settings()


@row(12, "evidence disk full, for less than the hold")
def evidence_disk_full(trial):
    disk = trial.enter(small_disk(trial.folder / "data" / "events", 1024 * 1024))
    trial.begin()
    for _ in range(2 if trial.full else 1):
        before = trial.child("notary-0")
        filler = fill(disk)
        trial.injected()
        trial.until(lambda: "No space left" in (trial.counts() or {}).get("trouble", ""))
        archived, size = trial.counts()["archived"], trial.counts()["log_size"]
        time.sleep(6)
        counts = trial.counts()
        assert (counts["archived"], counts["log_size"]) == (archived, size), "shown, not archived"
        assert counts["uncertain"], "nothing is archived, and that is not said"
        assert not [p for p in (disk / trial.event).iterdir() if p.name.endswith(".new")]
        filler.unlink()
        trial.healed()
        assert trial.child("notary-0") == before, "the notary ended of a full disk"
    assert trial.load.acked_since(0) == trial.load.count


@row(12, "the whole data directory's disk full, metrics and all")
def data_disk_full(trial):
    disk = trial.enter(small_disk(trial.folder / "data", 4 * 1024 * 1024))
    trial.begin()
    before = dict(trial.service.told["children"])
    filler = fill(disk)
    trial.injected()
    time.sleep(6)
    filler.unlink()
    trial.healed()
    assert trial.service.told["children"] == before, "a process ended of a full disk"
    # What dies meanwhile is started again on a full disk.
    filler = fill(disk)
    trial.kill("notary-0")
    trial.kill("worker-0")
    log = trial.folder / "serve.log"
    trial.until(lambda: "service.json could not be written" in log.read_text())
    time.sleep(3)
    assert "status -7" not in log.read_text(), "a worker is killed for writing on a full disk"
    filler.unlink()
    trial.healed()


@row(13, "fsync fails with EIO (strace)")
def fsync_fails(trial):
    need("strace")
    trial.begin(STREAMCOUNT_RESTARTS_MAX="60")
    for number in (1, 2, 3) if trial.full else (1,):
        before = trial.child("notary-0")
        with injecting(before, f"fsync:error=EIO:when={number}", trial.folder / "strace"):
            trial.restarted("notary-0", before)
        trial.injected()
        trial.healed()
    assert "Input/output error" in (trial.folder / "serve.log").read_text()


@row(14, "evidence torn at every byte of its tail, and flipped under its checkpoint")
def torn_and_flipped(trial):
    """The event's own archive, damaged in copies while the service goes on."""
    trial.begin()
    folder = trial.service.data / "events" / trial.event
    first = trial.folder / "first"
    copy_archive(folder, first)
    time.sleep(3)
    later = trial.folder / "later"
    copy_archive(folder, later)
    whole, short = (later / "segment").read_bytes(), end_of(first)
    tail = range(short, min(len(whole), short + (1500 if trial.full else 300)))
    for at in tail:
        (first / "segment").write_bytes(whole[:at])
        opened = Archive(first, SETTINGS.recent_ticks)
        opened.close()
        assert (first / "segment").stat().st_size == short
        trial.injected()
    for at in range(0, short, 1 if trial.full else 23):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << at % 8
        (first / "segment").write_bytes(spoilt)
        try:
            Archive(first, SETTINGS.recent_ticks).close()
        except ArchiveError as error:
            found = re.search(r"segment: .*(offset (\d+)|its checkpoint)", str(error))
            assert found, error
            assert not found[2] or int(found[2]) <= at, f"byte {at} was spoilt: {error}"
        else:
            raise AssertionError(f"byte {at} was spoilt, and nothing said so")
        trial.injected()


def copy_archive(folder, to):
    """Copy an archive that is being written; the checkpoint first, so that the segment covers it."""
    to.mkdir()
    shutil.copy(folder / "checkpoint", to)
    for name in ("segment", "signing.key", "pseudonym.key"):
        shutil.copy(folder / name, to)


def end_of(folder):
    """Where the entries that the checkpoint covers end."""
    opened = Archive(folder, SETTINGS.recent_ticks)
    opened.close()
    return (folder / "segment").stat().st_size


@row(21, "evidence put back from an old backup while the notary is down")
def old_backup(trial):
    trial.begin()
    folder = trial.service.data / "events" / trial.event
    old, newer = trial.folder / "old", trial.folder / "newer"
    copy_archive(folder, old)
    time.sleep(6)
    while_down(trial, ["notary-0"], lambda: (folder.rename(newer), shutil.copytree(old, folder)))
    trial.until(lambda: "older copy" in (trial.counts() or {}).get("trouble", ""))
    size = trial.counts()["log_size"]
    time.sleep(2)
    counts = trial.counts()
    assert counts["uncertain"]
    assert counts["log_size"] == size, "it wrote on"
    while_down(trial, ["notary-0"], lambda: (shutil.rmtree(folder), newer.rename(folder)))
    trial.healed()


@row(21, "evidence from an old backup, and an empty store; a later checkpoint was kept")
def old_backup_and_kept_checkpoint(trial):
    kept = trial.folder / "kept"
    kept.mkdir()
    trial.begin(STREAMCOUNT_KEPT_CHECKPOINTS=str(kept))
    folder = trial.service.data / "events" / trial.event
    old, newer = trial.folder / "old", trial.folder / "newer"
    copy_archive(folder, old)
    time.sleep(6)
    shutil.copy(folder / "checkpoint", kept / "from-a-judge")
    down = ["notary-0", "store"]
    while_down(trial, down, lambda: (folder.rename(newer), shutil.copytree(old, folder)))
    trial.until(lambda: "broken" in str(events_of(trial)))
    assert "from-a-judge" in str(events_of(trial)), events_of(trial)
    while_down(trial, down, lambda: (shutil.rmtree(folder), newer.rename(folder)))
    trial.healed()


def events_of(trial):
    try:
        return trial.service.api("/api/events")
    except (OSError, ValueError):
        return None


def while_down(trial, names, do):
    """Kill children of the service, and do something before they are started again."""
    before = {name: trial.child(name) for name in names}
    with trial.paused(trial.service.process.pid):
        for name in names:
            trial.kill(name)
        for process in before.values():
            until_gone(process)
        do()
    for name, process in before.items():
        trial.restarted(name, process)


def until_gone(process):
    for _ in range(200):
        try:
            with open(f"/proc/{process}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except FileNotFoundError:
            return
        time.sleep(0.02)
