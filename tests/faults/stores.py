"""Stores to be broken: the embedded Valkey's binary, or Debian's Redis, as a process of the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from streamcount.store import embedded


class Store:
    """A server on a unix socket, without persistence unless `options` say otherwise.

    `environment` is added to its own; `folder` is where it runs, a new one if not given.
    """

    def __init__(self, binary=None, environment=None, folder=None, **options):
        self.folder = Path(folder or tempfile.mkdtemp(prefix="streamcount-"))
        self.path = self.folder / "valkey.sock"
        self.url = f"unix://{self.path}"
        self._command = embedded.server_arguments(self.folder)
        if binary is not None:
            self._command[0] = binary
        for name, value in options.items():
            self._command += [f"--{name.replace('_', '-')}", *str(value).split()]
        self._environment = {**os.environ, **(environment or {})}
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, env=self._environment
        )
        until = time.monotonic() + 120
        while True:
            try:
                return self.ask("PING")
            except redis.RedisError:
                assert time.monotonic() < until, "the store does not start"
                time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words):
        with redis.Redis(unix_socket_path=str(self.path), socket_timeout=30) as client:
            return client.execute_command(*words)
