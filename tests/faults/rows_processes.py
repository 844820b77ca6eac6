"""Rows of the fault matrix: what may happen to the service's own processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial

from tests.faults.trial import injecting, need, need_root, role, row, told_by
from tests.service import run

# Every system call of an append that changes what is on the disk, in their order.
STEPS = [f"fsync:signal=KILL:when={n}" for n in range(1, 5)]
# The longest pause of a viewer between two attempts to connect.
BACKOFF_S = 10.0
NOBODY_ANSWERED = (
    "no worker answered for a while, so viewers come back by their backoff, 10 s at most"
)
STEPS += [f"rename:signal=KILL:when={n}" for n in (1, 2)]


@row(1, "notary: kill -9 at each step of an append (strace)")
def killed_at_each_step(trial):
    need("strace")
    trial.begin(STREAMCOUNT_RESTARTS_MAX="60")
    for step in STEPS if trial.full else STEPS[1:2]:
        before = trial.child("notary-0")
        with injecting(before, step, trial.folder / "strace"):
            trial.restarted("notary-0", before)
        trial.injected()
        trial.healed()


@row(1, "worker, notary, guardian: kill -9, one after another")
def killed(trial):
    trial.begin(STREAMCOUNT_RESTARTS_MAX="60")
    for name in ("worker-0", "notary-0", "worker-1", "store") * (2 if trial.full else 1):
        before = trial.child(name)
        trial.kill(name)
        trial.restarted(name, before)
        trial.healed()


@row(1, "everything at once: kill -9 of workers, notary and store")
def all_killed(trial):
    trial.begin(STREAMCOUNT_RESTARTS_MAX="60")
    for _ in range(2 if trial.full else 1):
        before = {name: trial.child(name) for name in trial.service.told["children"]}
        for process in before.values():
            os.kill(process, signal.SIGKILL)
        trial.injected()
        for name, process in before.items():
            trial.restarted(name, process)
        trial.healed(BACKOFF_S, NOBODY_ANSWERED)


@row(1, "viewers without websockets: worker, notary, store killed, a worker drained")
def posted_killed(trial):
    """Each of their requests is another connection, to whichever worker takes it."""
    trial.begin(posted=True, STREAMCOUNT_RESTARTS_MAX="60")
    for name in ("worker-0", "notary-0", "store") * (2 if trial.full else 1):
        before = trial.child(name)
        trial.kill(name)
        trial.restarted(name, before)
        trial.healed()
    before = trial.child("worker-1")
    trial.kill("worker-1", signal.SIGTERM)
    trial.restarted("worker-1", before)
    trial.healed()


@row(2, "worker paused: SIGSTOP, shorter and longer than the window")
def worker_paused(trial):
    trial.begin()
    for seconds in (2, 4, 9) if trial.full else (4,):
        with trial.paused(trial.child("worker-0")):
            trial.injected()
            time.sleep(seconds)
        trial.healed()


@row(2, "worker paused for longer than the hold")
def worker_paused_too_long(trial):
    """The others do not wait for it; its silence is a gap, and its heartbeats are late."""
    trial.begin(STREAMCOUNT_HOLD_S="5")
    with trial.paused(trial.child("worker-0")):
        trial.injected()
        time.sleep(10)
    trial.healed()
    trial.expect_gap("loss")


@row(2, "notary paused: SIGSTOP, shorter and longer than the window")
def notary_paused(trial):
    trial.begin()
    for seconds in (3, 9) if trial.full else (3,):
        with trial.paused(trial.child("notary-0")):
            trial.injected()
            time.sleep(seconds)
        trial.healed()


@row(17, "viewers who never read, on thin pipes")
def never_read(trial):
    """They are heard as everybody else, and nobody waits for them."""
    trial.begin()
    host, port = trial.service.public.removeprefix("http://").split(":")
    silent = []
    for number in range(30 if trial.full else 5):
        silent.append(NeverReads(host, int(port), f"silent-{number:04}"))
        trial.later(silent[-1].close)
        trial.injected()
    trial.load.count += len(silent)
    for _ in range(8):
        for one in silent:
            one.beat()
        time.sleep(1)
    trial.result.sent += sum(one.seq for one in silent)
    counts = trial.counts()
    assert counts["live"] == trial.load.count
    for one in silent:
        one.close()
    time.sleep(8)
    trial.load.count -= len(silent)
    trial.healed()
    trial.most += len(silent)


class NeverReads:
    """A viewer over a bare socket with the smallest buffer there is."""

    def __init__(self, host, port, viewer):
        self.seq = 0
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._socket.connect((host, port))
        self._socket.sendall(
            f"GET /v1/viewers HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: streamcount.v1\r\n\r\n".encode()
        )
        time.sleep(0.05)
        self._say(f'{{"type":"hello","event":"lesson","stream":"main","viewer":"{viewer}"}}')

    def beat(self):
        self.seq += 1
        self._say(
            f'{{"type":"heartbeat","seq":{self.seq},"state":"playing","visible":true,'
            f'"muted":false,"position":{self.seq}}}'
        )

    def close(self):
        self._socket.close()

    def _say(self, text):
        data = text.encode()
        mask = b"\0\0\0\0"
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
        self._socket.sendall(b"\x81" + length + mask + data)


@row(17, "viewers behind a thin pipe (network namespace, tc tbf)")
def thin_pipe(trial):
    need_root()
    ip, tc = need("ip"), need("tc")
    name = f"sc{os.getpid() % 100_000}"
    here, there = "10.213.7.1", "10.213.7.2"
    for command, undo in (
        ([ip, "netns", "add", name], [ip, "netns", "del", name]),
        ([ip, "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b"], [ip, "link", "del", f"{name}a"]),
        ([ip, "link", "set", f"{name}b", "netns", name], None),
        ([ip, "addr", "add", f"{here}/30", "dev", f"{name}a"], None),
        ([ip, "link", "set", f"{name}a", "up"], None),
        ([ip, "netns", "exec", name, ip, "addr", "add", f"{there}/30", "dev", f"{name}b"], None),
        ([ip, "netns", "exec", name, ip, "link", "set", f"{name}b", "up"], None),
        ([tc, "qdisc", "add", "dev", f"{name}a", "root", "tbf", "rate", "24kbit", "burst", "3000", "latency", "500ms"], None),
    ):  # fmt: skip
        told_by(command)
        if undo:
            trial.later(partial(told_by, undo, check=False))
    trial.begin("--public-host", "0.0.0.0")
    port = trial.service.public.rpartition(":")[2]
    told = trial.folder / "thin.jsonl"
    count, seconds = 60, 25 if trial.full else 12
    thin = subprocess.Popen(
        [ip, "netns", "exec", name, sys.executable, "-m", "tests.faults.load",
         f"ws://{here}:{port}/v1/viewers", "lesson", str(count), "thin", str(seconds), str(told)],
    )  # fmt: skip
    trial.injected(count)
    trial.most += count
    slowest = 0.0
    while thin.poll() is None:
        began = time.monotonic()
        trial.until(lambda began=began: trial.load.acked_since(began) == trial.load.count)
        slowest = max(slowest, time.monotonic() - began)
    assert thin.returncode == 0
    assert slowest < 6, f"others waited {slowest:.1f} s for an acknowledgement"
    trial.also(told)
    time.sleep(10)
    trial.healed()


@row(18, "worker's loop stalls for 2 s while both processors are busy")
def stalled(trial):
    trial.begin()
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())
    ]
    try:
        for name in ("worker-0", "worker-1") * (2 if trial.full else 1):
            with trial.paused(trial.child(name)):
                trial.injected()
                time.sleep(2)
            trial.healed()
    finally:
        for process in busy:
            process.kill()
            process.wait(5)


@row(19, "workers drained and started again one after another under load")
def rolling_restart(trial):
    trial.begin(STREAMCOUNT_RESTARTS_MAX="60")
    for name in ("worker-0", "worker-1") * (2 if trial.full else 1):
        before = trial.child(name)
        trial.kill(name, signal.SIGTERM)
        trial.restarted(name, before)
        trial.healed()
    assert sum(viewer.unanswered for viewer in trial.load.viewers) == 0, "accepted, not answered"


@row(19, "SIGTERM of the whole service under load, started again")
def service_restarted(trial):
    public, operator = trial.ports()
    trial.begin("--public-port", public, "--operator-port", operator)
    for number in range(2 if trial.full else 1):
        process = trial.service.process
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        trial.injected()
        trial.again(number)
        trial.healed(BACKOFF_S, NOBODY_ANSWERED)


@row(20, "a second notary and a second service on the same data")
def second_writer(trial):
    trial.begin()
    other = run("serve", "--data", str(trial.service.data), check=False)
    trial.injected()
    assert other.returncode == 1
    assert "already runs on the data directory" in other.stderr + other.stdout
    url = store_url(trial)
    operator = trial.ports()[1]
    with role("notary", 7, trial.service, STREAMCOUNT_REDIS_URL=url,
              STREAMCOUNT_OPERATOR_PORT=operator) as second:  # fmt: skip
        trial.injected()
        log = trial.folder / "notary-7.log"
        trial.until(lambda: "another notary has it open" in log.read_text(), 60)
        # It goes on for a while, with an empty list of events for the directory.
        time.sleep(3)
        assert second.poll() is None
    trial.healed()


def store_url(trial):
    """The address of the embedded store, as its children have it in their environment."""
    with open(f"/proc/{trial.child('worker-0')}/environ", "rb") as environment:
        found = dict(
            part.split(b"=", 1) for part in environment.read().split(b"\0") if b"=" in part
        )
    return found[b"STREAMCOUNT_REDIS_URL"].decode()
