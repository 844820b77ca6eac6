"""What is wrong with a pack, in three forms: a stable code, the values that belong to it, and English.

The English stands where the fault is found, for programs, logs and tracebacks. People read the
catalogue's `verify_wrong_<code>`, in their language; a test holds its English equal to the one here.
"""

from __future__ import annotations


class FaultError(Exception):
    """Something is wrong with a pack; the message says what, and where."""

    def __init__(self, code: str, english: str, **values: object) -> None:
        """`english` has the values' names in braces."""
        super().__init__(english.format_map(values))
        self.code = code
        self.values = values
