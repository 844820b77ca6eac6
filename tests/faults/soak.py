"""Viewers without end and faults without warning: nothing is lost, nothing is too high, memory stays level.

    python -m tests.faults.soak --minutes 20 --seed 1

One service. In the first two fifths of the time events follow each other, each with people who stay and
people who come, pause, lose their connection and go; every 20 to 40 s something is killed, paused or
emptied, by seed. Each event is closed, exported, verified, and recounted against the viewers' acks. The
rest is one long event with faults that kill nobody, so that the memory of processes that live on can be
fitted with a line. Exit status 1 if anything acknowledged is missing, a count is too high or was not
exact again in time, or memory or descriptors surely grow by more than 1 % an hour. What an allocator takes
in one step would be many percent an hour in a short run: memory that grew by less than a mebibyte in all
is shown, and not held against a process. An hour shows growth of 2 %, three hours that of 1 %.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import redis
from rich.console import Console
from rich.table import Table

from streamcount.simulate.run import websocket_address
from streamcount.simulate.told import Told
from tests.faults.load import Keeping
from tests.faults.proxy import Background
from tests.faults.rows_processes import store_url
from tests.faults.rows_store import valkey_of
from tests.faults.trial import EXACT_WITHIN_S, Row, Trial

STAY, COME_AND_GO = 60, 30
EVENT_S = 150.0
WARM_UP_SHARE = 0.3
SLOPE_MOST = 1.0  # percent an hour
STEP_BYTES = 2**20
STEP_FILES = 2  # a connection that is being made or ended
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Restless:
    """People who come, pause, lose their connection and go, again and again."""

    def __init__(self, url, event, count, seed):
        self.told = {f"restless-{number:04}": Told() for number in range(count)}
        self.sent = self.acked = 0
        self._url, self._event, self._seed = url, event, seed
        self._here = set()
        self._background = Background()
        self._going = True

    def __enter__(self):
        self._background.call(self._start())
        return self

    def __exit__(self, *_):
        self._background.end()

    async def _start(self):
        self._people = [asyncio.create_task(self._live(name)) for name in self.told]

    async def _live(self, name):
        draw = random.Random(f"{self._seed} {name}")
        while self._going:
            await asyncio.sleep(draw.uniform(0, 15))
            viewer = Keeping(self._url, event=self._event, viewer=name)
            viewer.told = self.told[name]
            self._here.add(viewer)
            viewer.play()
            watching = asyncio.create_task(viewer.run())
            for _ in range(draw.randint(1, 5)):
                await asyncio.sleep(draw.uniform(1, 8))
                draw.choice((viewer.pause, viewer.play, viewer.reconnect, viewer.play))()
            if draw.random() < 0.7:
                await viewer.leave(15)
            else:
                viewer.drop()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self._here.discard(viewer)
            self.sent += viewer.seq
            self.acked += viewer.acked

    def leave(self):
        """Let everybody who is there end what they do, and go."""

        async def gone():
            self._going = False
            await asyncio.gather(*self._people)

        self._background.call(gone(), 120)


# --- Faults -------------------------------------------------------------------------------------------


def kill(name):
    def do(trial):
        before = trial.child(name)
        trial.kill(name)
        trial.restarted(name, before)

    return do


def kill_valkey(trial):
    before = trial.child("store")
    os.kill(valkey_of(trial), signal.SIGKILL)
    trial.restarted("store", before)


def stop(name):
    def do(trial):
        process = valkey_of(trial) if name == "store" else trial.child(name)
        with trial.paused(process):
            time.sleep(trial.draw.uniform(1, 8))

    return do


def ask(*words):
    def do(trial):
        path = store_url(trial).removeprefix("unix://")
        with redis.Redis(unix_socket_path=path, socket_timeout=5) as client:
            client.execute_command(*words)

    return do


HARMLESS = {
    "store stopped": stop("store"),
    "notary stopped": stop("notary-0"),
    "worker stopped": stop("worker-0"),
    "FLUSHALL": ask("FLUSHALL"),
    "SCRIPT FLUSH": ask("SCRIPT", "FLUSH"),
}
KILLING = {
    "worker killed": kill("worker-1"),
    "notary killed": kill("notary-0"),
    "guardian killed": kill("store"),
    "valkey killed": kill_valkey,
}


# --- Memory -------------------------------------------------------------------------------------------


@dataclass
class Life:
    """One process, from when it is first seen: RSS in bytes, and open descriptors (viewers'
    connections apart), over time."""

    role: str
    at_s: list = field(default_factory=list)
    rss: list = field(default_factory=list)
    files: list = field(default_factory=list)

    def slope(self, values, since_s):
        """Percent an hour, and its standard error, of the line through what is after `since_s`."""
        at = np.array(self.at_s)
        late = at >= since_s
        x, y = at[late] / 3600, np.array(values, float)[late]
        if len(x) < 10:
            return None
        (slope, start), residuals, *_ = np.polyfit(x - x.mean(), y, 1, full=True)
        spread = float(residuals[0]) if len(residuals) else 0.0
        error = (spread / (len(x) - 2) / ((x - x.mean()) ** 2).sum()) ** 0.5
        return 100 * slope / start, 100 * error / start

    def grown(self, values, since_s):
        """How much more it has than when it was warm: medians of the last and the first third."""
        warm = [value for at, value in zip(self.at_s, values, strict=True) if at >= since_s]
        third = len(warm) // 3
        return int(np.median(warm[-third:]) - np.median(warm[:third])) if third else 0


def sockets_at(port):
    """The sockets of this machine whose own end is at this port, as /proc/PID/fd names them."""
    found = set()
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


class Memory:
    """Samples every process of the service."""

    def __init__(self):
        self.lives = {}
        self._began = time.monotonic()

    def sample(self, trial):
        children = dict(trial.service.told["children"])
        children |= {"serve": trial.service.process.pid}
        try:
            children["valkey"] = valkey_of(trial)
        except (OSError, IndexError):
            pass
        viewers = sockets_at(int(trial.service.public.rpartition(":")[2]))
        for role, process in children.items():
            try:
                with open(f"/proc/{process}/statm") as statm:
                    rss = int(statm.read().split()[1]) * PAGE_BYTES
                files = self._descriptors(process, viewers)
            except OSError:
                continue
            life = self.lives.setdefault((role, process), Life(role))
            life.at_s.append(self.now())
            life.rss.append(rss)
            life.files.append(files)

    def _descriptors(self, process, viewers):
        """Count what a process has open, without its viewers, who come and go."""
        folder, count = f"/proc/{process}/fd", 0
        for name in os.listdir(folder):
            try:
                count += os.readlink(f"{folder}/{name}") not in viewers
            except OSError:
                pass
        return count

    def now(self):
        return time.monotonic() - self._began

    def latest(self):
        """RSS in MiB and descriptors, by role."""
        found = {}
        for life in self.lives.values():
            found[life.role] = (life.rss[-1] / 2**20, life.files[-1])
        return found


# --- The soak -----------------------------------------------------------------------------------------


class Soak:
    def __init__(self, folder, minutes, seed, console, killing=0.4):
        self.row = Row(0, "soak", "soak", None)
        self.folder, self.seconds, self.console = Path(folder), 60 * minutes, console
        self._killing = killing
        self.draw = random.Random(seed)
        self.memory = Memory()
        self.faults = Counter()
        self.exact_s = defaultdict(float)
        self.results, self.wrong = [], []
        self.warm_at_s = 0.0
        self._began = time.monotonic()
        self._told_at = 0.0

    def run(self):
        with Trial(self.row, self.folder) as first:
            first.serve(STREAMCOUNT_RESTARTS_MAX="100")
            restless_s = self._killing * self.seconds
            number = 0
            while self.elapsed() < restless_s:
                number += 1
                until_s = min(self.elapsed() + EVENT_S, restless_s + EVENT_S / 2)
                self.event(first.service, f"event-{number}", until_s, HARMLESS | KILLING)
            began_s = self.memory.now()
            self.warm_at_s = began_s + WARM_UP_SHARE * (self.seconds - self.elapsed())
            self.event(first.service, "long", self.seconds, HARMLESS)

    def elapsed(self):
        return time.monotonic() - self._began

    def event(self, service, name, until_s, faults):
        """One event: opened, watched, disturbed, closed, recounted."""
        with Trial(self.row, self.folder) as trial:
            trial.service, trial.draw = service, self.draw
            trial.result.name = name
            self.results.append(trial.result)
            try:
                trial.open(STAY, name)
                url = websocket_address(service.public)
                restless = trial.enter(Restless(url, name, COME_AND_GO, self.draw.random()))
                trial.most = COME_AND_GO
                while self.elapsed() < until_s:
                    self.rest(trial, self.draw.uniform(20, 40), until_s)
                    if self.elapsed() < until_s:
                        self.disturb(trial, *self.draw.choice(list(faults.items())))
                restless.leave()
                trial.restless = restless
                trial.finish(restless.told)
                trial.result.sent += restless.sent
                trial.result.acked += restless.acked
            except Exception as error:  # noqa: BLE001 (told at the end)
                self.wrong.append(f"{name}: {type(error).__name__}: {str(error)[:2000]}")

    def rest(self, trial, seconds, until_s):
        """Wait, sampling memory, telling how it goes every minute."""
        until = min(self.elapsed() + seconds, until_s)
        while self.elapsed() < until:
            time.sleep(max(0.0, min(2.0, until - self.elapsed())))
            self.memory.sample(trial)
            if self.elapsed() - self._told_at >= 60:
                self._told_at = self.elapsed()
                self.tell(trial)

    def disturb(self, trial, name, do):
        do(trial)
        trial.injected()
        self.faults[name] += 1
        try:
            took = trial.exact(60, at_least=True)
        except AssertionError as error:
            self.wrong.append(f"{trial.event}, {name}: {str(error)[:2000]}")
            return
        self.exact_s[name] = max(self.exact_s[name], took)
        if took > EXACT_WITHIN_S:
            self.wrong.append(f"{trial.event}, {name}: exact again only after {took:.1f} s")

    def tell(self, trial):
        sizes = ", ".join(
            f"{role} {mib:.0f} MiB/{files}"
            for role, (mib, files) in sorted(self.memory.latest().items())
        )
        self.console.print(
            f"{self.elapsed() / 60:5.1f} min  {trial.event}  sent {trial.load.sent:,} acked "
            f"{trial.load.acked:,}  faults {sum(self.faults.values())}  wrong {len(self.wrong)}  {sizes}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip

    # --- What came of it ---

    def slopes(self):
        """By role: percent an hour and its error, of RSS and descriptors, of those who lived on."""
        found = {}
        for life in self.memory.lives.values():
            rss = life.slope(life.rss, self.warm_at_s)
            files = life.slope(life.files, self.warm_at_s)
            if rss is not None and files is not None:
                grown = [life.grown(one, self.warm_at_s) for one in (life.rss, life.files)]
                found[life.role] = (rss, files, life.rss[-1] / 2**20, life.files[-1], grown)
        return found

    def judge(self):
        for role, (rss, files, _, _, grown) in self.slopes().items():
            steps = (grown[0] < STEP_BYTES, grown[1] < STEP_FILES)
            found = (("memory", rss), ("descriptors", files))
            for (what, (slope, error)), step in zip(found, steps, strict=True):
                if slope - 2 * error > SLOPE_MOST and not step:
                    self.wrong.append(f"{role}: {what} grow by {slope:.1f} % an hour")

    def tables(self):
        events = Table(title="Events", title_justify="left")
        for name in ("event", "faults", "sent", "acked", "missing", "told", "published", "recounted",
                     "epochs"):  # fmt: skip
            events.add_column(name, justify="left" if name == "event" else "right")
        for r in self.results:
            numbers = (r.times, r.sent, r.acked, r.missing, r.told, r.published, r.recounted)
            events.add_row(r.name, *(f"{number:,}" for number in numbers), str(r.epochs))
        sums = [sum(getattr(r, name) for r in self.results) for name in ("times", "sent", "acked", "missing")]  # fmt: skip
        events.add_row("all", *(f"{number:,}" for number in sums))
        faults = Table(title="Faults", title_justify="left")
        for name in ("fault", "times", "exact again s (most)"):
            faults.add_column(name, justify="left" if name == "fault" else "right")
        for name, times in self.faults.most_common():
            faults.add_row(name, str(times), f"{self.exact_s[name]:.1f}")
        memory = Table(title="After warm-up", title_justify="left")
        for name in ("process", "MiB", "grown KiB", "% an hour", "descriptors", "% an hour"):
            memory.add_column(name, justify="left" if name == "process" else "right")
        for role, (rss, files, mib, opened, grown) in sorted(self.slopes().items()):
            memory.add_row(role, f"{mib:.1f}", f"{grown[0] / 1024:+,.0f}", f"{rss[0]:+.2f} ± {rss[1]:.2f}", str(opened),
                           f"{files[0]:+.2f} ± {files[1]:.2f}")  # fmt: skip
        return events, faults, memory

    def as_dict(self):
        return {
            "events": [r.as_dict() for r in self.results],
            "faults": dict(self.faults),
            "exact_s": dict(self.exact_s),
            "slopes": self.slopes(),
            "memory": {
                f"{role} {process}": {"at_s": life.at_s, "rss": life.rss, "descriptors": life.files}
                for (role, process), life in self.memory.lives.items()
            },
            "warm_at_s": self.warm_at_s,
            "wrong": self.wrong,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--killing", type=float, default=0.4,
                        help="share of the time in which processes are killed")  # fmt: skip
    parser.add_argument("--json", default="soak.json", help="where results go as well")
    given = parser.parse_args()
    console = Console(width=150)
    with tempfile.TemporaryDirectory(prefix="streamcount-") as folder:
        soak = Soak(folder, given.minutes, given.seed, console, given.killing)
        try:
            soak.run()
        except Exception as error:  # noqa: BLE001 (told below, with what was found so far)
            soak.wrong.append(f"{type(error).__name__}: {error}")
        soak.judge()
        if soak.wrong:
            console.print((Path(folder) / "serve.log").read_text()[-8000:], highlight=False)
    for table in soak.tables():
        console.print(table)
    for wrong in soak.wrong:
        console.print(wrong, highlight=False)
    Path(given.json).write_text(json.dumps(soak.as_dict(), indent=1) + "\n")
    return bool(soak.wrong)


if __name__ == "__main__":
    sys.exit(main())
