"""Notes, keys, checkpoints and paths of tiles that are nearly right: what our readers and others' may differ on.

All from one seed. A note is put together from parts, each of which may be odd, is signed over the odd text, and
then perhaps loses or gains a few bytes: so many hold, and what they hold by is unusual.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.interop.making import signer

LOG = signer("fuzz", "fuzz.invalid/log")
NAMESAKE = signer("another", LOG.name)
_DASH = "\u2014 "
ODD = [
    "\n", "\n\n", "\r", "\t", "\0", "\x1f", "\x7f", "\x85", "\xa0", " ", "+", "=", "==", "\u2003", "\u2028", "\u3000", "\u180e", "\u200b",
    "\ufeff", "\ufffd", "\u0660", "\U0001f511", "\u2014 ", "\u2013 ", "- ", "A", "/", "-", "_", "x", "0", "000", ".p/", "//", "data", "entries",
]  # fmt: skip
BYTES = [b"\xff", b"\xc0\x8a", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80", b"\xef\xbb\xbf"]
# Encodings of Curve25519's points of small order, of others that are not canonical, and of one that is no point.
_FIELD = 2**255 - 19
POINTS = [
    y.to_bytes(32, "little")
    for y in (
        0, 1, _FIELD - 1, _FIELD, _FIELD + 1, 2**255 - 1, 2**255, 2**255 + 1, 2, 7, 2**255 + _FIELD - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    )
]  # fmt: skip


ODD_SIZES = [
    "007", "-1", "+1", "1e3", "1_0", "", " 1", "9" * 15, "9" * 16, "9" * 17, str(2**63 - 1), str(2**63), "\u0661",
]  # fmt: skip


def damaged(draw, data):
    """The same bytes, or with a few changed, more or fewer."""
    for _ in range(draw.choice([0, 0, 0, 0, 1, 2])):
        at = draw.randrange(len(data) + 1)
        head, rest = data[:at], data[at:]
        how = draw.choice(["odd", "odd", "fewer", "bit", "again", "lines"])
        if how == "odd":
            odd = draw.choice(BYTES) if draw.random() < 0.2 else draw.choice(ODD).encode()
            data = head + odd + rest
        elif how == "fewer":
            data = head + rest[draw.randint(1, 3) :]
        elif how == "bit" and rest:
            data = head + bytes([rest[0] ^ 1 << draw.randrange(8)]) + rest[1:]
        elif how == "again":
            data = head + head[-draw.randint(1, 9) :] + rest
        elif how == "lines" and draw.random() < 0.2:
            data = data.replace(b"\n", b"\r\n")
    return data


def text(draw):
    usual = ["a", "two words", "\u0639", LOG.name, "\n"]
    parts = [draw.choice(ODD if draw.random() < 0.1 else usual) for _ in range(draw.randint(0, 6))]
    return "".join(parts) + draw.choice(["\n"] * 9 + [""])


def line(draw, signed):
    """One signature line of somebody, mostly in its right form."""
    by = draw.choice([LOG, LOG, LOG, NAMESAKE, signer(str(draw.randrange(99)), "w.invalid/1")])
    over = signed if draw.random() < 0.9 else signed + "x"
    signature = Ed25519PrivateKey.from_private_bytes(by.seed).sign(over.encode())
    key_id = by.verifier.key_id if draw.random() < 0.95 else draw.randbytes(4)
    data = key_id + signature
    if draw.random() < 0.1:
        data = draw.choice(
            [
                data[:-1],
                data[:4],
                data[:5],
                data + b"x",
                data[:3],
                key_id + draw.choice(POINTS) + bytes(32),
            ]
        )
    encoded = base64.b64encode(data).decode()
    if draw.random() < 0.1:
        encoded = respelt(draw, encoded)
    name = by.name if draw.random() < 0.95 else by.name + draw.choice(ODD)
    dash = (
        _DASH
        if draw.random() < 0.97
        else draw.choice(["\u2013 ", "- ", "\u2014", "\u2014\u00a0", "  "])
    )
    return f"{dash}{name} {encoded}{draw.choice([''] * 30 + [' ', '='])}\n"


def respelt(draw, encoded):
    """Base64 in another spelling of the same, or nearly the same."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = encoded.rstrip("=")
    last = letters.index(body[-1]) ^ draw.choice([1, 2, 3])
    return draw.choice([
        body, encoded + "=", body[:-1] + letters[last] + "=" * (len(encoded) - len(body)),
        encoded.replace("+", "-").replace("/", "_"), encoded[:8] + "=" + encoded[8:], encoded[:9] + "\t" + encoded[9:],
    ])  # fmt: skip


