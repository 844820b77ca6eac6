"""Packs to verify: of events that never happened, and changed by somebody who holds the key."""

from __future__ import annotations

import base64
import contextlib
import dataclasses

from streamcount.config import PackLimits
from streamcount.core import canonical, entries
from streamcount.evidence.bundle import bundles, export
from streamcount.evidence.pack import (
    MANIFEST,
    Manifest,
    PackReader,
    PackWriter,
    body_path,
    decode_bodies,
    encode_bodies,
)
from streamcount.evidence.verify import verify
from streamcount.notary.reading import ArchiveReader
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note, tiles
from streamcount.tlog.merkle import leaf_hash, root
from tests.evidence.logs import some_event


@dataclasses.dataclass
class Made:
    path: object
    signer: note.Signer
    checkpoint: bytes

    @property
    def key(self):
        return self.signer.verifier.vkey()

    def verify(self, path=None, **options):
        return verify(path or self.path, **({"key": self.key} | options))


def make(folder, **options):
    some_event(folder / "lesson", **options)
    reader = ArchiveReader(folder / "lesson")
    export(reader, folder / "pack.zip")
    return Made(folder / "pack.zip", reader.signer, reader.signed)


def contents(path):
    with path.open("rb") as file:
        reader = PackReader(file, PackLimits())
        return {name: reader.read(name) for name in reader.members}


def rewrite(path, folder, change):
    """Write a pack with some files changed (None leaves one out, new ones go in front)."""
    files = {
        **{k: v for k, v in change.items() if v is not None and k not in contents(path)},
        **contents(path),
    }
    out = folder / "rewritten.zip"
    with out.open("wb") as file:
        pack = PackWriter(file)
        for name, data in files.items():
            new = change.get(name, data)
            if new is not None:
                pack.add(name, new)
        pack.finish()
    return out


class Forger:
    """Rebuilds a pack around changed entries or bodies, signing everything anew."""

    def __init__(self, made, signer=None):
        files = contents(made.path)
        self.signer = signer or made.signer
        ((path, start, end),) = bundles(
            cp.parse(note.open_note(made.checkpoint, made.signer.verifier)).size
        )
        self.entries = tiles.decode_bundle(files[path], end - start)
        self.stored = list(decode_bodies(files[body_path(path)], end - start))
        beside = ("README.txt", "sheet.txt")
        self.papers = {k: v for k, v in files.items() if k in beside or k.startswith("trust/")}
        self.stage = "final"
        # Whether claims are given the sizes and roots that changed entries before them make.
        self.rooted = True
        self.order = ("README.txt", "log.vkey", *list(self.papers)[1:])

    def change(self, number, **change):
        plain = canonical.load(self.entries[number]) | change
        self.entries[number] = canonical.dump(plain)

    def define(self, **change):
        """Change the definition, in the first entry and in every claim."""
        event = canonical.load(self.entries[0])["event"] | change
        self.change(0, event=event)
        for number, entry in enumerate(self.entries):
            if b'"type":"claim"' in entry:
                self.change(number, definition={k: v for k, v in event.items() if k != "streams"})

    def number(self, kind, nth=0):
        found = [n for n, e in enumerate(self.entries) if isinstance(entries.decode(e), kind)]
        return found[nth]

    def write(self, folder):
        out = folder / "forged.zip"
        size = len(self.entries)
        leaves = []
        for number, entry in enumerate(self.entries):
            if self.rooted and b'"type":"claim"' in entry:
                prefix = base64.b64encode(root(leaves)).decode()
                # What is no canonical JSON stays as it is.
                with contextlib.suppress(canonical.NotCanonicalError):
                    self.change(number, size=number, root=prefix)
            leaves.append(leaf_hash(self.entries[number]))
        with out.open("wb") as file:
            pack = PackWriter(file)
            vkey = f"{self.signer.verifier.vkey()}\n".encode()
            for name in self.order:
                pack.add(name, (self.papers | {"log.vkey": vkey})[name])
            point = cp.Checkpoint(self.signer.name, size, root(leaves))
            pack.add("checkpoint", self.signer.sign(point.text()))
            for path, tile in tiles.tree_tiles(leaves):
                pack.add(path, tile)
            for path, start, end in bundles(size):
                pack.add(path, tiles.encode_bundle(self.entries[start:end]))
                pack.add(body_path(path), encode_bodies(self.stored[start:end]))
            manifest = Manifest(self.signer.name, self.stage, dict(pack.digests))
            pack.add(MANIFEST, self.signer.sign(manifest.text()))
            pack.finish()
        return out
