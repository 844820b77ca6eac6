"""What all tools of a run are given: made once, in one folder."""

from __future__ import annotations

from pathlib import Path

from tests.interop import making, spoiling
from tests.interop.spoiling import Case


class Bench:
    """Logs, true and spoilt. `short` leaves the large ones out."""

    def __init__(self, folder, *, short=False):
        self.folder = Path(folder)
        self.short = short
        self.patience_s = 120 if short else 900
        sizes = making.SHORT_SIZES if short else making.SIZES
        self.logs = {size: making.make_log(self.folder / "logs", size) for size in sizes}
        self.event = making.make_event(self.folder, ticks=300 if short else 600)
        # With tokens and cosignatures; made when a tool asks for it, as openssl has to be here.
        self._timed = None
        # (what, address, key, right) of logs that are served while the tools run.
        self.served = []
        self._cases = None

    @property
    def timed(self):
        if self._timed is None:
            self._timed = making.make_timed(self.folder / "timed")
        return self._timed

    def spoilable(self):
        """The logs that are spoilt: one with tiles of each level, one in a single tile, and the least."""
        return [self.logs[size] for size in (1, 256, 513 if self.short else 70_000)]

    def cases(self):
        """Every log, true and spoilt."""
        if self._cases is None:
            self._cases = [Case(f"{size} entries", log) for size, log in self.logs.items()]
            self._cases.append(Case("the pack of an event", self.event))
            for log in self.spoilable():
                folder = self.folder / f"spoilt-{log.size}"
                self._cases += spoiling.true_ones(folder, log)
                self._cases += spoiling.spoilt_ones(folder, log)
        return self._cases
