"""Checkpoints with the lines of witnesses, written by our own code: true, and spoilt."""

from __future__ import annotations

import base64

from streamcount.tlog import cosignature, note
from tests.evidence.authority import OPENSSL
from tests.evidence.trusted import KEYS
from tests.interop.making import signer
from tests.interop.spoiling import flipped

TIME = 1_795_000_000


def witness(number):
    return signer(f"witness {number}", f"witness.invalid/w{number}")


def vkeys(*numbers):
    return [cosignature.witness_of(witness(number)).vkey() for number in numbers]


def checkpoints(bench):
    """Yield what, checkpoint, the log's key, the witnesses whose lines are asked for, and whether they hold."""
    log = bench.logs[257]
    for what, signed, witnesses, right in notes(log):
        yield what, signed, log.vkey, witnesses, right
    if OPENSSL is not None:
        for what, signed, witnesses, right in kept(bench.timed):
            yield what, signed, bench.timed.vkey, witnesses, right


def kept(log):
    """The checkpoints that a pack keeps, which two of its three witnesses cosigned."""
    first, second, third = [one.vkey() for one in KEYS]
    for path, signed in log.files.items():
        if path.startswith("checkpoints/"):
            yield f"{path} of a pack", signed, [first, third], True
            yield f"{path} of a pack, a bit of a line", flipped_line(signed), [first, third], False
            yield (
                f"{path} of a pack, of a witness who did not see it",
                signed,
                [first, second],
                False,
            )


def notes(log):
    """A checkpoint of ours with lines of ours."""
    text = note.peek(log.checkpoint)
    lines = [cosignature.cosign(witness(number), text, TIME + number) for number in range(3)]
    yield "one witness", log.checkpoint + lines[0], vkeys(0), True
    yield "two of three", log.checkpoint + b"".join(lines), vkeys(0, 2), True
    yield "three", log.checkpoint + b"".join(lines), vkeys(0, 1, 2), True
    yield (
        "at the first second",
        log.checkpoint + cosignature.cosign(witness(0), text, 1),
        vkeys(0),
        True,
    )
    yield "a line that is not there", log.checkpoint + lines[0], vkeys(0, 1), False
    other = text.replace(f"\n{log.size}\n", f"\n{log.size + 1}\n")
    yield (
        "of another size",
        log.checkpoint + cosignature.cosign(witness(0), other, TIME),
        vkeys(0),
        False,
    )
    yield (
        "by another key under the witness's name",
        log.checkpoint + cosignature.cosign(signer("x", witness(0).name), text, TIME),
        vkeys(0),
        False,
    )
    head, encoded = lines[0].decode().rstrip("\n").rsplit(" ", 1)
    data = base64.b64decode(encoded)
    spoilt = {
        "a bit of its signature": flipped(data, 40),
        "a bit of its time": flipped(data, 11),
        "without its time": data[:4] + data[12:],
        "cut short": data[:-1],
    }
    for what, changed in spoilt.items():
        line = f"{head} {base64.b64encode(changed).decode()}\n".encode()
        yield what, log.checkpoint + line, vkeys(0), False
    # Signed as a log signs, not as a witness does: without the time and the words in front.
    plain = base64.b64decode(witness(0).sign(text).decode().split()[-1])[4:]
    line = f"{head} {base64.b64encode(data[:12] + plain).decode()}\n".encode()
    yield "a log's signature in a witness's place", log.checkpoint + line, vkeys(0), False
    yield (
        "the log's line spoilt under a good cosignature",
        flipped_line(log.checkpoint) + lines[0],
        vkeys(0),
        False,
    )


def flipped_line(signed):
    head, encoded = signed.decode().rstrip("\n").rsplit(" ", 1)
    return f"{head} {base64.b64encode(flipped(base64.b64decode(encoded), 30)).decode()}\n".encode()
