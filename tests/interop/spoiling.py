"""One log, spoilt in every way we know, each of which whoever follows it has to notice.

Each way says where the fault is: in the `signature` of the checkpoint, in the `form` of its note or in whose
it is, in the `tree` (checkpoint and tiles do not fit), or in the `entries` (they are not the leaves in the
tiles). A tool is given those that it can see.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass

from streamcount.tlog import note, tiles
from streamcount.tlog.checkpoint import Checkpoint, parse
from streamcount.tlog.merkle import leaf_hash
from tests.interop.making import Made, entries_of, log_files, point, signer, write


@dataclass(frozen=True)
class Case:
    """What a tool is given. `spoilt` is where, or empty: then it must be accepted."""

    what: str
    log: Made
    spoilt: str = ""


def flipped(data, at=None):
    """The same with one bit changed."""
    draw = random.Random(len(data))
    at = draw.randrange(len(data)) if at is None else at % len(data)
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def shorter(data):
    return data[:-1]


def longer(data):
    return data + b"\0"


def gone(_):
    return None


def stated(log, by=None, **change):
    """A checkpoint that says something else, and is signed."""
    said = parse(note.peek(log.checkpoint))
    plain = {"origin": said.origin, "size": said.size, "root": said.root}
    return (by or signer()).sign(Checkpoint(**(plain | change)).text())


def notes(log):
    """Yield where, what, checkpoints whose notes do not hold, and the key that is asked for."""
    signed, vkey = log.checkpoint, log.vkey
    text, line = signed.decode().split("\n\n")
    head, _, encoded = line.rstrip("\n").rpartition(" ")
    data = base64.b64decode(encoded)

    def with_signature(signature):
        return f"{text}\n\n{head} {base64.b64encode(signature).decode()}\n".encode()

    another = signer("another")
    yield "signature", "a bit of the signature", with_signature(flipped(data, -20)), vkey
    yield "signature", "a bit of the signature's S", with_signature(flipped(data, -1)), vkey
    yield "signature", "a signature cut short", with_signature(data[:-1]), vkey
    yield "form", "a bit of the key's id in the line", with_signature(flipped(data, 2)), vkey
    yield (
        "signature",
        "another size, not signed again",
        signed.replace(f"\n{log.size}\n".encode(), f"\n{log.size + 1}\n".encode()),
        vkey,
    )
    yield "signature", "another root, not signed again", flipped_root(signed), vkey
    yield "signature", "another origin, not signed again", b"x" + signed, vkey
    yield "form", "asked for with another key of the same name", signed, another.verifier.vkey()
    yield "form", "signed by another key of the same name", stated(log, by=another), vkey
    yield (
        "signature",
        "another key, under the id of the right one",
        with_signature(data[:4] + base64.b64decode(stated(log, by=another).split()[-1])[4:]),
        vkey,
    )
    yield "form", "CR LF at the ends of lines", signed.replace(b"\n", b"\r\n"), vkey
    yield "form", "no newline at the end", signed[:-1], vkey
    yield "form", "no blank line", signed.replace(b"\n\n", b"\n"), vkey
    yield "form", "no signature", signed[: signed.index(b"\n\n") + 2], vkey
    yield "form", "a hyphen for the dash", signed.replace("\u2014".encode(), b"-"), vkey
    yield "form", "a NUL behind the origin", signed.replace(b"\n", b"\0\n", 1), vkey
    yield "form", "not UTF-8", b"\xff" + signed, vkey
    yield "form", "an empty file", b"", vkey


def flipped_root(signed):
    at = signed.index(b"\n", signed.index(b"\n") + 1) + 5
    return signed[:at] + (b"A" if signed[at : at + 1] != b"A" else b"B") + signed[at + 1 :]


def heads(log):
    """Yield checkpoints that the right key signed, over what is not in the tiles."""
    said = parse(note.peek(log.checkpoint))
    yield "another root, signed", stated(log, root=flipped(said.root))
    yield "one entry more, signed", stated(log, size=log.size + 1)
    if log.size > 1:
        yield "one entry less, signed", stated(log, size=log.size - 1)
        fork = log_files(entries_of(log.size, fork=log.size // 2))
        yield "the checkpoint of a fork, signed", fork["checkpoint"]


def damaged(log):
    """Yield where, what and files that differ: None for one that is not there."""
    paths = [path for path in log.files if path.startswith("tile/")]
    levels = sorted({tiles.parse_path(path)[0] for path in paths})
    for level in levels:
        there = [path for path in paths if tiles.parse_path(path)[0] == level]
        # A full tile and the last one, which most of the time is partial.
        for path in dict.fromkeys([there[len(there) // 2], there[-1]]):
            where = "entries" if level == "entries" else "tree"
            for how, word in (
                (flipped, "a bit of"),
                (shorter, "a byte missing from"),
                (longer, "a byte more in"),
                (gone, "without"),
            ):
                yield where, f"{word} {path}", {path: how(log.files[path])}
    last = [path for path in paths if path.startswith("tile/entries/")][-1]
    entries = tiles.decode_bundle(log.files[last], tiles.parse_path(last)[2])
    if len(entries) > 1:
        entries[0], entries[-1] = entries[-1], entries[0]
        yield (
            "entries",
            f"two entries in each other's place in {last}",
            {last: tiles.encode_bundle(entries)},
        )
    fork = log_files(entries_of(log.size, fork=log.size - 1))
    yield "entries", "the last bundle of a fork", {last: fork[last]}
    yield "tree", "all tiles and bundles of a fork", {p: fork[p] for p in paths}


def true_ones(folder, log):
    """Yield what is unusual and must be accepted all the same."""
    stranger = signer("a stranger", "witness.invalid/w1")
    lines = stranger.sign(note.peek(log.checkpoint)).decode().split("\n\n")[1]
    cosigned = log.checkpoint + lines.encode()
    yield Case(
        "a signature of an unknown key", changed(folder / "stranger", log, {"checkpoint": cosigned})
    )
    namesake = signer("a namesake").sign(note.peek(log.checkpoint)).decode().split("\n\n")[1]
    before = log.checkpoint.replace(b"\n\n", f"\n\n{namesake}".encode())
    yield Case(
        "an unknown key of the same name, first",
        changed(folder / "namesake", log, {"checkpoint": before}),
    )
    sixteen = log.checkpoint + b"".join(
        signer(str(i), f"witness.invalid/{i}").sign(note.peek(log.checkpoint)).split(b"\n\n")[1]
        for i in range(15)
    )
    yield Case("sixteen signatures", changed(folder / "sixteen", log, {"checkpoint": sixteen}))


def changed(folder, log, change, vkey=None):
    files = {path: data for path, data in (log.files | change).items() if data is not None}
    return write(folder, files, vkey or log.vkey, like=log)


def spoilt_ones(folder, log):
    """Yield the log spoilt in every way."""
    number = 0
    for where, what, signed, vkey in notes(log):
        number += 1
        yield Case(what, changed(folder / str(number), log, {"checkpoint": signed}, vkey), where)
    for what, signed in heads(log):
        number += 1
        yield Case(what, changed(folder / str(number), log, {"checkpoint": signed}), "tree")
    for where, what, change in damaged(log):
        number += 1
        yield Case(what, changed(folder / str(number), log, change), where)


def other_histories(log):
    """Yield checkpoints of earlier moments: what of it, the note, and whether this log extends it."""
    leaves = [leaf_hash(one) for one in entries_of(log.size)]
    fork = [leaf_hash(one) for one in entries_of(log.size, fork=0)]
    edges = {
        1,
        2,
        3,
        255,
        256,
        257,
        511,
        512,
        513,
        1000,
        65_535,
        65_536,
        65_537,
        log.size - 1,
        log.size,
    }
    for size in sorted(m for m in edges if 1 <= m <= log.size):
        yield f"of {size}", point(leaves[:size]), True
        yield f"of {size}, of a fork", point(fork[:size]), False
    yield "of more than there is", point([*leaves, bytes(32)]), False
