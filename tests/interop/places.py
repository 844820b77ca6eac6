"""Where what the tools need is kept between runs: environments of their own, built drivers. All below .interop/."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tests.interop.table import NotHereError

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".interop"
HERE = Path(__file__).parent


def run(*command, seconds=120, **options):
    """Run a program to its end; one that takes longer ends with `subprocess.TimeoutExpired`."""
    options = {"capture_output": True, "text": True, **options}
    return subprocess.run([str(word) for word in command], timeout=seconds, check=False, **options)


def python_from(least):
    """Return a Python of at least this version: this one, one on PATH, or one that pyenv keeps."""
    names = [f"python3.{minor}" for minor in range(least[1], least[1] + 4)]
    found = [Path(sys.executable), *(Path(at) for name in names if (at := shutil.which(name)))]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += sorted(versions.glob("3.*/bin/python3"))
    for one in found:
        ask = run(one, "-c", "import sys; print(*sys.version_info[:2])")
        if ask.returncode == 0 and tuple(map(int, ask.stdout.split())) >= least:
            return one
    raise NotHereError(
        f"needs Python {least[0]}.{least[1]} or later, and there is none on this machine"
    )


def environment(name, least=(3, 11)):
    """Return the Python of an environment with what requirements/`name`.txt pins, made if it is not there."""
    pins = ROOT / "requirements" / f"{name}.txt"
    folder = HOME / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if (folder / "made").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    made = run(python_from(least), "-m", "venv", folder)
    if made.returncode == 0:
        made = run(
            python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes",
            "--only-binary", ":all:", "-r", pins, seconds=600,
        )  # fmt: skip
    if made.returncode:
        raise NotHereError(f"pip could not install it: {last_line(made.stderr or made.stdout)}")
    (folder / "made").touch()
    return python


def pinned(name, package):
    """Return the version of a package in requirements/`name`.txt."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    return re.search(rf"^{package}==(\S+)", text, re.MULTILINE)[1]


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


class Driver:
    """A program that answers one JSON object a line, for as long as it is given."""

    def __init__(self, *command, seconds=300):
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._patience = threading.Timer(seconds, self._process.kill)
        self._patience.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._patience.cancel()
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def ask(self, **question):
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver ended without an answer"
        return json.loads(line)
