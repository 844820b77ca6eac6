"""When a client that has no websocket may say again that it plays: the rule that keeps proofs true.

A proof is two presences with no break between them. Requests overtake each other, and nobody at the server
can tell, as they go to different workers. What could go wrong: a pause is lost, or an old presence comes
after it, and then the next presence reaches back over the pause. This rule, kept by the client, makes that
impossible, whatever is delayed, lost or sent twice:

    after a break, no presence is sent before a break was acknowledged in a tick
    that lies more than `age_max` after the latest presence was made

Why that is enough. Let m be when the latest presence before the break was made, and x the tick of that
acknowledgement: x > m + age_max. A presence that was made at m or earlier and is read in tick x or
later is too old, and sets no bit: all of them are in ticks before x. Every later presence is sent after
the acknowledgement, and so read after x, as x was archived before. In x itself there is a break and no
presence. So it lies between the two of each pair that reaches over the pause, and no such pair proves
anything.

Or nothing is acknowledged, as nobody ever counted this viewer: then it is enough that two presences are
more than a window apart. Times are milliseconds of event time, as the client knows it.
"""

from __future__ import annotations

from typing import Final

# Between a client's idea of event time and a worker's, and because ticks are whole seconds.
_MARGIN_MS: Final = 2_000


class Proof:
    """What one client remembers of its presences and breaks. `age_max_s`, `window_s` as the server told."""

    def __init__(self, age_max_s: float = 0.0, window_s: int = 0) -> None:
        self.age_max_s = age_max_s
        self.window_s = window_s
        # When the latest presence was made that may count; None before the first.
        self._played_ms: int | None = None
        # True from a break until an acknowledgement, as above, covers it.
        self.broken = False

    def play(self, made_at_ms: int) -> None:
        """Take note that a presence is sent."""
        self._played_ms = max(made_at_ms, self._played_ms or 0)

    def end(self) -> None:
        """Take note that the player paused, ended or is hidden: a break is sent, now or again."""
        self.broken = self._played_ms is not None

    def acknowledge(self, tick: int) -> None:
        """Take note that a break is acknowledged, as received in this tick."""
        if tick * 1000 > self._reach_ms():
            # Whatever was sent before lies before this break: as if nothing had been.
            self.broken, self._played_ms = False, None

    def may_play(self, now_ms: int) -> bool:
        """Tell whether a presence may be sent now; if not, the break is to be sent again."""
        return not self.broken or now_ms > self._reach_ms() + 1000 * self.window_s + _MARGIN_MS

    def useful_from_ms(self) -> int:
        """Return from when on a break that is sent can be the one that the rule asks for."""
        return self._reach_ms() + 1000

    def _reach_ms(self) -> int:
        """Return until when the latest presence may be read and count."""
        return (self._played_ms or 0) + int(1000 * self.age_max_s)
