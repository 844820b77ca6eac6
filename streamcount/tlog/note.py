"""C2SP signed-note v1.0.0: a text, a blank line, and lines that sign it with Ed25519 keys.

    <text, ending in a newline>
    <blank line>
    — <key name> <base64(key id (4 bytes) || signature)>

The key id is SHA-256(name || 0x0A || type || public key)[:4]; type 0x01 is Ed25519 over the text with
its final newline. A verifier key ("vkey") is `name+hex(key id)+base64(type || public key)`. Signatures
by keys that are not asked for are ignored; one that is asked for and fails rejects the note. Base64
is read strictly (RFC 4648 section 4, padding bits zero), so that a note has one spelling.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519: Final = b"\x01"
# The type of witnesses' keys (C2SP tlog-cosignature): they sign a checkpoint and a time, not notes.
COSIGNATURE: Final = b"\x04"
SIGNATURES_MAX: Final = 100
NOTE_BYTES_MAX: Final = 1 << 20
_DASH: Final = "\u2014 "
# The field of Curve25519, and the y coordinates of its eight points of small order: 0, 1, -1 and these.
# A signature by a key of small order can hold for every text; libraries differ on refusing it.
_FIELD: Final = 2**255 - 19
_SMALL_ORDER: Final = {
    0,
    1,
    _FIELD - 1,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
}
_PRIVATE: Final = "PRIVATE+KEY+"


# What a signature line says: the key's name, its id, and what follows that.
Signature = tuple[str, bytes, bytes]


class NoteError(ValueError):
    """The bytes are no note, or not signed as asked; the message says which."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name. `kind`: what it signs, notes or, a witness's, cosignatures."""

    name: str
    public: bytes
    kind: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell this key among others of the same name."""
        given = self.name.encode() + b"\n" + self.kind + self.public
        return hashlib.sha256(given).digest()[:4]

    def vkey(self) -> str:
        """Return the key as C2SP signed-note prints it."""
        encoded = base64.b64encode(self.kind + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verify(self, text: bytes, signature: bytes) -> bool:
        """Tell whether the 64-byte signature of the text holds."""
        if len(signature) != 64 or not _sound(self.public) or not _sound(signature[:32]):
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name. Never printed."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        return Verifier(self.name, key.public_key().public_bytes_raw())

    def private_text(self) -> str:
        """Return the key in the private form of Go's sumdb/note, for a file only its owner reads."""
        encoded = base64.b64encode(ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    def sign(self, text: str) -> bytes:
        """Return the text as a note signed with this key.

        Raises:
            NoteError: the text cannot be a note's: not ending in a newline, or with controls.
        """
        check_text(text)
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n".encode() + line_of(self.name, self.verifier.key_id, signature)


def _sound(point: bytes) -> bool:
    """Tell whether a point is encoded as RFC 8032 section 5.1.2 does, and not of small order."""
    y = int.from_bytes(point, "little") & ((1 << 255) - 1)
    return y < _FIELD and y not in _SMALL_ORDER


def check_name(name: str) -> None:
    """Check the name of a key: not empty, no space, no plus sign.

    Raises:
        NoteError: it cannot be one.
    """
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        msg = f"not a key's name: {name!r}"
        raise NoteError(msg)


def check_text(text: str) -> None:
    """Check the text of a note: it ends in a newline and has no other control character.

    Raises:
        NoteError: it cannot be one.
    """
    if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
        msg = "the text of a note ends in a newline and holds no other control character"
        raise NoteError(msg)


def parse_vkey(vkey: str) -> Verifier:
    """Read a verifier key.

    Raises:
        NoteError: it is malformed, of another type than Ed25519, or its id does not match.
    """
    return _verifier(vkey, "verifier key", ED25519)


def parse_witness(vkey: str) -> Verifier:
    """Read a witness's key.

    Raises:
        NoteError: it is malformed, of another type than cosignature/v1, or its id does not match.
    """
    return _verifier(vkey, "witness's key", COSIGNATURE)


def _verifier(vkey: str, what: str, kind: bytes) -> Verifier:
    name, data, key_id = _key_parts(vkey, what, kind)
    verifier = Verifier(name, data, kind)
    if verifier.key_id.hex() != key_id:
        raise NoteError(f"{what}: the id in it does not belong to the key")
    if not _sound(data):
        raise NoteError(f"{what}: not the encoding of a point whose signatures mean anything")
    return verifier


def parse_private(text: str) -> Signer:
    """Read the private form `Signer.private_text` writes.

    Raises:
        NoteError: it is malformed, or its id does not match.
    """
    if not text.startswith(_PRIVATE):
        msg = "private key: does not begin with PRIVATE+KEY+"
        raise NoteError(msg)
    name, data, key_id = _key_parts(text.removeprefix(_PRIVATE), "private key", ED25519)
    signer = Signer(name, data)
    if signer.verifier.key_id.hex() != key_id:
        msg = "private key: the id in it does not belong to the key"
        raise NoteError(msg)
    return signer


def _key_parts(text: str, what: str, kind: bytes) -> tuple[str, bytes, str]:
    parts = text.split("+", 2)
    if len(parts) != 3:
        msg = f"{what}: must be name+id+key"
        raise NoteError(msg)
    name, key_id, encoded = parts
    check_name(name)
    data = decode_base64(encoded, what)
    if len(data) != 33 or data[:1] != kind:
        raise NoteError(f"{what}: not an Ed25519 key of type {kind.hex()}")
    return name, data[1:], key_id


def decode_base64(encoded: str, what: str) -> bytes:
    """Decode standard base64 in its one canonical spelling (RFC 4648 section 4).

    Raises:
        NoteError: it is not that.
    """
    try:
        data = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        msg = f"{what}: not base64"
        raise NoteError(msg) from error
    if base64.b64encode(data).decode() != encoded:
        msg = f"{what}: base64 in a spelling that is not the canonical one"
        raise NoteError(msg)
    return data


def open_note(
    note: bytes,
    verifier: Verifier,
    *,
    bytes_max: int = NOTE_BYTES_MAX,
    signatures_max: int = SIGNATURES_MAX,
) -> str:
    """Return the text of a note, within these bounds, that this key signed.

    Raises:
        NoteError: it is no note, the key's signature is missing, or it does not hold.
    """
    text, signatures = split(note, bytes_max=bytes_max, signatures_max=signatures_max)
    found = False
    for name, key_id, signature in signatures:
        if name != verifier.name or key_id != verifier.key_id:
            continue
        if not verifier.verify(text.encode(), signature):
            msg = f"the signature by {verifier.vkey()} does not hold"
            raise NoteError(msg)
        found = True
    if not found:
        msg = f"no signature by {verifier.vkey()}"
        raise NoteError(msg)
    return text


def peek(note: bytes) -> str:
    """Return the text of a note whoever signed it: nothing in it is to be believed yet.

    Raises:
        NoteError: it is no note.
    """
    return split(note)[0]


def split(
    note: bytes, *, bytes_max: int = NOTE_BYTES_MAX, signatures_max: int = SIGNATURES_MAX
) -> tuple[str, list[Signature]]:
    """Split a note at its last blank line (signed-note, "Format"); nothing in it is verified.

    Raises:
        NoteError: it is no note, or one beyond these bounds.
    """
    if len(note) > bytes_max:
        msg = f"a note of more than {bytes_max} bytes"
        raise NoteError(msg)
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = "a note that is not UTF-8"
        raise NoteError(msg) from error
    if any(c < " " and c != "\n" for c in whole):
        msg = "a note with a control character"
        raise NoteError(msg)
    blank = whole.rfind("\n\n")
    if blank < 0 or not whole.endswith("\n"):
        msg = "a note without a blank line, or without a newline at its end"
        raise NoteError(msg)
    text, lines = whole[: blank + 1], whole[blank + 2 : -1].split("\n")
    if len(lines) > signatures_max:
        msg = f"a note with more than {signatures_max} signatures"
        raise NoteError(msg)
    return text, [_parse_line(line) for line in lines]


def line_of(name: str, key_id: bytes, signature: bytes) -> bytes:
    """Return the line of a signature, with its newline."""
    return f"{_DASH}{name} {base64.b64encode(key_id + signature).decode()}\n".encode()


def _parse_line(line: str) -> Signature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        msg = "a signature line of another form than dash, name, base64"
        raise NoteError(msg)
    name, encoded = parts
    check_name(name)
    data = decode_base64(encoded, "signature")
    if len(data) < 5:
        msg = "a signature that is too short"
        raise NoteError(msg)
    return name, data[:4], data[4:]
