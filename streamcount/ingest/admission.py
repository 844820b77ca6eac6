"""Who may connect: how many at once, how long they may take, and what is refused when there is no room.

New viewers are shed before those already counted: the limit applies when a connection opens, never to
one that is open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# Written before anything is parsed, so that refusing costs next to nothing.
NO_ROOM: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


@dataclass(slots=True)
class Outcomes:
    """What became of connections and heartbeats, counted since the worker started."""

    connections: int = 0
    refused_connections: int = 0
    presences: int = 0
    breaks: int = 0
    noted: int = 0
    late: int = 0
    acknowledged: int = 0
    # Close code -> how many connections this side closed with it.
    closed: dict[int, int] = field(default_factory=dict)
    # Status -> how many beacons were answered with it.
    beacons: dict[int, int] = field(default_factory=dict)


class Admission:
    """Counts open connections against the limit."""

    def __init__(self, connections_max: int) -> None:
        self.open = 0
        self._most = connections_max

    def admit(self) -> bool:
        """Tell whether one more connection may open; if so it is counted until `release`."""
        if self.open >= self._most:
            return False
        self.open += 1
        return True

    def release(self) -> None:
        """Take note that an admitted connection is gone."""
        self.open -= 1
