"""Our readers beside Go's on thousands of inputs that are nearly right: where they differ, why, and whose way is right.

What we accept Go has to accept, with the same meaning. What we refuse it may accept for one of the reasons that
stand here, each of which docs/interop.md explains; any other difference fails the run.
"""

from __future__ import annotations

import base64
import random

from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note, tiles
from tests.interop import mutating
from tests.interop.mutating import LOG
from tests.interop.table import Verdict

SPELLING = "base64 in a spelling that is not the canonical one"
SECOND = "a later signature by the key that does not hold: Go looks at the first one only"
WEAK = "a key or a signature whose point is of small order or not canonically encoded"
UPPER = "the id of a key in capital letters"
CONTROL = "a control character in a key's name"
EXTENSION = "a checkpoint with extension lines, or without all of three"
DIGITS = "a size of more than 16 digits"
LEVEL = "a level above 63, which tlog-tiles does not have"
LONG = "a number of a tile of more than 15 digits"


def verdicts(go, count, seed=1):
    draw = random.Random(seed)
    for _ in range(count):
        yield one_note(go, mutating.signed_note(draw))
        yield one_key(go, mutating.vkey(draw))
        yield one_checkpoint(go, mutating.checkpoint(draw))
        yield one_path(go, mutating.path(draw))


def one_note(go, signed):
    try:
        ours, said = note.open_note(signed, LOG.verifier).encode(), ""
    except note.NoteError as error:
        ours, said = None, str(error)
    told = go.ask(op="note", key=LOG.verifier.vkey(), note=base64.b64encode(signed).decode())
    theirs = base64.b64decode(told.get("note") or "") if told["ok"] else None
    reason = ""
    if theirs is None:
        pass
    elif "canonical" in said or "not base64" in said:
        reason = SPELLING if respelt(signed) else ""
    elif "does not hold" in said:
        reason = SECOND if holds_first(signed) else ""
    return compared("notes", repr(signed), ours, theirs, said or told["why"], reason)


def respelt(signed):
    """Tell whether the note would be read by us, were all its base64 as it is mostly written."""
    text, lines = signed.decode().rsplit("\n\n", 1)
    better = []
    for line in lines.splitlines():
        head, encoded = line.rsplit(" ", 1)
        better.append(f"{head} {base64.b64encode(base64.b64decode(encoded)).decode()}\n")
    try:
        note.open_note(f"{text}\n\n{''.join(better)}".encode(), LOG.verifier)
    except note.NoteError as error:
        return "does not hold" in str(error) and holds_first(
            f"{text}\n\n{''.join(better)}".encode()
        )
    return True


def holds_first(signed):
    """Tell whether the note holds without what the key signed after its first signature."""
    text, lines = signed.decode().rsplit("\n\n", 1)
    kept, seen = [], False
    for line in lines.splitlines():
        _, name, encoded = line.split(" ")
        ours = name == LOG.name and base64.b64decode(encoded)[:4] == LOG.verifier.key_id
        if not (ours and seen):
            kept.append(line + "\n")
        seen |= ours
    try:
        note.open_note(f"{text}\n\n{''.join(kept)}".encode(), LOG.verifier)
    except note.NoteError:
        return False
    return True


def one_key(go, vkey):
    try:
        ours, said = note.parse_vkey(vkey), ""
    except note.NoteError as error:
        ours, said = None, str(error)
    told = go.ask(op="key", key=vkey)
    reason = ""
    if "mean anything" in said:
        reason = WEAK
    elif "base64" in said:
        reason = SPELLING
    elif "does not belong" in said and vkey.split("+")[1].lower() != vkey.split("+")[1]:
        reason = UPPER
    elif "not a key's name" in said and any(c < " " for c in vkey.split("+")[0]):
        reason = CONTROL
    return compared(
        "verifier keys", repr(vkey), ours and True, told["ok"] or None, said or told["why"], reason
    )


def one_checkpoint(go, text):
    try:
        point = cp.parse(text)
        ours, said = (point.size, point.root), ""
    except note.NoteError as error:
        ours, said = None, str(error)
    told = go.ask(op="checkpoint", note=base64.b64encode(text.encode()).decode())
    theirs = (told["size"], base64.b64decode(told["hash"])) if told["ok"] else None
    reason, lines = "", text.split("\n")
    if "base64" in said:
        reason = SPELLING
    elif "three lines" in said:
        reason = DIGITS if len(lines) > 1 and len(lines[1]) > 16 else EXTENSION
    return compared("checkpoints", repr(text), ours, theirs, said or told["why"], reason)


def one_path(go, path):
    try:
        level, number, width = tiles.parse_path(path)
        ours, said = (-1 if level == "entries" else int(level), number, width), ""
    except tiles.TileError as error:
        ours, said = None, str(error)
    told = go.ask(op="path", path=path)
    theirs = (told["level"], told["number"], told["width"]) if told["ok"] else None
    reason = ""
    if theirs and theirs[0] > 63:
        reason = LEVEL
    elif theirs and theirs[1] >= 10**15:
        reason = LONG
    return compared("paths of tiles", repr(path), ours, theirs, said or told["why"], reason)


def compared(what, given, ours, theirs, why, reason):
    """Ours first: what it takes the other has to take, as the same; what it refuses, too, or for a reason."""
    right = ours is not None
    said = theirs is not None if not right else theirs == ours
    return Verdict(
        f"mutated {what}, beside our reader", given[:300], right, said, why, "" if right else reason
    )
