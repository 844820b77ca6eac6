"""Pseudonyms: what evidence calls a viewer, who cannot be told from it without the event's key."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

PSEUDONYM_BYTES: Final = 16
# As entries write one.
PSEUDONYM_TEXT: Final = re.compile(r"[0-9a-f]{32}")


def pseudonym(key: bytes, viewer: str) -> bytes:
    """Return the pseudonym of a viewer's id under an event's key: 16 bytes."""
    return hmac.digest(key, viewer.encode(), "sha256")[:PSEUDONYM_BYTES]


def key_hash(key: bytes) -> bytes:
    """Return what the event entry says of the key, so that a copy of it can be told from another."""
    return hashlib.sha256(key).digest()
