"""The frames an event's archive file is made of: one entry each, with its body behind it.

    offset  bytes
    0       4      magic "SCF1"
    4       4      length of the entry, big-endian
    8       4      length of the body as it is stored, that is, as raw DEFLATE (RFC 1951); 0 for none
    12      4      CRC-32 of the 8 bytes before it, the entry and the stored body
    16             entry, then stored body

The CRC finds damage fast and says where; what proves an entry is the tree it is a leaf of.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from streamcount.core.entries import ENTRY_BYTES_MAX

MAGIC: Final = b"SCF1"
HEAD_BYTES: Final = 16
# What a file's `seek` calls its end.
_FROM_END: Final = 2
_LENGTHS = struct.Struct(">II")
_CRC = struct.Struct(">I")


class SegmentError(ValueError):
    """The bytes are no whole frame, or a stored body does not inflate as it should."""


def deflate(body: bytes) -> bytes:
    """Return a body as raw DEFLATE (RFC 1951), the form it is stored and exported in.

    A bitmap of a crowd looks as if its bits had been drawn one by one. Searching it for strings that come
    again takes twenty times as long as not doing so, and what is found costs more than it saves; a sparse
    bitmap is runs of one byte. So the shorter one of two is taken: Huffman codes alone, or with runs.
    """
    return min(_packed(body, zlib.Z_HUFFMAN_ONLY), _packed(body, zlib.Z_RLE), key=len)


def _packed(body: bytes, strategy: int) -> bytes:
    packer = zlib.compressobj(
        level=6, method=zlib.DEFLATED, wbits=-zlib.MAX_WBITS, strategy=strategy
    )
    return packer.compress(body) + packer.flush()


def inflate(stored: bytes, body_bytes: int) -> bytes:
    """Return the body of `body_bytes` bytes, never making more than one byte above that.

    Raises:
        SegmentError: the stored bytes are no such body, or not just one.
    """
    # A stream may be padded without end by blocks that hold nothing.
    if len(stored) > body_bytes + body_bytes // 1000 + 64:
        msg = f"a stored body of {len(stored)} bytes, for {body_bytes}"
        raise SegmentError(msg)
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        body = unpacker.decompress(stored, body_bytes + 1)
    except zlib.error as error:
        msg = f"a body that is no raw DEFLATE: {error}"
        raise SegmentError(msg) from error
    if len(body) != body_bytes or not unpacker.eof or unpacker.unused_data:
        msg = f"a body that does not inflate to exactly {body_bytes} bytes"
        raise SegmentError(msg)
    return body


def frame(entry: bytes, stored: bytes) -> bytes:
    """Return the frame of an entry and its stored body, which may be empty."""
    lengths = _LENGTHS.pack(len(entry), len(stored))
    crc = zlib.crc32(stored, zlib.crc32(entry, zlib.crc32(lengths)))
    return b"".join((MAGIC, lengths, _CRC.pack(crc), entry, stored))


def read_head(head: bytes) -> tuple[int, int]:
    """Return the lengths of entry and stored body that a frame's first 16 bytes state.

    Raises:
        SegmentError: they are not the head of a frame.
    """
    if len(head) != HEAD_BYTES or head[:4] != MAGIC:
        msg = "not the head of a frame"
        raise SegmentError(msg)
    entry_bytes, stored_bytes = _LENGTHS.unpack_from(head, 4)
    return entry_bytes, stored_bytes


def check(head: bytes, rest: bytes) -> None:
    """Check the CRC of a frame, given its head and all the bytes behind it.

    Raises:
        SegmentError: it does not match.
    """
    if zlib.crc32(rest, zlib.crc32(head[4:12])) != _CRC.unpack_from(head, 12)[0]:
        msg = "a frame whose checksum does not match"
        raise SegmentError(msg)


def read_frame(file: BinaryIO) -> tuple[bytes, bytes]:
    """Return entry and stored body of the next frame of a file.

    Raises:
        SegmentError: there is no whole and sound one.
    """
    head = file.read(HEAD_BYTES)
    lengths = read_head(head)
    check_lengths(file, *lengths)
    return _parts(head, file.read(sum(lengths)))


def check_lengths(file: BinaryIO, entry_bytes: int, stored_bytes: int) -> None:
    """Check that a frame of these lengths can follow here, before room is made for it.

    Raises:
        SegmentError: it cannot.
    """
    if entry_bytes > ENTRY_BYTES_MAX:
        msg = f"a frame with an entry of {entry_bytes} bytes"
        raise SegmentError(msg)
    at = file.tell()
    if entry_bytes + stored_bytes > file.seek(0, _FROM_END) - at:
        msg = "a frame that is cut off"
        raise SegmentError(msg)
    file.seek(at)


def frames_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield entry and stored body of each of the frames that these bytes are.

    Raises:
        SegmentError: they are not whole frames.
    """
    at = 0
    while at < len(data):
        head = data[at : at + HEAD_BYTES]
        at += HEAD_BYTES
        end = at + sum(read_head(head))
        yield _parts(head, data[at:end])
        at = end


def _parts(head: bytes, rest: bytes) -> tuple[bytes, bytes]:
    entry_bytes, stored_bytes = read_head(head)
    if entry_bytes > ENTRY_BYTES_MAX:
        msg = f"a frame with an entry of {entry_bytes} bytes"
        raise SegmentError(msg)
    if len(rest) < entry_bytes + stored_bytes:
        msg = "a frame that is cut off"
        raise SegmentError(msg)
    check(head, rest)
    return rest[:entry_bytes], rest[entry_bytes:]
