"""streamcount counts the concurrent viewers of a live stream exactly, and lets anyone check the count."""

__version__ = "0.1.0"
