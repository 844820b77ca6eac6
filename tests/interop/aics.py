"""aics-tlog: another reader of C2SP logs in Python, by an author of its own; also of cosignatures."""

from __future__ import annotations

import base64

from tests.interop import cosigned, spoiling
from tests.interop.places import HERE, Driver, environment, pinned
from tests.interop.table import Verdict

NAME = "aics-tlog"
# What it lets pass, and why that does no harm.
LAX = {
    r"no newline at the end": "reads a last signature line without its newline; the text that is signed is the same",
    r"a byte more in tile/\d/.*\.p/\d+": "ignores what is behind the hashes of a partial tile in a folder",
}


def find(bench):
    bench.aics = environment("interop", (3, 12))
    return pinned("interop", NAME)


def verdicts(bench):
    with Driver(bench.aics, "-P", HERE / "inside.py", seconds=bench.patience_s) as other:
        for case in bench.cases():
            told = other.ask(op="log", at=str(case.log.folder), key=case.log.vkey)
            yield Verdict(
                "logs: checkpoint, tiles, bundles, proofs of entries",
                case.what,
                not case.spoilt,
                told["ok"],
                told["why"],
            )
        for log in bench.spoilable():
            for what, kept, right in spoiling.other_histories(log):
                told = other.ask(
                    op="grown",
                    at=str(log.folder),
                    key=log.vkey,
                    note=base64.b64encode(kept).decode(),
                )
                yield Verdict(
                    "growth from kept checkpoints",
                    f"{log.size}: {what}",
                    right,
                    told["ok"],
                    told["why"],
                )
        for what, signed, key, witnesses, right in cosigned.checkpoints(bench):
            told = other.ask(
                op="cosigned",
                key=key,
                note=base64.b64encode(signed).decode(),
                witnesses=witnesses,
            )
            yield Verdict("cosignatures", what, right, told["ok"], told["why"])
        for what, at, key, kept, right in bench.served:
            told = other.ask(
                op="grown" if kept else "log", at=at, key=key, note=base64.b64encode(kept).decode()
            )
            yield Verdict(
                "the log as a running service serves it, over HTTP",
                what,
                right,
                told["ok"],
                told["why"],
            )
