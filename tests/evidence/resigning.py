"""Packs with files changed by whoever holds the log's key: everything in its place, the manifest made anew."""

from __future__ import annotations

import re

from streamcount.evidence.pack import MANIFEST, Manifest, PackWriter
from tests.evidence.forging import contents


def _place(names):
    """Where a file stands: kept checkpoints by size, each before its tokens; the rest as it is."""

    def key(name):
        found = re.fullmatch(r"(checkpoints|time)/(\d{1,9})\b(.*)", name)
        if found is None:
            early = list(names).index(name) if name in names else 1
            return (0, early, 0, "")
        return (1, int(found[2]), found[1] == "time", found[3])

    return key


def resigned(made, folder, change):
    """Write a pack with files changed, added or (None) left out, under a manifest that lists them."""
    files = contents(made.path)
    stage = files.pop(MANIFEST).split(b"\n")[2].decode()
    wanted = {name: data for name, data in (files | change).items() if data is not None}
    out = folder / "resigned.zip"
    with out.open("wb") as file:
        pack = PackWriter(file)
        for name in sorted(wanted, key=_place(list(files))):
            pack.add(name, wanted[name])
        manifest = Manifest(made.signer.name, stage, dict(pack.digests))
        pack.add(MANIFEST, made.signer.sign(manifest.text()))
        pack.finish()
    return out
