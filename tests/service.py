"""The service as people run it: `streamcount serve` in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

FAST = {
    "STREAMCOUNT_SEAL_LAG_S": "0.3",
    "STREAMCOUNT_OPEN_DELAY_S": "1",
    "STREAMCOUNT_CLOSE_DELAY_S": "1",
    "STREAMCOUNT_RECONNECT_SPREAD_S": "0.5",
    "STREAMCOUNT_DRAIN_S": "6",
    # How long something takes is the machine's affair: no test that is not about them meets these.
    "STREAMCOUNT_EMBEDDED_START_S": "120",
    "STREAMCOUNT_BEACON_WAIT_S": "60",
    "STREAMCOUNT_STALL_S": "30",
}
# Longer than anything takes that will come at all, on a machine that has ten times too much to do.
PATIENT_S = 180.0


class Service:
    def __init__(self, data, log, *options, **environment):
        self.data = data
        self.log = log
        self.options = options
        self.more = environment
        self.environment = {**os.environ, **FAST, **environment}
        self.process = None

    def __enter__(self):
        command = [sys.executable, "-m", "streamcount", "serve", "--data", str(self.data)]
        command += ["--public-port", "0", "--operator-port", "0", *self.options]
        self.file = self.log.open("wb")
        self.process = subprocess.Popen(
            command, stdout=self.file, stderr=subprocess.STDOUT, env=self.environment
        )
        try:
            self.wait_for((self.data / "service.json").exists)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
        self.file.close()

    def wait_for(self, reached, seconds=PATIENT_S):
        until = time.monotonic() + seconds
        while not reached():
            assert self.process.poll() is None, f"serve ended:\n{self.log.read_text()}"
            assert time.monotonic() < until, f"did not happen in time:\n{self.log.read_text()}"
            time.sleep(0.05)

    @property
    def told(self):
        return json.loads((self.data / "service.json").read_text())

    @property
    def public(self):
        return self.told["public"]

    def run(self, *arguments, check=True):
        """Run another command of the program on the same data."""
        return run(*arguments, "--data", str(self.data), check=check)

    def ask(self, *arguments):
        return json.loads(self.run(*arguments, "--json").stdout)

    def api(self, path, body=None):
        """Ask the operators' API; a call with a body is a POST."""
        return json.loads(self.read(path, body))

    def read(self, path, body=None):
        token = (self.data / "operator.token").read_text().strip()
        request = urllib.request.Request(
            self.told["operator"] + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=PATIENT_S) as answer:
            return answer.read()

    def watching(self):
        """How many connections of viewers there are, as the workers said within the last second."""
        lines = self.read("/metrics").decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("streamcount_watching_connections")
        )

    def counts(self, event):
        return self.api(f"/api/events/{event}/counts")

    def create(self, event="lesson", window=7, interval=1, **options):
        plain = {"id": event, "kind": "rehearsal", "title": {"en": "A lesson"}}
        made = self.api("/api/events", plain | {"window": window, "interval": interval} | options)
        return made["key"]

    def open(self, event="lesson"):
        first = self.api(f"/api/events/{event}/open", {})["first_tick"]
        self.wait_for(lambda: (self.counts(event)["now"] or 0) >= first)
        return first

    def close(self, event="lesson"):
        self.api(f"/api/events/{event}/close", {})
        self.wait_for(lambda: self.counts(event)["stage"] == "final")

    def verified(self, event, folder, key):
        """Export and verify; returns the report."""
        pack = folder / f"{event}.zip"
        self.run("export", event, "-o", str(pack))
        done = run("verify", str(pack), "--key", key, "--json", check=False)
        report = json.loads(done.stdout)
        assert done.returncode == 0, report["wrong"]
        return report


def run(*arguments, check=True, **options):
    done = subprocess.run(
        [sys.executable, "-m", "streamcount", *arguments],
        capture_output=True, text=True, check=False, timeout=PATIENT_S, **options,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@contextlib.contextmanager
def serving(folder, *options, **environment):
    data = Path(folder) / "data"
    with Service(data, Path(folder) / "serve.log", *options, **environment) as service:
        yield service