def signed_note(draw):
    """A note that is perhaps one."""
    said = text(draw)
    count = draw.choice([1, 1, 1, 2, 2, 3, 0] + ([99, 100, 101] if draw.random() < 0.02 else []))
    lines = [line(draw, said) for _ in range(count)]
    if draw.random() < 0.3 and lines:
        lines.append(draw.choice(lines))
    whole = said + draw.choice(["\n"] * 20 + ["", "\n\n"]) + "".join(lines)
    return damaged(draw, whole.encode())


def vkey(draw):
    """A verifier key that is perhaps one."""
    public = (
        LOG.verifier.public if draw.random() < 0.5 else draw.choice([*POINTS, draw.randbytes(32)])
    )
    kind = b"\1" if draw.random() < 0.9 else draw.choice([b"", b"\0", b"\2", b"\4", b"\1\1"])
    name = LOG.name + (draw.choice(ODD) if draw.random() < 0.2 else "")
    key_id = hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4].hex()
    if draw.random() < 0.1:
        key_id = draw.choice(
            [key_id.upper(), key_id[1:], "0" + key_id, "00000000", "+" + key_id[1:]]
        )
    encoded = base64.b64encode(kind + public).decode()
    if draw.random() < 0.1:
        encoded = respelt(draw, encoded)
    if draw.random() < 0.05:
        encoded = encoded[:8] + draw.choice(["\n", "\r\n", " "]) + encoded[8:]
    made = f"{name}+{key_id}+{encoded}"
    if draw.random() < 0.2:
        at = draw.randrange(len(made))
        made = draw.choice([made[:at] + draw.choice(ODD) + made[at:], made[:at] + made[at + 1 :]])
    return made


def checkpoint(draw):
    """The text of a checkpoint that is perhaps one."""
    size = draw.choice(["0", "1", "256", "70000"])
    if draw.random() < 0.3:
        size = draw.choice(ODD_SIZES)
    root = base64.b64encode(draw.randbytes(draw.choice([32, 32, 32, 32, 31, 33, 0]))).decode()
    if root and draw.random() < 0.2:
        root = respelt(draw, root)
    origin = draw.choice([LOG.name, LOG.name, "o", "", " ", "a b", "a+b", "\u0639"])
    more = draw.choice(["", "", "", "", "more\n", "\n", "x"])
    made = f"{origin}\n{size}\n{root}\n{more}"
    if draw.random() < 0.2:
        at = draw.randrange(len(made))
        made = draw.choice([made[:at] + draw.choice(ODD) + made[at:], made[:at] + made[at + 1 :]])
    return made


def path(draw):
    """The path of a tile that is perhaps one."""
    number = draw.choice(
        [
            0,
            1,
            5,
            255,
            999,
            1000,
            1001,
            999_999,
            10**6,
            1_234_067,
            10**9,
            10**12,
            10**15 - 1,
            10**15,
        ]
    )
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    level = draw.choice(["0", "1", "2", "7", "8", "62", "63", "entries", "entries"])
    if draw.random() < 0.2:
        level = draw.choice(["64", "65", "99", "100", "00", "01", "-1", "+1", "data", "", "\u0661"])
    width = draw.choice(["", "", ".p/1", ".p/255"])
    if draw.random() < 0.2:
        width = draw.choice(
            [".p/256", ".p/257", ".p/0", ".p/00", ".p/01", ".p/-1", ".p/", ".p", ".p/1/1", ".p/+1"]
        )
    made = f"{draw.choice(['tile'] * 20 + ['Tile', '', 'tile/8', './tile'])}/{level}/{'/'.join(reversed(groups))}{width}"
    if draw.random() < 0.3:
        at = draw.randrange(len(made))
        made = draw.choice(
            [
                made[:at] + draw.choice(ODD) + made[at:],
                made[:at] + made[at + 1 :],
                made[:at] + made[at] + made[at:],
            ]
        )
    return made
