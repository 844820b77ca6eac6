r"""The evidence pack: a ZIP file in which every byte has one possible value.

Members are stored, not compressed (bodies are DEFLATE already), follow one another without a gap, carry
no date, no attributes, no comment and no extra fields, and the last is the manifest. So what the
manifest does not hash is determined by what it does, and a pack in which one byte differs is either no
pack or no longer what was signed. Any ZIP program opens it.

    file   := (local header, data)*  central header*  [zip64 end, zip64 locator]  end
    local  := "PK\3\4" 20 0 0 0 33  crc32  size size  name length 0  name

The manifest is a signed note by the log's key: what it is, of which log, and the SHA-256 of every other
member, in the order in which they follow.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from streamcount.config import PackLimits
from streamcount.evidence.fault import FaultError

MANIFEST: Final = "manifest"
MANIFEST_HEAD: Final = "streamcount.pack/v1"
MANIFEST_BYTES_MAX: Final = 64 * 2**20
FILE_BYTES_MAX: Final = 2**32 - 2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,79}){0,8}")

# 1 January 1980, the earliest date the format has.
_DATE: Final = 33
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_FULL16: Final = 0xFFFF
_FULL32: Final = 0xFFFFFFFF
_VERSION: Final = 20
_VERSION64: Final = 45


class PackError(FaultError):
    """The file is no evidence pack that can be read; the message says what about it."""


class PackWriter:
    """Writes members one after another, and the directory at the end."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        # Name -> SHA-256 in hexadecimal, of every member so far: what the manifest lists.
        self.digests: dict[str, str] = {}
        self._offset = 0
        self._central: list[bytes] = []

    def add(self, name: str, data: bytes) -> None:
        """Add a member."""
        head = _local_header(name, zlib.crc32(data), len(data))
        self._central.append(_central_header(name, zlib.crc32(data), len(data), self._offset))
        self.digests[name] = hashlib.sha256(data).hexdigest()
        self._out.write(head)
        self._out.write(data)
        self._offset += len(head) + len(data)

    def finish(self) -> None:
        """Write the directory."""
        central = b"".join(self._central)
        self._out.write(central)
        self._out.write(_directory_end(len(self._central), len(central), self._offset))


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a pack: its name, and where its bytes are."""

    name: str
    offset: int
    size: int


class PackReader:
    """A pack, opened for reading; every byte of the file that is no member's data was checked."""

    def __init__(self, file: BinaryIO, limits: PackLimits) -> None:
        """Read the structure.

        Raises:
            PackError: it is not that of a pack, or larger than the limits allow.
        """
        self._file = file
        self._limits = limits
        self.size = file.seek(0, 2)
        if self.size > limits.bytes_max:
            raise PackError(
                "too_large",
                "{n} bytes, {n_most} is the most this program reads",
                n=self.size,
                n_most=limits.bytes_max,
            )
        self.members: dict[str, Member] = {}
        self._crcs: dict[str, int] = {}
        end_of_members = self._read_members()
        self._check_directory(end_of_members)

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises:
            PackError: there is none of this name, or its CRC does not match.
        """
        member = self.members.get(name)
        if member is None:
            raise PackError("no_file", "the pack has no file {name}", name=name)
        self._file.seek(member.offset)
        data = self._file.read(member.size)
        if len(data) != member.size or zlib.crc32(data) != self._crcs[name]:
            raise _damaged(name)
        return data

    def digests(self, progress: Callable[[int, int], None]) -> dict[str, str]:
        """Return the SHA-256 of each member, in hexadecimal, having checked its CRC.

        Reads the file once, a piece at a time; `progress` is told how many bytes are done, and of how many.

        Raises:
            PackError: a CRC does not match.
        """
        return {member.name: self._digest(member, progress) for member in self.members.values()}

    def _digest(self, member: Member, progress: Callable[[int, int], None]) -> str:
        self._file.seek(member.offset)
        digest, crc, left = hashlib.sha256(), 0, member.size
        while left:
            chunk = self._file.read(min(left, 1 << 20))
            if not chunk:
                raise _cut_off(member.name)
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
        if crc != self._crcs[member.name]:
            raise _damaged(member.name)
        progress(member.offset + member.size, self.size)
        return digest.hexdigest()

    def _read_members(self) -> int:
        """Walk over the members; return where they end."""
        offset = 0
        while True:
            self._file.seek(offset)
            head = self._file.read(_LOCAL.size)
            if head[:4] != b"PK\x03\x04":
                break
            if len(head) < _LOCAL.size:
                raise PackError("cut_off", "cut off at offset {n}", n=offset)
            fields = _LOCAL.unpack(head)
            crc, size, name_bytes = fields[6], fields[8], fields[9]
            raw = self._file.read(name_bytes)
            name = raw.decode("ascii", "replace")
            if not NAME.fullmatch(name) or name in self.members:
                raise PackError(
                    "file_name",
                    "at offset {n}: a file whose name is malformed or not its own",
                    n=offset,
                )
            if head + raw != _local_header(name, crc, size):
                raise PackError(
                    "file_header",
                    "at offset {n}: a header of file {name} as no pack has it",
                    n=offset,
                    name=name,
                )
            start = offset + len(head) + len(raw)
            if start + size > self.size:
                raise _cut_off(name)
            if len(self.members) >= self._limits.files_max:
                raise PackError("files", "more than {n} files", n=self._limits.files_max)
            self.members[name] = Member(name, start, size)
            self._crcs[name] = crc
            offset = start + size
        if not self.members:
            raise PackError(
                "no_pack", "not a streamcount evidence pack: it does not begin like one"
            )
        return offset

    def _check_directory(self, start: int) -> None:
        """Compare what follows the members with the directory they ask for."""
        self._file.seek(start)
        length, offset = 0, 0
        for member in self.members.values():
            right = _central_header(member.name, self._crcs[member.name], member.size, offset)
            if self._file.read(len(right)) != right:
                raise PackError(
                    "directory",
                    "the directory does not describe file {name} as it is",
                    name=member.name,
                )
            length += len(right)
            offset = member.offset + member.size
        end = _directory_end(len(self.members), length, start)
        if self._file.read(len(end) + 1) != end:
            raise PackError("end", "what follows the directory is not the end of a pack")


def _damaged(name: str) -> PackError:
    return PackError("damaged", "file {name} is damaged: its CRC-32 does not match", name=name)


def _cut_off(name: str) -> PackError:
    return PackError("file_cut_off", "file {name} is cut off", name=name)


def _local_header(name: str, crc: int, size: int) -> bytes:
    head = _LOCAL.pack(b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0)
    return head + name.encode("ascii")


def _central_header(name: str, crc: int, size: int, offset: int) -> bytes:
    # An offset of 4 GiB or more stands in a zip64 extra field (APPNOTE 4.5.3).
    far = offset >= _FULL32
    extra = struct.pack("<HHQ", 1, 8, offset) if far else b""
    version = _VERSION64 if far else _VERSION
    head = _CENTRAL.pack(
        b"PK\x01\x02", version, version, 0, 0, 0, _DATE, crc, size, size, len(name), len(extra), 0, 0, 0,
        0, _FULL32 if far else offset,
    )  # fmt: skip
    return head + name.encode("ascii") + extra


def _directory_end(count: int, length: int, start: int) -> bytes:
    plain = _END.pack(
        b"PK\x05\x06", 0, 0, min(count, _FULL16), min(count, _FULL16), min(length, _FULL32),
        min(start, _FULL32), 0,
    )  # fmt: skip
    if count < _FULL16 and length < _FULL32 and start < _FULL32:
        return plain
    end64 = _END64.pack(
        b"PK\x06\x06", _END64.size - 12, _VERSION64, _VERSION64, 0, 0, count, count, length, start
    )
    return end64 + _LOCATOR.pack(b"PK\x06\x07", 0, start + length, 1) + plain


# --- The manifest ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a pack says of itself: `stage` is interim or final; files with their SHA-256, in order."""

    origin: str
    stage: str
    files: dict[str, str]

    def text(self) -> str:
        """Return the text that is signed."""
        lines = [MANIFEST_HEAD, self.origin, self.stage]
        lines += [f"{digest}  {name}" for name, digest in self.files.items()]
        return "\n".join(lines) + "\n"


