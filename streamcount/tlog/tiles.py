"""C2SP tlog-tiles: the tree as files of 256 hashes, and the entries in bundles of 256.

    tile/<L>/<N>[.p/<W>]         hashes of level 8L: number 256N and the following, 32 bytes each
    tile/entries/<N>[.p/<W>]     entries 256N and the following, each behind its length (u16, big-endian)

N is written in groups of three digits, all but the last with an x before it: 1234067 is
x001/x234/067. A tile that is not full is partial and carries its width W.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from streamcount.tlog.merkle import node_hash

WIDTH: Final = 256
LEVELS: Final = 8  # of the tree in one tile: 2^8 = WIDTH
ENTRY_BYTES_MAX: Final = 0xFFFF
BUNDLE_BYTES_MAX: Final = WIDTH * (2 + ENTRY_BYTES_MAX)
TILE_BYTES_MAX: Final = WIDTH * 32


class TileError(ValueError):
    """A path or a bundle is not of the form tlog-tiles gives; the message says what about it."""


def number_path(number: int) -> str:
    """Return the path of a tile's number: 5 is 005, 1234067 is x001/x234/067."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def tile_path(level: str, number: int, width: int) -> str:
    """Return the path of a tile; `level` is a decimal number, or "entries" for a bundle."""
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{number_path(number)}{partial}"


def parse_path(path: str) -> tuple[str, int, int]:
    """Return level, number and width of a tile's path.

    Raises:
        TileError: it is none, or not in its one spelling.
    """
    head, _, rest = path.removeprefix("tile/").partition("/")
    rest, partial, width_text = rest.partition(".p/")
    groups = rest.split("/")
    digits = "".join(group.removeprefix("x") for group in groups)
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        msg = f"not the path of a tile: {path[:80]!r}"
        raise TileError(msg)
    width = WIDTH
    if partial:
        if not width_text.isascii() or not width_text.isdigit() or len(width_text) > 3:
            msg = f"not the path of a tile: {path[:80]!r}"
            raise TileError(msg)
        width = int(width_text)
    known = head == "entries" or re.fullmatch("[0-9]|[1-5][0-9]|6[0-3]", head)
    if not known or tile_path(head, int(digits), width) != path or not 0 < width <= WIDTH:
        msg = f"not the path of a tile: {path[:80]!r}"
        raise TileError(msg)
    return head, int(digits), width


def next_level(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the hashes 8 levels up: one for every full run of 256."""
    above = []
    for start in range(0, len(hashes) - WIDTH + 1, WIDTH):
        level = list(hashes[start : start + WIDTH])
        while len(level) > 1:
            level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
        above.append(level[0])
    return above


def tree_tiles(leaves: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every tile of the tree over these leaf hashes."""
    level, hashes = 0, leaves
    while hashes:
        for number, start in enumerate(range(0, len(hashes), WIDTH)):
            tile = hashes[start : start + WIDTH]
            yield tile_path(str(level), number, len(tile)), b"".join(tile)
        level, hashes = level + 1, next_level(hashes)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle holds them.

    Raises:
        TileError: an entry is longer than 65,535 bytes.
    """
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            msg = f"an entry of {len(entry)} bytes; {ENTRY_BYTES_MAX} is the most"
            raise TileError(msg)
        parts.append(struct.pack(">H", len(entry)) + entry)
    return b"".join(parts)


def decode_bundle(bundle: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle.

    Raises:
        TileError: it holds fewer, or more.
    """
    entries: list[bytes] = []
    offset = 0
    for _ in range(width):
        if offset + 2 > len(bundle):
            msg = f"a bundle that ends after {len(entries)} of {width} entries"
            raise TileError(msg)
        (length,) = struct.unpack_from(">H", bundle, offset)
        entry = bundle[offset + 2 : offset + 2 + length]
        if len(entry) < length:
            msg = f"a bundle that ends inside entry {len(entries)}"
            raise TileError(msg)
        entries.append(entry)
        offset += 2 + length
    if offset != len(bundle):
        msg = f"{len(bundle) - offset} bytes after the last entry of a bundle"
        raise TileError(msg)
    return entries
