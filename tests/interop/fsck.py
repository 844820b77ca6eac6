"""Tessera's fsck: walks a whole log, as the program that most tile logs are written with checks its own.

It comes by the Go module proxy. With one worker it hangs at a bad tile (tessera issue 1098): it is run with
eight, and a run that does not end counts as rejected.
"""

from __future__ import annotations

import os
import subprocess

from tests.interop import xmod
from tests.interop.places import HOME, last_line, run
from tests.interop.table import NotHereError, Verdict

NAME = "tessera fsck"
_VERSION = "v1.0.4"
_ENDS_WITHIN_S = 60


# What it lets pass, and why that does no harm.
LAX = {
    r"a byte more in tile/\d/.*\.p/\d+": "ignores what is behind the hashes of a partial tile",
}


def find(_):
    if not _program().exists():
        go = xmod.find_go()
        options = os.environ | {
            "GOBIN": str(_program().parent),
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
        }
        made = run(
            go,
            "install",
            f"github.com/transparency-dev/tessera/cmd/fsck@{_VERSION}",
            env=options,
            seconds=900,
        )
        if made.returncode:
            raise NotHereError(f"go install: {last_line(made.stderr)}")
    return _VERSION


def _program():
    return HOME / f"fsck-{_VERSION}" / "fsck"


def verdicts(bench):
    for case in bench.cases():
        yield Verdict(
            "logs: checkpoint, tiles, bundles",
            case.what,
            not case.spoilt,
            *checked(bench, case.log.folder.as_uri(), case.log.vkey),
        )
    for what, at, key, kept, right in bench.served:
        if kept:
            continue  # it compares nothing with what was kept
        yield Verdict(
            "the log as a running service serves it, over HTTP",
            what,
            right,
            *checked(bench, at, key),
        )


def checked(bench, address, vkey):
    """Run it; return whether it accepted, and its last words."""
    key = bench.folder / "fsck.vkey"
    key.write_text(vkey + "\n", "utf-8")
    try:
        done = run(
            _program(), f"--storage_url={address}/", f"--public_key={key}", "--ui=false", "-N", "8",
            seconds=_ENDS_WITHIN_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False, f"did not end within {_ENDS_WITHIN_S} s"
    # Without its screen it ends with 0 whatever it found (the one word it has for success is in its log).
    accepted = done.returncode == 0 and "Successfully fsck'd log" in done.stderr
    return accepted, last_line(done.stderr or done.stdout)
