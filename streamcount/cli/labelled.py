"""Lines with a label before them.

Labels stand in a column in English only, as no terminal aligns two directions.
"""

from __future__ import annotations

from streamcount.words import Catalogue


class Labelled:
    """The lines so far."""

    def __init__(self, words: Catalogue) -> None:
        self.words = words
        self.lines: list[str] = []

    def add(self, label: str, text: str) -> None:
        """Add a line under a label."""
        name = self.words.say(f"verify_label_{label}")
        self.lines.append(f"{name:<12}{text}" if self.words.language == "en" else f"{name}: {text}")

    def more(self, text: str) -> None:
        """Add a line that belongs to the one before."""
        self.lines.append(f"{'':<12}{text}" if self.words.language == "en" else f"- {text}")
