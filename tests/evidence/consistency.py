"""What a witness checks before it cosigns: that one tree extends another (RFC 9162 section 2.1.4.2)."""

from __future__ import annotations

from streamcount.tlog.merkle import EMPTY_ROOT, HASH_BYTES, node_hash


def consistent(old, new, proof):
    """Tell whether a proof shows that the tree (size, root) `new` extends `old`."""
    (first, first_root), (second, second_root) = old, new
    if not 0 <= first <= second or any(len(one) != HASH_BYTES for one in proof):
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    left = right = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            left, right = node_hash(node, left), node_hash(node, right)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            right = node_hash(right, node)
        fn, sn = fn >> 1, sn >> 1
    return (left, right, sn) == (first_root, second_root, 0)
