"""OpenSSL: the signature of a checkpoint, and the leaf hashes of entries, by hand, as anybody can.

It knows no notes: text, key and signature are taken out of them as signed-note says, and given to
`openssl pkeyutl -verify`. Hashes are those of `openssl dgst`.
"""

from __future__ import annotations

import base64
import shutil

from streamcount.tlog import note, tiles
from streamcount.tlog.checkpoint import parse
from tests.interop import spoiling
from tests.interop.places import run
from tests.interop.table import NotHereError, Verdict

NAME = "openssl"
_SIGNATURES = "signatures of checkpoints: pkeyutl -verify"
_HASHES = "leaf hashes, and roots of small logs: dgst -sha256"
# What stands in front of the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
_DER = bytes.fromhex("302a300506032b6570032100")


def find(_):
    if shutil.which("openssl") is None:
        raise NotHereError("no openssl (Debian: openssl)")
    version = run("openssl", "version").stdout.split()[1]
    if version.startswith(("0.", "1.0")):
        raise NotHereError(f"openssl {version} knows no Ed25519")
    return version


def verdicts(bench):
    scratch = bench.folder / "openssl"
    scratch.mkdir()
    for case in bench.cases():
        if case.spoilt in {"", "signature"} and (parts := taken_apart(case.log)):
            said, why = verify(scratch, *parts)
            yield Verdict(_SIGNATURES, case.what, not case.spoilt, said, why)
    for log in (*bench.logs.values(), bench.event):
        for path in edges(log):
            _, number, width = tiles.parse_path(path)
            entries = tiles.decode_bundle(log.files[path], width)
            leaf = log.files[tiles.tile_path("0", number, width)][-32:]
            for right, entry in (
                (True, entries[-1]),
                (False, spoiling.flipped(entries[-1] or b"\0")),
            ):
                what = f"{log.size} entries: last entry of {path}"
                yield Verdict(_HASHES, what, right, digest(b"\0" + entry) == leaf)
    for size in (2,) if bench.short else (2, 255):
        entries = [
            e
            for path in edges(bench.logs[size])
            for e in tiles.decode_bundle(bench.logs[size].files[path], size)
        ]
        root = parse(note.peek(bench.logs[size].checkpoint)).root
        yield Verdict(_HASHES, f"the root over {size} entries", True, tree(entries) == root)
        entries[0] = spoiling.flipped(entries[0])
        yield Verdict(
            _HASHES, f"the root over {size} entries, a bit in one", False, tree(entries) == root
        )


def edges(log):
    """The bundles at both ends of a log, and the one in the middle."""
    paths = [path for path in log.files if path.startswith("tile/entries/")]
    return dict.fromkeys([paths[0], paths[len(paths) // 2], paths[-1]])


def digest(data):
    return run("openssl", "dgst", "-sha256", "-binary", input=data, text=False).stdout


def tree(entries):
    """RFC 6962 section 2.1, word for word."""
    if len(entries) == 1:
        return digest(b"\0" + entries[0])
    left = 1 << (len(entries) - 1).bit_length() - 1
    return digest(b"\1" + tree(entries[:left]) + tree(entries[left:]))


def taken_apart(log):
    """Return key, text and signature; None when the note has no such parts."""
    text, blank, lines = log.files["checkpoint"].rpartition(b"\n\n")
    name, _, key = log.vkey.split("+", 2)
    key = base64.b64decode(key)[1:]
    for line in lines.splitlines():
        words = line.split(b" ")
        if blank and len(words) == 3 and words[1].decode() == name:
            data = base64.b64decode(words[2])
            if data[:4].hex() == log.vkey.split("+")[1]:
                return key, text + b"\n", data[4:]
    return None


def verify(scratch, key, text, signature):
    for name, data in (("key", _DER + key), ("text", text), ("signature", signature)):
        (scratch / name).write_bytes(data)
    done = run(
        "openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", scratch / "key",
        "-in", scratch / "text", "-sigfile", scratch / "signature",
    )  # fmt: skip
    return done.returncode == 0, (done.stdout + done.stderr).strip()
