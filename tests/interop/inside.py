"""Answers questions with aics-tlog, or pymerkle, inside the environment that has them: one JSON object a line.

Run by aics.py and pymerkle.py as a program; nothing of ours is imported here. All that is ours is the way to
the files and the form of the questions.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import aics_tlog
import pymerkle


def log(asked):
    """Check a whole log: its checkpoint, every tile and bundle, and proofs of entries at the edges."""
    reader, point = _opened(asked)
    report = aics_tlog.audit_tiles(reader, point.size, point.root)
    verified = aics_tlog.VerifiedTileReader(reader, point.size, point.root)
    proofs = 0
    edges = {0, 1, 254, 255, 256, 257, 65_535, 65_536, point.size - 2, point.size - 1}
    for index in sorted(i for i in edges if 0 <= i < point.size):
        proof = aics_tlog.inclusion_proof_from_tiles(verified, index, point.size)
        leaf = aics_tlog.leaf_hash(verified.entry(index))
        if not aics_tlog.verify_inclusion(leaf, index, point.size, proof, point.root):
            raise ValueError(f"entry {index} is not included")
        proofs += 1
    return {"why": f"{report.tiles} tiles, {report.bundles} bundles, {proofs} proofs"}


def grown(asked):
    """Tell whether a log extends a checkpoint of it that was kept."""
    reader, point = _opened(asked)
    kept = _checkpoint(base64.b64decode(asked["note"]), asked)
    proof = aics_tlog.consistency_proof_from_tiles(reader, kept.size, point.size)
    if not aics_tlog.verify_consistency(kept.size, point.size, kept.root, point.root, proof):
        raise ValueError("not consistent")
    return {"why": f"{len(proof)} hashes"}


def cosigned(asked):
    """Tell whether a checkpoint has cosignatures of all of these witnesses."""
    point = _checkpoint(base64.b64decode(asked["note"]), asked)
    return {"why": str(point.timestamps)}


def _checkpoint(signed, asked):
    witnesses = [aics_tlog.parse_vkey(key) for key in asked.get("witnesses", [])]
    found = aics_tlog.verify_checkpoint(
        aics_tlog.parse_note(signed), aics_tlog.parse_vkey(asked["key"]), witnesses, len(witnesses),
        expected_origin=asked["key"].split("+")[0],
    )  # fmt: skip
    if not found.ok:
        raise ValueError(found.error)
    return found


def _opened(asked):
    at = asked["at"]
    if at.startswith("http://"):
        with build_opener(ProxyHandler({})).open(f"{at}/checkpoint", timeout=30) as answer:
            signed = answer.read(1 << 20)
        reader = aics_tlog.HttpTileReader(at, proxies={})
    else:
        signed = (Path(at) / "checkpoint").read_bytes()
        reader = aics_tlog.FileSystemTileReader(at)
    return reader, _checkpoint(signed, asked)


def root(asked):
    """Return pymerkle's roots over the first entries in a log's bundles, for each size asked for."""
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for path in asked["paths"]:
        data = (Path(asked["at"]) / path).read_bytes()
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            tree.append_entry(data[2:end])
            data = data[end:]
    if tree.get_size() != max(asked["sizes"]):
        raise ValueError("another number of entries")
    return {"roots": [tree.get_root(size).hex() for size in asked["sizes"]]}


def main():
    ops = {"log": log, "grown": grown, "cosigned": cosigned, "root": root}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = {"ok": True, **ops[asked["op"]](asked)}
        except Exception as error:  # noqa: BLE001 - whatever it raises, it did not accept
            told = {"ok": False, "why": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
