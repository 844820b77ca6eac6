"""pymerkle: roots over the entries, by a library of Merkle trees that knows nothing of notes and tiles.

Its licence is the GPL: it runs in a process and an environment of its own, and is asked for numbers only.
"""

from __future__ import annotations

from streamcount.tlog import note
from streamcount.tlog.checkpoint import parse
from streamcount.tlog.merkle import leaf_hash, root
from tests.interop.making import entries_of
from tests.interop.places import HERE, Driver, environment, pinned
from tests.interop.table import Verdict

NAME = "pymerkle"


def find(bench):
    bench.aics = environment("interop", (3, 12))
    return pinned("interop", NAME)


def verdicts(bench):
    with Driver(bench.aics, "-P", HERE / "inside.py", seconds=bench.patience_s) as other:

        def over(log, *sizes):
            paths = [path for path in log.files if path.startswith("tile/entries/")]
            return other.ask(op="root", at=str(log.folder), paths=paths, sizes=sizes)

        for case in bench.cases():
            log = case.log
            # It sees entries alone: what is left out or damaged in their bundles.
            if case.spoilt in {"", "entries"}:
                told = over(log, log.size)
                signed = parse(note.peek(log.checkpoint)).root.hex()
                yield Verdict(
                    "roots over the entries in bundles",
                    case.what,
                    not case.spoilt,
                    told["ok"] and told["roots"] == [signed],
                    told.get("why", ""),
                )
        log = bench.logs[513]
        leaves = [leaf_hash(one) for one in entries_of(513)]
        for size, theirs in enumerate(over(log, *range(514))["roots"]):
            yield Verdict(
                "the root of each smaller tree",
                str(size),
                True,
                theirs == root(leaves[:size]).hex(),
            )
            yield Verdict(
                "the root of each smaller tree",
                f"of {size} against {size + 1}",
                False,
                theirs == root(leaves[: size + 1]).hex() and size < 513,
            )
