"""Which program this is: its version, and a hash of its files, for the claims it makes.

The hash is that of what these commands print in the folder of the package, so anybody can take it of a
copy:

    find -L * -type f -not -path '*__pycache__*' | LC_ALL=C sort | xargs sha256sum | sha256sum
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import streamcount
from streamcount.core.claim import Software


@functools.cache
def software() -> Software:
    """Return this program as a claim names it; its files are read once."""
    return Software(f"streamcount {streamcount.__version__}", files_hash(_folder()))


def files_hash(folder: Path) -> bytes:
    """Return a hash of all files of a folder but those that Python compiled, and hidden ones at its top."""
    named = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*"))
    named = [
        (name, path)
        for name, path in named
        if "__pycache__" not in name and not name.startswith(".") and path.is_file()
    ]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in named]
    return hashlib.sha256("".join(lines).encode()).digest()


def _folder() -> Path:
    return Path(streamcount.__file__).parent
