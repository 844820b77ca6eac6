"""Logs as others read them: folders as C2SP tlog-tiles lays them out, written by our own code."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from streamcount.evidence.bundle import bundles, export
from streamcount.notary.reading import ArchiveReader
from streamcount.tlog import merkle, note, tiles
from streamcount.tlog.checkpoint import Checkpoint, parse
from tests.evidence.authority import Authority
from tests.evidence.logs import some_event
from tests.evidence.trusted import Witnessed

ORIGIN = "streamcount.invalid/interop/0123456789abcdef"
# Around every edge of a tile: of 256 entries, of two tiles, and of 256 tiles.
SIZES = (1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000)
VKEY = "log.vkey"
SHORT_SIZES = (1, 2, 255, 256, 257, 513)


def signer(of="interop", name=ORIGIN):
    return note.Signer(name, hashlib.sha256(of.encode()).digest())


@dataclass(frozen=True)
class Made:
    """A log in a folder, and whose key is to be asked for."""

    folder: Path
    files: dict[str, bytes]
    vkey: str
    size: int

    @property
    def checkpoint(self):
        return self.files["checkpoint"]


def entry(number, history=""):
    """Entry `number`: mostly a line of JSON, now and then the longest that there may be, or an empty one."""
    if number % 9973 == 77:
        return b"\xff" * tiles.ENTRY_BYTES_MAX
    if number % 997 == 5:
        return b""
    return f'{{"history":"{history}","number":{number}}}'.encode()


def point(leaves, by=None):
    """Return a checkpoint over these leaf hashes, signed."""
    by = by or signer()
    return by.sign(Checkpoint(by.name, len(leaves), merkle.root(leaves)).text())


def entries_of(size, fork=None):
    """Return the entries of a log; those from `fork` on are another history's."""
    return [entry(i, "" if fork is None or i < fork else "another") for i in range(size)]


def log_files(entries, by=None):
    """Return every file of a log, by its path."""
    leaves = [merkle.leaf_hash(one) for one in entries]
    files = {"checkpoint": point(leaves, by)}
    files |= tiles.tree_tiles(leaves)
    for path, start, end in bundles(len(entries)):
        files[path] = tiles.encode_bundle(entries[start:end])
    return files


def write(folder, files, vkey, like=None):
    """Write a log; what is the same in another one that is there is linked to it."""
    for path, data in files.items():
        if path == VKEY:
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if like is not None and like.files.get(path) is data:
            os.link(like.folder / path, target)
        else:
            target.write_bytes(data)
    (folder / VKEY).write_text(vkey + "\n", "utf-8")
    return Made(folder, files, vkey, 0 if like is None else like.size)


def make_log(folder, size):
    made = write(folder / str(size), log_files(entries_of(size)), signer().verifier.vkey())
    return Made(made.folder, made.files, made.vkey, size)


def make_event(folder, ticks=600):
    """A pack of a whole event, by the way it is exported, unpacked: its log, and the pack."""
    some_event(folder / "lesson", ticks=ticks, people=40).close()
    reader = ArchiveReader(folder / "lesson")
    export(reader, folder / "pack.zip")
    return unpacked(folder, reader.signer.verifier.vkey())


def make_timed(folder):
    """The same of an event whose claim two witnesses and two authorities have seen."""
    folder.mkdir()
    authorities = {name: Authority(folder / name, name) for name in ("first", "second")}
    event = Witnessed(folder, authorities).finish().keep(0, 2)
    for name in authorities:
        event.stamp(name, when=None)
    return unpacked(folder, event.made().key)


def unpacked(folder, vkey):
    with zipfile.ZipFile(folder / "pack.zip") as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    made = write(folder / "unpacked", files, vkey)
    return Made(made.folder, files, vkey, parse(note.peek(files["checkpoint"])).size)
