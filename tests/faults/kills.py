"""Kills around every system call of the archive: what was reported durable is there afterwards.

    python -m tests.faults.kills --kills 1000 --seed 1

A child, forked from a warm parent, opens an archive with the notary's own writer on real files, and appends
entry after entry; after each append it reports size and root. By seed it ends in SIGKILL before, after, or
in the middle of one of its writes, fsyncs, truncations and renames; a share of the children is killed by
strace instead, when they enter a call. The parent then looks at what is there as it is (a killed process:
the kernel still has every write), or as a loss of power may leave it: of the segment anything between what
was fsynced and what was written, with the rest in doubt; the old or the new checkpoint if the folder was not
fsynced; a renamed file only as far as its own fsync. And it opens the archive again.

Violations: it cannot be opened; an entry that was reported is missing or another; a reader meets anything
partial; the checkpoint does not extend every earlier one; nothing can be appended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streamcount.config import Settings
from streamcount.notary import archive as archives
from streamcount.notary import disk as disks
from streamcount.notary.archive import Archive
from streamcount.notary.reading import ArchiveReader
from streamcount.tlog.merkle import Frontier
from tests.evidence.logs import Author, definition
from tests.faults.trial import need

SETTINGS = Settings()
BEFORE = 12  # entries in the archive that each child begins with
STEPS_MAX = 90  # crash points that a child passes before it is through, about
STRACED = ("fsync", "rename", "ftruncate", "write")
ENDED = "ended by itself"
POINTS = ("write", "write in part", "fsync", "truncate", "rename", "folder fsync", "unlink")


class Told:
    """What a child tells of its disk, in memory that outlives it.

    How much of the segment is fsynced, of the checkpoint's content, of checkpoint.new; how often a new
    checkpoint was renamed into place, and how many of these renames a folder's fsync has made durable;
    where the child was killed, and whether before the call or after.
    """

    FIELDS = ("segment", "checkpoint", "new", "renames", "named", "point", "after")

    def __init__(self):
        self._memory = mmap.mmap(-1, 8 * len(self.FIELDS))

    def __getitem__(self, name):
        return struct.unpack_from("q", self._memory, 8 * self.FIELDS.index(name))[0]

    def __setitem__(self, name, value):
        struct.pack_into("q", self._memory, 8 * self.FIELDS.index(name), value)


class Crashing:
    """Stands around the system calls of notary/disk.py; kills this process at the given one of them.

    `left_out`: an fsync that is not done, to see that it would be noticed.
    """

    def __init__(self, told, kill_at, draw, left_out=""):
        self.told, self._kill_at, self._draw = told, kill_at, draw
        self._left_out = left_out
        self._step = 0

    def install(self):
        crashing, real_fsync, real_rename, real_unlink = self, os.fsync, Path.rename, Path.unlink

        class File(disks.FileIO):
            def write(self, data):
                if crashing.is_next():
                    super().write(data[: crashing._draw.randrange(len(data))])
                    crashing.passed("write in part", 1)
                with crashing.around("write"):
                    return super().write(data)

            def truncate(self, size=None):
                with crashing.around("truncate"):
                    return super().truncate(size)

        def fsync(handle):
            name = Path(os.readlink(f"/proc/self/fd/{handle}")).name
            folder = os.path.isdir(f"/proc/self/fd/{handle}")
            with crashing.around("folder fsync" if folder else "fsync"):
                if crashing._left_out != ("folder" if folder else name):
                    real_fsync(handle)
                    crashing.synced("folder" if folder else name, os.fstat(handle).st_size)

        def rename(path, target):
            with crashing.around("rename"):
                points = path.parent.with_name("points")
                if path.suffix == ".new" and points.exists():
                    # For the parent, who may put an earlier one back.
                    shutil.copy(path, points / str(crashing.told["renames"] + 1))
                real_rename(path, target)
                crashing.told["renames"] += 1
                crashing.told["checkpoint"] = crashing.told["new"]

        def unlink(path, missing_ok=False):  # noqa: FBT002
            with crashing.around("unlink"):
                return real_unlink(path, missing_ok)

        disks.FileIO = File
        os.fsync = fsync
        Path.rename, Path.unlink = rename, unlink

    def is_next(self):
        """Tell whether the step to come is the one."""
        return self._step + 1 == self._kill_at and self._draw.random() < 0.5

    @contextlib.contextmanager
    def around(self, point):
        self.passed(point, 0)
        yield
        self.passed(point, 1)

    def passed(self, point, after):
        self._step += 1
        if self._step == self._kill_at or point == "write in part":
            self.told["point"], self.told["after"] = POINTS.index(point) + 1, after
            os.kill(os.getpid(), signal.SIGKILL)

    def synced(self, name, size):
        if name == "segment":
            self.told["segment"] = size
        elif name == "checkpoint.new":
            self.told["new"] = size
        elif name == "folder":
            self.told["named"] = self.told["renames"]


class Ground:
    """A warm start for every child: an archive with some entries, and those to append."""

    def __init__(self, folder):
        self.folder = folder
        self.items = []
        author = Author(folder / "whole", definition(window=7, interval=1))
        real, whole = author.archive.append, self.items
        author.archive.append = lambda items: (whole.extend(items), real(items))
        author.open()
        draw = random.Random(1)
        for number in range(80):
            new = [0] * draw.randint(0, 3)
            present = [v for v in range(author.viewers + len(new)) if draw.random() < 0.8]
            author.tick(
                present=present, broke=[0] * (number % 9 == 3 and author.viewers > 0), new=new
            )
        author.archive.close()
        # The first of them is where every child begins: the same event, with fewer ticks.
        self.start = folder / "start"
        archives.create(self.start, definition(window=7, interval=1), "streamcount.invalid")
        opened = Archive(self.start, SETTINGS.recent_ticks)
        opened.append(self.items[:BEFORE])
        opened.close()
        self.items = self.items[BEFORE:]
        self.torn = (folder / "whole" / "segment").read_bytes()[-400:]


def live(folder, ground, report, batches):
    """Be the child: append and report, until killed or through."""
    opened = Archive(folder, SETTINGS.recent_ticks)
    os.write(report, _line(opened))
    at = opened.size - BEFORE - 1
    for many in batches:
        opened.append(ground.items[at : at + many])
        at += many
        os.write(report, _line(opened))
    opened.close()


def _line(opened):
    return f"{opened.size} {opened.root.hex()}\n".encode()


class Creation:
    """A child that is killed while it makes a new archive: that is there whole, or not at all."""

    power_lost = False

    def __init__(self, folder, seed):
        self.folder, self.seed, self.told = folder, seed, Told()

    def run(self):
        draw = random.Random(self.seed)
        kill_at = draw.randint(1, 32)
        child = os.fork()
        if child == 0:
            Crashing(self.told, kill_at, draw).install()
            archives.create(self.folder, definition(), "streamcount.invalid")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        self.how = killed_where(self.told, "making an archive: ") if status else ENDED
        self.hows = [self.how] if status else []

    def violation(self):
        found = sorted(path.name for path in self.folder.parent.iterdir())
        whole = self.folder.exists()
        for name in found:
            if name.startswith(f".{self.folder.name}."):
                shutil.rmtree(self.folder.parent / name)
        if whole:
            Archive(self.folder, SETTINGS.recent_ticks).close()
            shutil.rmtree(self.folder)
        return "" if whole or self.how != ENDED else "an archive that was made is not there"


def killed_where(told, before=""):
    """Say where a child killed itself; empty when it was not itself that did."""
    if not told["point"]:
        return ""
    point = POINTS[told["point"] - 1]
    if point == "write in part":
        return f"{before}in the middle of a write"
    return f"{before}{'after' if told['after'] else 'before'} {point}"


class Kill:
    """One child's life and what it left."""

    def __init__(self, ground, folder, seed, left_out=""):
        self.ground, self.folder, self.seed = ground, folder, seed
        self.draw = random.Random(seed)
        self.told = Told()
        self.how = ENDED
        # Where each of its lives was killed.
        self.hows = []
        self.power_lost = False
        self.reported = []
        self._left_out = left_out

    def run(self, straced):
        """Up to three lives, one after the other, each killed."""
        shutil.copytree(self.ground.start, self.folder)
        self.points = self.folder.with_name("points")
        self.points.mkdir()
        shutil.copy(self.folder / "checkpoint", self.points / "0")
        if self.draw.random() < 0.3:
            # An earlier life was killed, too.
            with (self.folder / "segment").open("ab") as file:
                file.write(self.ground.torn[: self.draw.randrange(400)])
        self.told["segment"] = (self.ground.start / "segment").stat().st_size
        self.told["checkpoint"] = (self.folder / "checkpoint").stat().st_size
        for life in range(self.draw.choice((1, 1, 2, 3))):
            self._live(straced and life == 0)
            if self.how == ENDED:
                break
            self.hows.append(self.how)

    def _live(self, straced):
        call = self.draw.choice(STRACED) if straced else ""
        kill_at = 0 if straced else self.draw.randint(1, STEPS_MAX)
        batches = [self.draw.randint(1, 3) for _ in range(6)]
        self.told["point"] = 0
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_child(reading, writing, kill_at, batches, stop=straced)
        os.close(writing)
        if straced:
            self._straced(child, call)
        with os.fdopen(reading, "rb") as file:
            lines = file.read().splitlines()
        _, status = os.waitpid(child, 0)
        for line in lines:
            size, root = line.split()
            self.reported.append((int(size), bytes.fromhex(root.decode())))
        self.how = ENDED
        if os.WIFSIGNALED(status):
            self.how = killed_where(self.told) or f"entering {call}, by strace"
        elif status:
            raise AssertionError(f"seed {self.seed}: the child failed")

    def _be_child(self, reading, writing, kill_at, batches, *, stop):
        status = 1
        try:
            os.close(reading)
            Crashing(self.told, kill_at, self.draw, self._left_out).install()
            if stop:
                os.kill(os.getpid(), signal.SIGSTOP)
            live(self.folder, self.ground, writing, batches)
            status = 0
        finally:
            os._exit(status)

    def _straced(self, child, call):
        os.waitpid(child, os.WUNTRACED)
        command = [need("strace"), "-o", "/dev/null", "-e", f"trace={call}", "-p", str(child)]
        command += ["-e", f"inject={call}:signal=KILL:when={self.draw.randint(1, 12)}"]
        if call == "write":
            command += [
                "-P",
                str(self.folder / "segment"),
                "-P",
                str(self.folder / "checkpoint.new"),
            ]
        tracing = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        tracing.stderr.readline()
        os.kill(child, signal.SIGCONT)
        tracing.stderr.close()
        tracing.wait(30)

    def lose_power(self):
        """Leave of the files what a loss of power may leave."""
        self.power_lost = True
        # Not the child's own numbers again.
        draw = random.Random(f"power {self.seed}")
        segment, point = self.folder / "segment", self.folder / "checkpoint"
        written = segment.stat().st_size
        if written > self.told["segment"]:
            keep = draw.randint(self.told["segment"], written)
            data = segment.read_bytes()[:keep]
            if draw.random() < 0.5:
                doubt = draw.randint(self.told["segment"], keep)
                data = data[:doubt] + bytes(keep - doubt)
            segment.write_bytes(data)
        if self.told["checkpoint"] < point.stat().st_size:
            os.truncate(point, draw.randint(self.told["checkpoint"], point.stat().st_size))
        # Of the checkpoints renamed into place, any from the one on whose name is durable.
        back = draw.randint(self.told["named"], self.told["renames"])
        if back < self.told["renames"]:
            shutil.copy(self.points / str(back), point)

    def violation(self):
        """Return what is wrong with what is left, empty if nothing."""
        try:
            return self._look()
        except Exception as error:  # noqa: BLE001 (any is a violation)
            return f"{type(error).__name__}: {error}"

    def _look(self):
        shown = ArchiveReader(self.folder).refresh()
        opened = Archive(self.folder, SETTINGS.recent_ticks)
        try:
            if (opened.size, opened.root) != (shown.size, shown.root):
                return "a reader saw another log than the notary"
            durable = max((size for size, _ in self.reported), default=0)
            if opened.size < durable:
                return f"{durable} entries were durable, {opened.size} are there"
            roots = self._roots(opened.size)
            for size, root in self.reported:
                if roots[size] != root:
                    return f"the checkpoint of {size} entries is not extended"
            at = opened.size - BEFORE - 1
            opened.append(self.ground.items[at : at + 1])
            if ArchiveReader(self.folder).refresh().size != opened.size:
                return "an append after it is not seen"
        finally:
            opened.close()
        return ""

    def _roots(self, size):
        reader, tree, roots = ArchiveReader(self.folder), Frontier(), {}
        reader.refresh()
        for number, leaf in enumerate(reader.leaves(size), 1):
            tree.append(leaf)
            roots[number] = tree.root()
        return roots


