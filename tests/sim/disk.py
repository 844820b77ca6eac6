"""The disk under the archive: what is written, what is durable, and what a loss of power leaves.

A file is what was last made durable and the writes since. A killed process loses none of them; when power
is lost, any first part of the later writes survives, and a name that was not made durable in its folder is
the old one or the new. Each step of an operation is a place to be killed at.
"""

from __future__ import annotations

import errno
import io
import os

from streamcount.notary.disk import Disk as RealDisk
from streamcount.notary.disk import DiskFullError


class KilledError(BaseException):
    """The process is killed here, in the middle of what it does."""


class Inode:
    """A file's contents: what a reader finds, and what is sure to survive."""

    def __init__(self, data=b""):
        self.data, self.durable = bytearray(data), bytes(data)

    def sync(self):
        self.durable = bytes(self.data)

    def lose_power(self, rng):
        """Keep what is durable, and any first part of what was written behind it."""
        kept = len(self.durable)
        if self.data[:kept] == self.durable:
            kept += rng.randint(0, len(self.data) - kept)
            self.data = self.data[:kept]
        else:
            self.data = bytearray(self.durable)
        self.sync()


class File(io.RawIOBase):
    """An open file."""

    def __init__(self, inode, name):
        self.inode, self.name, self._at = inode, str(name), 0

    def read(self, size=-1):
        end = len(self.inode.data) if size < 0 else self._at + size
        data = bytes(self.inode.data[self._at : end])
        self._at += len(data)
        return data

    def seek(self, offset, whence=os.SEEK_SET):
        self._at = offset + (len(self.inode.data) if whence == os.SEEK_END else 0)
        return self._at

    def tell(self):
        return self._at


class Disk(RealDisk):
    """A disk with faults. Names are whole paths."""

    def __init__(self, world, files):
        self.world = world
        self.names = {name: Inode(data) for name, data in files.items()}
        self.durable_names = dict(self.names)
        self._locks = {}
        # Faults: no room; the next fsync fails; be killed at that many steps from now.
        self.full = self.broken = False
        self.kill_in: int | None = None
        self.slow_s = 0.0

    # --- What the archive does ---------------------------------------------------------------------

    def lock(self, path):
        if path in self._locks:
            raise BlockingIOError(errno.EAGAIN, "locked")
        self._locks[path] = True
        return hash(path) & 0xFFFF

    def unlock(self, lock):
        self._locks.clear()

    def read(self, path):
        return bytes(self._inode(path).data)

    def open(self, path):
        return File(self._inode(path), path)

    def append(self, file, data):
        end = file.seek(0, os.SEEK_END)
        try:
            self._write(file.inode, data)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.cut(file, end)
            raise DiskFullError(f"{file.name}: full") from error
        self._sync(file.inode)
        file.seek(0, os.SEEK_END)

    def cut(self, file, end):
        self._step()
        del file.inode.data[end:]
        self._sync(file.inode)
        file.seek(end)

    def swap(self, path, data):
        new = Inode()
        self.names[path.with_suffix(".new")] = new
        try:
            self._write(new, data)
            self._sync(new)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DiskFullError(f"{path}: full") from error
        self._step()
        self.names[path] = self.names.pop(path.with_suffix(".new"))
        self.sync_folder(path.parent)

    def sync_folder(self, folder):
        self._step()
        self._break()
        self.durable_names = dict(self.names)
        self._step()

    # --- Faults ------------------------------------------------------------------------------------

    def _inode(self, path):
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return self.names[path]

    def _step(self):
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                self.kill_in = None
                self.world.count("killed while writing")
                raise KilledError

    def _break(self):
        if self.broken:
            self.broken = False
            self.world.count("failed fsync")
            raise OSError(errno.EIO, "Input/output error")

    def _write(self, inode, data):
        """Write in two parts, so that there is something in between."""
        part = self.world.rng.randint(0, len(data))
        if self.full:
            inode.data += data[:part]
            self.world.count("disk full")
            raise OSError(errno.ENOSPC, "No space left on device")
        self._step()
        inode.data += data[:part]
        self._step()
        inode.data += data[part:]
        self._step()

    def _sync(self, inode):
        self._break()
        inode.sync()
        self._step()

    def let_go(self):
        """The system takes back what a process held that ended."""
        self._locks.clear()

    def lose_power(self):
        """What is durable survives; of the rest, some of it does."""
        rng = self.world.rng
        kept = {path: inode for path, inode in self.names.items() if rng.random() < 0.5}
        self.names = names = self.durable_names | kept
        for inode in names.values():
            inode.lose_power(rng)
        self.durable_names = dict(names)
        self.let_go()

    def durable(self, path):
        """What would be left of a file if power were lost now, at the worst."""
        inode = self.durable_names.get(path)
        return b"" if inode is None else inode.durable
