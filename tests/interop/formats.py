"""transparency-dev's formats and merkle, the packages that the witness network runs on: cosignatures, proofs.

They come by the Go module proxy, held to go/formats/go.sum. They read no tiles: an entry's proof is made by
x/mod from our tiles, and stands in a .tlog-proof before a checkpoint of ours with witnesses' lines.
"""

from __future__ import annotations

import base64
import os
import re
import shutil

from streamcount.tlog import cosignature, note
from streamcount.tlog.merkle import leaf_hash
from streamcount.tlog.proofs import Tree
from tests.interop import cosigned, spoiling, xmod
from tests.interop.making import entries_of, entry, point
from tests.interop.places import HERE, Driver, last_line, run
from tests.interop.table import NotHereError, Verdict

NAME = "transparency-dev formats, merkle"
_SEEN = "cosignatures"
_PROOF = ".tlog-proof: an entry, our tiles, a cosigned checkpoint"
_GROWN = "our consistency proofs"


def find(bench):
    go = xmod.find_go()
    folder = bench.folder / "formats"
    shutil.copytree(HERE / "go" / "formats", folder)
    options = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    made = run(go, "build", "-o", "formats", ".", cwd=folder, env=options, seconds=600)
    if made.returncode:
        raise NotHereError(f"go build: {last_line(made.stderr)}")
    bench.formats = folder / "formats"
    bench.driver = xmod.build(go, bench.folder / "driver-of-formats", served=False)[0]
    versions = re.findall(r"transparency-dev/\w+ (v[\d.]+)", (folder / "go.mod").read_text())
    return ", ".join(versions)


def verdicts(bench):
    log = bench.logs[257]
    with Driver(bench.formats, seconds=bench.patience_s) as other:
        for what, signed, key, witnesses, right in cosigned.checkpoints(bench):
            told = other.ask(op="cosigned", key=key, note=_text(signed), witnesses=witnesses)
            yield Verdict(_SEEN, what, right, told["ok"], told["why"])
        for what, data, number, right in receipts(bench, log):
            told = other.ask(
                op="proof",
                key=log.vkey,
                note=_text(data),
                witnesses=cosigned.vkeys(0, 1),
                entry=_text(entry(number)),
            )
            yield Verdict(_PROOF, what, right, told["ok"], told["why"])
        yield from grown(other, log)


def receipts(bench, log):
    """Yield proofs of entries as C2SP tlog-proof writes them."""
    text = note.peek(log.checkpoint)
    lines = b"".join(cosignature.cosign(cosigned.witness(n), text, cosigned.TIME) for n in range(2))
    with Driver(bench.driver, seconds=bench.patience_s) as go:
        for number in (0, 1, 255, 256):
            found = go.ask(op="prove", at=str(log.folder), key=log.vkey, number=number)
            hashes = [base64.b64decode(one) for one in found["hashes"]]
            yield f"entry {number}", proof(number, hashes, log.checkpoint + lines), number, True
            yield (
                f"entry {number}, another place",
                proof(number ^ 1 if number < 256 else 0, hashes, log.checkpoint + lines),
                number,
                False,
            )
            hashes[0] = spoiling.flipped(hashes[0])
            yield (
                f"entry {number}, a bit of a hash",
                proof(number, hashes, log.checkpoint + lines),
                number,
                False,
            )


def proof(number, hashes, signed):
    lines = "".join(base64.b64encode(one).decode() + "\n" for one in hashes)
    return f"c2sp.org/tlog-proof@v1\nindex {number}\n{lines}\n".encode() + signed


def grown(other, log):
    leaves = [leaf_hash(one) for one in entries_of(513)]
    tree = Tree()
    tree.extend(leaves)
    edges = [1, 2, 3, 4, 7, 8, 255, 256, 257, 511, 512, 513]
    for old in edges:
        for new in (size for size in edges if size >= old):
            proof = tree.proof(old, new)
            asked = {
                "op": "grown",
                "key": log.vkey,
                "note": _text(point(leaves[:new])),
                "old": _text(point(leaves[:old])),
            }
            told = other.ask(**asked, hashes=[_text(one) for one in proof])
            yield Verdict(_GROWN, f"{old} to {new}", True, told["ok"], told["why"])
            spoilt = [*proof[:-1], spoiling.flipped(proof[-1])] if proof else [bytes(32)]
            told = other.ask(**asked, hashes=[_text(one) for one in spoilt])
            yield Verdict(
                _GROWN, f"{old} to {new}, a bit of a hash", False, told["ok"], told["why"]
            )


def _text(data):
    return base64.b64encode(data).decode()