_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


class ContentError(FaultError):
    """A file of a pack is not what its name says; the message says which and what about it."""


def parse_manifest(text: str) -> Manifest:
    """Read the text of a manifest.

    Raises:
        ContentError: it is none.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or lines[0] != MANIFEST_HEAD or lines[2] not in {"interim", "final"}:
        raise ContentError(
            "manifest_head",
            "the manifest does not begin with {name}, an origin, and a stage",
            name=MANIFEST_HEAD,
        )
    files = {}
    for line in lines[3:]:
        match = _LINE.fullmatch(line)
        if match is None or match[2] in files:
            raise ContentError(
                "manifest_line", "the manifest has a line that is none: {line}", line=line[:80]
            )
        files[match[2]] = match[1]
    return Manifest(lines[1], lines[2], files)


# --- Bodies ---------------------------------------------------------------------------------------

_LENGTH = struct.Struct(">I")


def body_path(bundle_path: str) -> str:
    """Return the name of the file with the bodies of a bundle's entries."""
    return bundle_path.replace("tile/entries/", "body/", 1)


def encode_bodies(stored: Iterable[bytes]) -> bytes:
    """Return stored bodies as a pack holds them: each behind its length (u32, big-endian)."""
    return b"".join(_LENGTH.pack(len(one)) + one for one in stored)


def decode_bodies(data: bytes, count: int) -> Iterator[bytes]:
    """Yield the `count` stored bodies of a file.

    Raises:
        ContentError: it holds fewer, or more.
    """
    offset = 0
    for _ in range(count):
        if offset + 4 > len(data):
            raise ContentError("bodies_early", "a file of bodies that ends early")
        (length,) = _LENGTH.unpack_from(data, offset)
        if offset + 4 + length > len(data):
            raise ContentError("bodies_inside", "a file of bodies that ends inside one")
        yield data[offset + 4 : offset + 4 + length]
        offset += 4 + length
    if offset != len(data):
        raise ContentError(
            "bodies_after", "{n} bytes after the last body of a file", n=len(data) - offset
        )
