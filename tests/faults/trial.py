"""One row of the fault matrix being tried: a service, viewers, a fault, and the recount at the end.

    trial.begin()            a service, an event, viewers; returns when counts are exact
    trial.injected()         after each time the fault was put in
    trial.healed()           after it was taken away: waits until counts are exact again, keeps how long
    (end)                    viewers leave; close, export, verify, recount; what was told is set beside it

"Exact again" is measured from healing until every viewer has a heartbeat acknowledged that was sent
after it, and counts are certain and say what the load knows: that all of them watch.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from streamcount.core.beacon import PATH as BEACONS
from streamcount.simulate.run import websocket_address
from streamcount.simulate.told import Told
from tests.faults.load import Load, told_peak
from tests.recount import Recounted
from tests.service import PATIENT_S, Service
from tests.stack import free_port

EXACT_WITHIN_S = 10.0
WINDOW = 7
PASS, FAIL, SKIP = "pass", "FAIL", "skip"

ROWS = []


class UnableError(Exception):
    """This machine cannot do what the row needs; the message says what is missing."""


@dataclass(frozen=True)
class Row:
    number: int
    name: str
    fault: str
    run: object


def row(number, fault):
    """Register a function as a row, by the number it has in the list of faults."""

    def register(run):
        ROWS.append(Row(number, run.__name__, fault, run))
        return run

    return register


@dataclass
class Result:
    number: int
    name: str
    fault: str
    times: int = 0
    sent: int = 0
    acked: int = 0
    missing: int = 0
    told: int = 0
    published: int = 0
    recounted: int = 0
    exact_s: float = 0.0
    epochs: int = 0
    gaps: dict = field(default_factory=dict)
    status: str = PASS
    reason: str = ""
    seconds: float = 0.0

    def as_dict(self):
        return asdict(self)


class Trial:
    """What a row works with. `full` is False for the short form."""

    def __init__(self, row, folder, *, full=True):
        self.row, self.full = row, full
        self.folder = Path(folder)
        self.result = Result(row.number, row.name, row.fault)
        self.service = self.load = self.key = None
        # How many more viewers there were than the load's, and what they were told.
        self.most = 0
        self._also = {}
        self._expected = []
        self._stack = contextlib.ExitStack()
        self._finished = False

    def enter(self, context):
        """Keep something until the end of the trial."""
        return self._stack.enter_context(context)

    def later(self, call, *arguments):
        """Call something at the end of the trial."""
        self._stack.callback(call, *arguments)

    # --- Beginning ---

    def begin(
        self, *options, viewers=40, event="lesson", event_options=None, posted=False, **environment
    ):
        """Start the service and the viewers; return when counts are exact for the first time.

        `posted`: the viewers have no websockets, and send beacons.
        """
        self.serve(*options, **environment)
        self.open(viewers, event, posted=posted, **(event_options or {}))
        return self.service

    def serve(self, *options, **environment):
        data = self.folder / "data"
        environment = {"STREAMCOUNT_STALL_S": "1"} | environment  # as it is by default
        self.service = self.enter(Service(data, self.folder / "serve.log", *options, **environment))
        return self.service

    def open(self, viewers=40, event="lesson", *, posted=False, **options):
        self.event = event
        self.key = self.service.create(event, **{"window": WINDOW} | options)
        self.service.open(event)
        public = self.service.public
        url = f"{public}{BEACONS}" if posted else websocket_address(public)
        self.load = self.enter(Load(url, event, viewers))
        self.exact()

    # --- Faults ---

    def injected(self, times=1):
        self.result.times += times

    def child(self, name):
        """The process id of a child of the service: worker-0, notary-0, store."""
        return self.service.told["children"][name]

    def kill(self, name, number=signal.SIGKILL):
        os.kill(self.child(name), number)
        self.injected()

    @contextlib.contextmanager
    def paused(self, process):
        """Stop a process for as long as this lasts."""
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def restarted(self, name, before, seconds=PATIENT_S):
        """Wait until a child is another process than before."""
        self.service.wait_for(lambda: self.child(name) != before, seconds)

    def counts(self):
        """The event's counts, None while the notary does not answer."""
        try:
            return self.service.counts(self.event)
        except (OSError, ValueError):
            return None

    def expect_gap(self, kind):
        """Let the recount check that there is a gap of this kind."""
        self._expected.append(kind)

    def ports(self):
        """Two free ports, public and operator, as options have them."""
        return str(free_port()), str(free_port())

    def again(self, number):
        """Start the service again after it has ended, on the same data, with the same options."""
        log = self.folder / f"serve-{number}.log"
        self.service = self.enter(
            Service(self.service.data, log, *self.service.options, **self.service.more)
        )

    def also(self, path):
        """Recount what viewers of another process were told; the file is from load.main."""
        for line in path.read_text("utf-8").splitlines():
            told = json.loads(line)
            self._also[told["viewer"]] = Told(set(told["presence"]), set(told["breaks"]))
            self.result.sent += told["sent"]
            self.result.acked += told["acked"]

    def until(self, reached, seconds=PATIENT_S):
        self.service.wait_for(reached, seconds)

    def uncertain(self, seconds=PATIENT_S):
        """Wait until the service says that its numbers are to be doubted, or does not answer."""
        self.until(lambda: (self.counts() or {"uncertain": True})["uncertain"], seconds)

    def exact(self, seconds=PATIENT_S, *, at_least=False):
        """Return the seconds until counts are exact, from now.

        `at_least`: others watch, too, so that they may say more than the load knows.
        """
        began = time.monotonic()
        truth = self.load.count
        counts = {}

        def is_exact():
            nonlocal counts
            counts = self.counts() or {}
            heard = self.load.acked_since(began) == truth
            if not heard or counts.get("uncertain", True):
                return False
            return counts["live"] == truth or (at_least and counts["live"] > truth)

        try:
            self.until(is_exact, seconds)
        except AssertionError as error:
            raise AssertionError(
                f"not exact within {seconds:.0f} s: {self.load.acked_since(began)} of {truth} "
                f"acknowledged, counts {counts}: {error}"
            ) from error
        return time.monotonic() - began

    def healed(self, more_s=0.0, because=""):
        """Wait until counts are exact again; `more_s`: what it may take beyond 10 s, and why."""
        took = self.exact()
        self.result.exact_s = max(self.result.exact_s, round(took, 1))
        self.result.reason = because
        within_s = EXACT_WITHIN_S + more_s
        assert took <= within_s, f"exact again only {took:.1f} s after healing"

    # --- The end ---

    def finish(self, others=None):
        """Let the viewers go, close, export, verify, and set what was told beside the recount.

        `others`: what more viewers were told, of whom it is not known how many there should be.
        """
        if self._finished:
            return
        self._finished = True
        result, load = self.result, self.load
        time.sleep(1)
        load.leave()
        self.service.close(self.event)
        published = self.service.counts(self.event)
        report = self.service.verified(self.event, self.folder, self.key)
        found = Recounted(self.folder / f"{self.event}.zip")
        self.take_acks(found, load.told | self._also | (others or {}))
        result.sent += load.sent
        result.acked += load.acked
        result.told = told_peak(load.told | self._also, WINDOW, found.doubted)
        result.published, result.recounted = published["peak"], found.peak(WINDOW)
        result.epochs = published["epoch"]
        for gap in found.gaps:
            ticks = gap.last - gap.first + 1
            result.gaps[gap.kind] = result.gaps.get(gap.kind, 0) + ticks
        assert result.missing == 0, f"{result.missing} acknowledged heartbeats are not in the pack"
        assert report["peak"] == result.published == result.recounted, "published is not recounted"
        assert result.recounted <= load.count + self.most, "more than there were"
        for kind in self._expected:
            assert kind in result.gaps, f"no gap {kind} was logged"
        assert result.told <= result.recounted, "told is not in the pack"

    def take_acks(self, found, told):
        key = (self.service.data / "events" / self.event / "pseudonym.key").read_text().strip()
        for viewer, one in told.items():
            gone = found.missing(viewer, one.presence, one.breaks, bytes.fromhex(key))
            self.result.missing += len(gone)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()


