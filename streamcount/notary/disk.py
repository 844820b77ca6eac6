"""The disk an archive lies on: the few operations that its promises depend on, and nothing else.

What `fsync` and `swap` have returned from survives the loss of power; anything else may be there, in
part, or not. After a failed `fsync` nobody knows what is on the disk (the kernel may have dropped what it
could not write, and the next fsync says nothing of it), so it is never asked twice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

# The disk is full, or the owner's share of it is: nothing is broken, and there may be room later.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class DiskFullError(Exception):
    """There is no room; nothing was changed, and the same may be tried again."""


class Disk:
    """A real one. Every method raises OSError when the system does."""

    def lock(self, path: Path) -> int:
        """Take a lock that ends with this process; return what `unlock` is given.

        Raises:
            BlockingIOError: somebody has it.
        """
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock

    def unlock(self, lock: int) -> None:
        """Let go of a lock."""
        os.close(lock)

    def read(self, path: Path) -> bytes:
        """Return a whole file."""
        return path.read_bytes()

    def open(self, path: Path) -> BinaryIO:
        """Open a file that is there, to read and to append; unbuffered."""
        return FileIO(path, "r+b")

    def append(self, file: BinaryIO, data: bytes) -> None:
        """Write all of it at the end, and make it durable.

        Raises:
            DiskFullError: there is no room. What was written of it is cut off again.
            OSError: what is on the disk is unknown.
        """
        end = file.seek(0, os.SEEK_END)
        try:
            self._write_all(file, data)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self.cut(file, end)
            raise DiskFullError(f"{file.name}: {error.strerror}") from error
        os.fsync(file.fileno())

    def cut(self, file: BinaryIO, end: int) -> None:
        """Make a file end there, durably."""
        file.truncate(end)
        os.fsync(file.fileno())
        file.seek(end)

    def swap(self, path: Path, data: bytes) -> None:
        """Put a file in the place of another, durably: who reads it finds the old one or the new.

        Raises:
            DiskFullError: there is no room; the old one is still in place.
            OSError: which of the two is in place is unknown.
        """
        new = path.with_suffix(".new")
        try:
            with FileIO(new, "wb") as file:
                self._write_all(file, data)
                os.fsync(file.fileno())
            new.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            if error.errno not in _FULL:
                raise
            raise DiskFullError(f"{path}: {error.strerror}") from error
        self.sync_folder(path.parent)

    def make(self, path: Path, data: bytes) -> None:
        """Write a new file that only its owner may read, durably."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with FileIO(handle, "wb") as file:
            self._write_all(file, data)
            os.fsync(handle)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _write_all(self, file: BinaryIO | FileIO, data: bytes) -> None:
        """Write all of it: a raw file may take less than it is given."""
        view = memoryview(data)
        while view:
            written = file.write(view) or 0
            view = view[written:]
