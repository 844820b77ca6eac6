"""Who of a browser's pages is in an event's evidence, when, by the pack's own bodies."""

from __future__ import annotations

import hmac
import time

from streamcount.core.presence import proven_ticks
from tests.recount import Recounted

ACKED = "Boolean(window.streamcount?.watching?.lastAck)"


class Evidence:
    """The pack of an event that was closed and verified."""

    def __init__(self, service, event, folder, key):
        if service.counts(event)["stage"] != "final":
            service.close(event)
        self.report = service.verified(event, folder, key)
        self._found = Recounted(folder / f"{event}.zip")
        self._window = window = service.counts(event)["window"]
        # What may not be proven as heartbeats are missing, which the log says; a machine that has too much to do misses some.
        self.excused = {
            tick
            for gap in self._found.gaps
            for tick in range(gap.first - window, gap.last + window + 1)
        }
        secret = (service.data / "events" / event / "pseudonym.key").read_text().strip()
        self._secret = bytes.fromhex(secret)
        # What was counted while it went on is what the bodies say.
        assert self.report["peak"] == self._found.peak(self._window)
        assert self.report["uniques"] == len(set(self._found.names))

    @property
    def viewers(self):
        return set(self._found.names)

    def name(self, viewer):
        return hmac.digest(self._secret, viewer.encode(), "sha256")[:16]

    def presence(self, viewer):
        return self._found.presence.get(self.name(viewer), set())

    def breaks(self, viewer):
        return self._found.breaks.get(self.name(viewer), set())

    def proven(self, viewer):
        """The ticks in which a viewer is proven."""
        return set(proven_ticks(self.presence(viewer), self.breaks(viewer), self._window))


def viewer_of(page):
    return page.evaluate("localStorage.getItem('streamcount.viewer')")


def until_broken(service, event):
    """Wait until a break is in the evidence: what a page says last, when it goes away, comes when it comes."""
    path = f"/api/events/{event}/timeline"
    service.wait_for(lambda: any(service.api(path)["breaks"]))


def tick_now():
    """Event time: no clock is set here, so it is that of this machine. What the service shows of it may be old."""
    return int(time.time())