def tried(row, folder, *, full=True):
    """Try a row; return its result, whatever happens."""
    began = time.monotonic()
    trial = Trial(row, folder, full=full)
    result = trial.result
    try:
        with trial:
            row.run(trial)
            if trial.load is not None:
                trial.finish()
    except UnableError as unable:
        result.status, result.reason = SKIP, " ".join(str(unable).split())
    except Exception as error:  # noqa: BLE001 (the table tells of it)
        result.status, result.reason = FAIL, f"{type(error).__name__}: {error}"
    result.seconds = round(time.monotonic() - began, 1)
    return result


# --- What machines have or have not -------------------------------------------------------------------


def need_root():
    if os.geteuid() != 0:
        raise UnableError("needs root")


def need(tool):
    found = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
    if found is None:
        raise UnableError(f"needs {tool}, which is not installed")
    return found


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of its own at `folder`, of so many bytes."""
    need_root()
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [need("mount"), "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise UnableError(f"cannot mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "-l", str(folder)], check=True)


def fill(folder):
    """Take all the room there is left; return the file that has it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@contextlib.contextmanager
def injecting(process, expression, log):
    """Attach strace to a running process and its threads, to change what system calls do."""
    tool = need("strace")
    command = [tool, "-f", "-q", "-o", str(log), "-e", f"trace={expression.split(':')[0]}"]
    command += ["-e", f"inject={expression}", "-p", str(process)]
    tracing = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while tracing.poll() is None and not traced(process) and time.monotonic() < end:
        time.sleep(0.02)
    if tracing.poll() not in {None, 0} and "ptrace" in (said := tracing.stderr.read()):
        raise UnableError(f"strace may not attach: {said.strip()}")
    try:
        yield tracing
    finally:
        if tracing.poll() is None:
            tracing.terminate()
        tracing.communicate(timeout=60)


def traced(process):
    """Tell whether all threads of a process are traced."""
    threads = Path(f"/proc/{process}/task").glob("*/status")
    with contextlib.suppress(FileNotFoundError):
        return all("TracerPid:\t0\n" not in status.read_text() for status in threads)
    return False


@contextlib.contextmanager
def role(name, slot, service, **environment):
    """Run one more process of the service by hand, beside those that it started."""
    told = service.told
    settings = {
        "STREAMCOUNT_DATA": str(service.data),
        "STREAMCOUNT_PUBLIC_PORT": told["public"].rpartition(":")[2],
        "STREAMCOUNT_OPERATOR_PORT": told["operator"].rpartition(":")[2],
        "PROMETHEUS_MULTIPROC_DIR": str(service.data / "metrics"),
    }
    log = service.data.parent / f"{name}-{slot}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamcount.app", name, str(slot)],
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT,
            env={**service.environment, **settings, **environment}, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)


def told_by(command, *, check=True):
    """Run a command of the system; one that cannot be is a reason to skip."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise UnableError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
