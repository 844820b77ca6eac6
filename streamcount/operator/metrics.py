"""Metrics for Prometheus: what each process counts, and what the notary knows of each event.

Workers write theirs to files that the process answering /metrics adds up (prometheus_client's
multiprocess mode), so a scrape sees all processes, and counters survive a worker that was restarted.
Heartbeats are counted in plain integers on the way and carried over once a second. Names and units
follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

FLUSH_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

# Gauge -> (key in Desk.counts, help). One series an event.
EVENT_GAUGES: Final = {
    "streamcount_proven_viewers": ("proven", "Latest final proven count, of one window ago"),
    "streamcount_peak_viewers": ("peak", "Highest proven count so far: the confirmed peak"),
    "streamcount_peak_timestamp_seconds": ("peak_tick", "First tick of the confirmed peak"),
    "streamcount_live_viewers": ("live", "Viewers with a heartbeat in the window, unconfirmed"),
    "streamcount_live_peak_viewers": ("live_peak", "Highest live count so far, unconfirmed"),
    "streamcount_live_peak_timestamp_seconds": ("live_peak_tick", "First tick of the live peak"),
    "streamcount_unique_viewers": ("uniques", "Viewers that ever had a qualifying heartbeat"),
    "streamcount_target_viewers": ("target", "Number to beat, if the event has one"),
    "streamcount_archived_timestamp_seconds": ("archived", "Latest tick in durable evidence"),
    "streamcount_log_entries": ("log_size", "Entries in the evidence log"),
    "streamcount_gaps": ("gaps", "Gaps logged"),
    "streamcount_epoch": ("epoch", "Times the store was armed, ever"),
    "streamcount_uncertain": ("uncertain", "1 while the numbers are to be doubted"),
    "streamcount_archive_write_seconds": ("archive_s", "Latest counting, fsync and checkpoint"),
}
LAGS: Final = {
    "streamcount_tick_lag_seconds": ("sealed", "Event time minus the latest sealed tick"),
    "streamcount_archive_lag_seconds": ("archived", "Event time minus the latest archived tick"),
}


class WorkerMetrics:
    """One worker's metrics; `carry` is called once a second."""

    def __init__(self) -> None:
        self._heartbeats = Counter(
            "streamcount_heartbeats", "Heartbeats by what became of them", ["outcome"]
        )
        self._opened = Counter("streamcount_connections_opened", "Connections admitted")
        self._refused = Counter("streamcount_connections_refused", "Connections not admitted")
        self._closes = Counter("streamcount_closes", "Connections closed by this side", ["code"])
        self._beacons = Counter(
            "streamcount_beacons", "Beacons by status of the answer", ["status"]
        )
        self._connections = Gauge(
            "streamcount_connections", "Open connections", multiprocess_mode="livesum"
        )
        self._watching = Gauge(
            "streamcount_watching_connections", "Viewers' connections", multiprocess_mode="livesum"
        )
        self._flush = Histogram(
            "streamcount_flush_seconds", "A worker's round with the store", buckets=FLUSH_BUCKETS_S
        )
        # What was carried over so far, by counter child.
        self._carried: dict[Any, int] = {}

    def carry(self, outcomes: Any, open_connections: int, watching: int) -> None:
        """Carry over what ingest/admission.py's `Outcomes` has counted."""
        for name in ("presences", "breaks", "noted", "late", "acknowledged"):
            self._to(self._heartbeats.labels(name), getattr(outcomes, name))
        self._to(self._opened, outcomes.connections)
        self._to(self._refused, outcomes.refused_connections)
        for code, count in outcomes.closed.items():
            self._to(self._closes.labels(str(code)), count)
        for status, count in outcomes.beacons.items():
            self._to(self._beacons.labels(str(status)), count)
        self._connections.set(open_connections)
        self._watching.set(watching)

    def flushed(self, seconds: float) -> None:
        """Take how long a round took."""
        self._flush.observe(seconds)

    def _to(self, counter: Counter, total: int) -> None:
        counter.inc(total - self._carried.get(counter, 0))
        self._carried[counter] = total


