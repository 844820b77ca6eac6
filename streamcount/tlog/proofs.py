"""A tree that remembers its nodes: roots of every size it had, and consistency proofs between them.

`levels[k][i]` is the root over leaves i * 2^k to (i + 1) * 2^k - 1; only whole ones are kept, so each
leaf costs two hashes' room. Every range that RFC 6962 splits a tree into is one of these, or ends where
the tree does and is put together from log2(n) of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streamcount.tlog.merkle import EMPTY_ROOT, node_hash


class Tree:
    """Grows by leaf hashes."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    @property
    def leaves(self) -> Sequence[bytes]:
        """The hashes of all leaves."""
        return self._levels[0]

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add the hashes of the next leaves."""
        for leaf in leaves:
            node, level = leaf, 0
            while True:
                row = self._levels[level]
                row.append(node)
                if len(row) & 1:
                    break
                node, level = node_hash(row[-2], row[-1]), level + 1
                if level == len(self._levels):
                    self._levels.append([])

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves, which are there."""
        return self._range(0, size) if size else EMPTY_ROOT

    def proof(self, old: int, new: int) -> list[bytes]:
        """Return the consistency proof from `old` to `new` leaves (RFC 6962 section 2.1.2)."""
        if not 0 < old < new:
            return []
        return self._subproof(old, 0, new, known=True)

    def _subproof(self, m: int, start: int, end: int, *, known: bool) -> list[bytes]:
        """PROOF and SUBPROOF of the RFC, of leaves `start` to `end - 1`; `m` counts from `start`."""
        n = end - start
        if m == n:
            return [] if known else [self._range(start, end)]
        k = _split(n)
        if m <= k:
            return [
                *self._subproof(m, start, start + k, known=known),
                self._range(start + k, end),
            ]
        return [
            *self._subproof(m - k, start + k, end, known=False),
            self._range(start, start + k),
        ]

    def _range(self, start: int, end: int) -> bytes:
        n = end - start
        if n & (n - 1) == 0:
            level = n.bit_length() - 1
            return self._levels[level][start >> level]
        k = _split(n)
        return node_hash(self._range(start, start + k), self._range(start + k, end))


def _split(n: int) -> int:
    """Return the largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1
