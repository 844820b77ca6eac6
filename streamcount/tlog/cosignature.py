"""C2SP tlog-cosignature, `cosignature/v1`: a witness says when it saw a checkpoint that extends the last.

    — <witness> <base64(key id (4 bytes) || time (8) || Ed25519 signature (64))>

over the bytes

    cosignature/v1
    time <Unix seconds, decimal>
    <the text of the checkpoint>

A witness's key is written like a verifier key, with type 0x04 in the place of 0x01. Its private key is
written as Go's sumdb/note writes any Ed25519 key: that form has type 0x01, whatever the key signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streamcount.tlog import checkpoint as cp
from streamcount.tlog import note
from streamcount.tlog.checkpoint import Checkpoint

# 12 November 36812; what is later is no time.
TIME_MAX: Final = 2**40


# What is taken of a checkpoint that is posted: one with a line of every witness there can be.
POSTED_BYTES_MAX: Final = 16_384
_SIGNATURE_BYTES: Final = 8 + 64


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint of the log, and who has seen it: number of the witness -> when, in Unix seconds."""

    point: Checkpoint
    times: dict[int, int]
    lines: dict[int, note.Signature]


def witness_of(signer: note.Signer) -> note.Verifier:
    """Return the witness's key that belongs to a private one."""
    return note.Verifier(signer.name, signer.verifier.public, note.COSIGNATURE)


def wrote(witness: note.Verifier, line: note.Signature) -> bool:
    """Tell whether a signature line says that it is by this witness; it may not hold."""
    return line[:2] == (witness.name, witness.key_id)


def time_in(witness: note.Verifier, line: note.Signature, text: str) -> int:
    """Return when the witness saw this text, by its own clock, in Unix seconds.

    Raises:
        NoteError: the line is not its cosignature of this text.
    """
    signature = line[2]
    if not wrote(witness, line) or len(signature) != _SIGNATURE_BYTES:
        raise note.NoteError(f"not a cosignature by {witness.vkey()}")
    time = int.from_bytes(signature[:8], "big")
    if time > TIME_MAX or not witness.verify(_signed(text, time), signature[8:]):
        raise note.NoteError(f"the cosignature by {witness.vkey()} does not hold")
    return time


def cosign(signer: note.Signer, text: str, time: int) -> bytes:
    """Return the line, with its newline, that says this checkpoint was seen at `time` (Unix seconds).

    Raises:
        NoteError: the text is no checkpoint, or the time none.
    """
    cp.parse(text)
    if not 0 <= time <= TIME_MAX:
        raise note.NoteError(f"a cosignature's time is from 0 to {TIME_MAX}")
    signature = Ed25519PrivateKey.from_private_bytes(signer.seed).sign(_signed(text, time))
    return note.line_of(signer.name, witness_of(signer).key_id, time.to_bytes(8, "big") + signature)


def parse_lines(data: bytes, lines_max: int = note.SIGNATURES_MAX) -> list[note.Signature]:
    """Read signature lines without a note around them, as a witness answers them.

    Raises:
        NoteError: one of them is none, or there are too many, or none.
    """
    return note.split(b"x\n\n" + data, bytes_max=note.NOTE_BYTES_MAX, signatures_max=lines_max)[1]


def open_cosigned(
    signed: bytes, log: note.Verifier, witnesses: Sequence[note.Verifier]
) -> Cosigned:
    """Open a kept checkpoint: the log's line first, then of each witness one at most, in their order.

    Raises:
        NoteError: it is not of that form, or something in it does not hold.
    """
    text, lines = note.split(signed, signatures_max=1 + len(witnesses))
    name, key_id, signature = lines[0]
    if (name, key_id) != (log.name, log.key_id) or not log.verify(text.encode(), signature):
        raise note.NoteError(f"the first signature is not one by {log.vkey()} that holds")
    point = cp.parse(text)
    if point.origin != log.name:
        raise note.NoteError(f"a checkpoint of {point.origin!r} signed by the key of {log.name!r}")
    times: dict[int, int] = {}
    found: dict[int, note.Signature] = {}
    for line in lines[1:]:
        number = next((n for n, one in enumerate(witnesses) if wrote(one, line)), None)
        if number is None:
            raise note.NoteError(
                f"a signature by {line[0]!r:.120}, who is no witness of this event"
            )
        if times and number <= max(times):
            raise note.NoteError("cosignatures are not in the order of the witnesses, one of each")
        times[number] = time_in(witnesses[number], line, text)
        found[number] = line
    return Cosigned(point, times, found)


def write_cosigned(signed: bytes, lines: dict[int, note.Signature]) -> bytes:
    """Return a kept checkpoint: one signed by the log alone, with these witnesses' lines behind."""
    return signed + b"".join(note.line_of(*lines[number]) for number in sorted(lines))


def _signed(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
