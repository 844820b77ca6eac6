"""Rows of the fault matrix: clocks that are set, and clocks that differ."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

from tests.faults.stores import Store
from tests.faults.trial import WINDOW, UnableError, row


def faked(clock):
    """The environment of a process whose time of day is off by what the file `clock` says.

    Its monotonic clock is left alone, as setting a machine's clock does.
    """
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        raise UnableError("needs the Python package libfaketime")
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    if not library.exists():
        raise UnableError("libfaketime has no library for this machine")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


@row(15, "the store's clock is set, forward and back")
def clock_stepped(trial):
    clock = trial.folder / "clock"
    clock.write_text("+0s")
    store = trial.enter(Store(environment=faked(clock)))
    trial.begin("--redis-url", store.url)
    steps = ("+3s", "+0s", "+3600s", "-50s", "+0s") if trial.full else ("+40s", "-20s")
    for offset in steps:
        epoch = trial.counts()["epoch"]
        clock.write_text(offset)
        trial.injected()
        trial.until(lambda epoch=epoch: (trial.counts() or {"epoch": epoch})["epoch"] > epoch)
        trial.healed()
        now = trial.counts()["now"]
        assert abs(now - time.time()) < 5, f"event time is {now - time.time():.1f} s off"
    # Long enough for ticks that may be the peak again.
    time.sleep(2 * WINDOW)
    trial.expect_gap("clock")


@row(15, "another store with another clock, after the first is lost")
def clock_differs(trial):
    """What a failover to a machine with another time looks like."""
    clock = trial.folder / "clock"
    clock.write_text("+0s")
    store = trial.enter(Store(environment=faked(clock)))
    trial.begin("--redis-url", store.url)
    for offset in ("+7s", "-7s", "+0s") if trial.full else ("-7s",):
        store.kill()
        clock.write_text(offset)
        trial.injected()
        time.sleep(1)
        store.start()
        trial.healed()
        now = trial.counts()["now"]
        assert abs(now - time.time()) < 5, f"event time is {now - time.time():.1f} s off"


@row(15, "the service's own clock is an hour off, and set while it counts")
def service_clock(trial):
    """Nobody asks it: ticks come from the store's time over monotonic clocks."""
    clock = trial.folder / "clock"
    clock.write_text("+3600s")
    store = trial.enter(Store())
    trial.begin("--redis-url", store.url, **faked(clock))
    for offset in ("+0s", "-3600s") if trial.full else ("-3600s",):
        clock.write_text(offset)
        trial.injected()
        time.sleep(2)
        trial.healed()