def try_kills(count, seed, *, strace_share=0.05, left_out=""):
    """Make so many kills; return what they were, how often, and what was violated."""
    rows, violations = Counter(), []
    with tempfile.TemporaryDirectory(prefix="streamcount-") as made:
        ground = Ground(Path(made))
        number = killed = 0
        while killed < count:
            number += 1
            folder, named = Path(made) / "one", f"{seed}-{number}"
            if number % 10 == 0:
                one = Creation(folder, named)
                one.run()
            else:
                one = Kill(ground, folder, named, left_out)
                one.run(random.Random(f"strace {named}").random() < strace_share)
                if one.hows and number % 2:
                    one.lose_power()
            killed += len(one.hows)
            found = one.violation()
            for how in one.hows[:-1]:
                rows[how, False, False] += 1
            rows[(one.hows or [ENDED])[-1], one.power_lost, bool(found)] += 1
            if found:
                violations.append(f"seed {one.seed}, {one.how}: {found}")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(folder.with_name("points"), ignore_errors=True)
    return rows, violations


def table(rows, seconds):
    shown = Table(title=f"Kills, in {seconds:.0f} s", title_justify="left")
    for name in ("killed", "process ended", "power lost", "violations"):
        shown.add_column(name, justify="left" if name == "killed" else "right")
    kinds = sorted({how for how, _, _ in rows})
    counted = [
        (how, *(sum(n for (h, p, _), n in rows.items() if h == how and p == power) for power in (False, True)),
         sum(n for (h, _, wrong), n in rows.items() if h == how and wrong))
        for how in kinds
    ]  # fmt: skip
    for how, *numbers in counted:
        shown.add_row(how, *map(str, numbers))
    killed = [row for row in counted if row[0] != ENDED]
    shown.add_row("all kills", *(str(sum(row[n] for row in killed)) for n in (1, 2, 3)))
    return shown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--left-out", default="", choices=["", "segment", "checkpoint.new", "folder"],
                        help="leave one fsync out, to see that it is noticed")  # fmt: skip
    parser.add_argument("--json", default="", help="where results go as well")
    given = parser.parse_args()
    share = 0.05 if shutil.which("strace") else 0.0
    began = time.monotonic()
    rows, violations = try_kills(
        given.kills, given.seed, strace_share=share, left_out=given.left_out
    )
    seconds = time.monotonic() - began
    Console(width=100).print(table(rows, seconds))
    if not share:
        print("none by strace, which is not installed")
    for violation in violations[:20]:
        print(violation)
    if given.json:
        plain = {"kills": given.kills, "seed": given.seed, "violations": violations,
                 "rows": [[*key, number] for key, number in rows.items()]}  # fmt: skip
        Path(given.json).write_text(json.dumps(plain, indent=1) + "\n")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
