"""RFC 6962 Merkle trees: leaf and node hashes, roots, and a tree that grows.

    leaf   SHA-256(0x00 || data)               RFC 6962 section 2.1
    node   SHA-256(0x01 || left || right)
    empty  SHA-256("")

A tree of n leaves splits at the largest power of two below n. Read from the right that is the same
as a row of perfect subtrees, one for each 1 in the binary form of n, largest on the left. `Frontier`
keeps just those roots, so appending costs two hashes on average and the root log2(n) more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_PIECE_BLOCKS: Final = 1 << 14


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A growing tree, kept as the roots of its perfect subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._roots.pop(), node)
            size >>= 1
        self._roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree of all leaves so far."""
        if not self._roots:
            return EMPTY_ROOT
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = node_hash(left, node)
        return node

    def copy(self) -> Frontier:
        """Return a tree that grows on its own from here."""
        other = Frontier()
        other.size, other._roots = self.size, list(self._roots)
        return other


class LogTree:
    """The tree over a log's entries as they come, and the roots over the blocks of their bodies."""

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._tree = Frontier()

    def take(self, entry: bytes) -> None:
        """Take the next entry."""
        self._tree.append(leaf_hash(entry))

    def root(self) -> bytes:
        """Return the root over the entries so far."""
        return self._tree.root()

    def body_root(self, body: bytes) -> bytes:
        """Return the root that an entry commits to its body by."""
        return block_root(body, self._block_bytes)


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over these leaf hashes."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def block_root(data: bytes, block_bytes: int) -> bytes:
    """Return the root over the blocks of `data`, each a leaf, the last one as short as it is.

    Piece by piece, so that the hashes of a long body are never all there; a piece has a power of two of
    blocks, so its root is a node of the tree, and so is that of the last one, which is shorter.
    """
    piece = _PIECE_BLOCKS * block_bytes
    if len(data) <= piece:
        return _small_root(data, block_bytes)
    tree = Frontier()
    for start in range(0, len(data), piece):
        tree.append(_small_root(data[start : start + piece], block_bytes))
    return tree.root()


def _small_root(data: bytes, block_bytes: int) -> bytes:
    """Level by level: pairs are hashed, and a node left over at the end rises as it is: RFC 6962."""
    sha256 = hashlib.sha256
    level: Sequence[bytes] = [
        sha256(b"\x00" + data[start : start + block_bytes]).digest()
        for start in range(0, len(data), block_bytes)
    ]
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        pairs = [
            sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        if len(level) & 1:
            pairs.append(level[-1])
        level = pairs
    return level[0]