class EventCollector(Collector):
    """Reads the events' numbers when it is scraped, so that they are those the API tells."""

    def __init__(self, counts: Callable[[], Iterable[dict[str, Any]]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield one family a gauge; an event without a value has no sample."""
        events = list(self._counts())
        for name, (key, text) in EVENT_GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=["event"])
            for event in events:
                if event[key] is not None:
                    family.add_metric([event["id"]], float(event[key]))
            yield family
        gaps = GaugeMetricFamily(
            "streamcount_gap_seconds", "Seconds of the event inside gaps", labels=["event", "kind"]
        )
        for event in events:
            for kind, ticks in event["gap_ticks"].items():
                gaps.add_metric([event["id"], kind], float(ticks))
        yield gaps
        yield from _of_platforms(events)
        yield from _of_witnesses(events)
        for name, (key, text) in LAGS.items():
            family = GaugeMetricFamily(name, text, labels=["event"])
            for event in events:
                if event["stage"] in {"open", "closing"} and event["now"] and event[key]:
                    family.add_metric([event["id"]], float(event["now"] - event[key]))
            yield family


def _of_platforms(events: list[dict[str, Any]]) -> Iterator[Metric]:
    """Yield what platforms told; a stream without a count has no sample, as none is not zero."""
    viewers = GaugeMetricFamily(
        "streamcount_platform_viewers",
        "The platform's own count of a stream, as it told last, not proven",
        labels=["event", "stream"],
    )
    asked = GaugeMetricFamily(
        "streamcount_platform_timestamp_seconds",
        "When platforms were asked last",
        labels=["event"],
    )
    samples = CounterMetricFamily(
        "streamcount_platform_samples",
        "Samples that count, by outcome",
        labels=["event", "outcome"],
    )
    for event in events:
        if not (platform := event["platform"]):
            continue
        for stream, count in platform["streams"].items():
            if count is not None:
                viewers.add_metric([event["id"], stream], float(count))
        if platform["asked_ms"] is not None:
            asked.add_metric([event["id"]], platform["asked_ms"] / 1000)
        told = platform["so_far"]
        counted = told["samples"] - told["failed"] - told["absent"]
        outcomes = {"counted": counted, "absent": told["absent"], "failed": told["failed"]}
        for outcome, number in outcomes.items():
            samples.add_metric([event["id"], outcome], float(number))
    yield from (viewers, asked, samples)


def _of_witnesses(events: list[dict[str, Any]]) -> Iterator[Metric]:
    """Yield how much of the log others have seen; an event that names nobody has no sample."""
    told = {
        "witnessed": "Entries that enough witnesses have cosigned",
        "timed": "Entries that an authority has timed",
        "wanted": "Entries that they are asked about now",
    }
    for name, text in told.items():
        family = GaugeMetricFamily(f"streamcount_{name}_entries", text, labels=["event"])
        for event in events:
            if event["witnessing"]["parties"]:
                family.add_metric([event["id"]], float(event["witnessing"][name] or 0))
        yield family
    troubled = GaugeMetricFamily(
        "streamcount_witness_trouble",
        "1 while a witness or an authority could not be asked, or did not answer",
        labels=["event", "party"],
    )
    for event in events:
        for party in event["witnessing"]["parties"]:
            troubled.add_metric([event["id"], party["name"]], float(bool(party["trouble"])))
    yield troubled


def scrape(counts: Callable[[], Iterable[dict[str, Any]]]) -> Callable[[], tuple[bytes, str]]:
    """Return what answers /metrics, for all processes of this host."""
    registry = CollectorRegistry(auto_describe=False)
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(EventCollector(counts))
    return lambda: (generate_latest(registry), CONTENT_TYPE_LATEST)
