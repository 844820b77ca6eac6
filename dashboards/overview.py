"""The overview: one event, and what its processes do. `make dashboards` writes overview.json.

Import overview.json in Grafana and choose a Prometheus data source that scrapes the operators' port.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

OUT = Path(__file__).with_suffix(".json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


class Panel(NamedTuple):
    """One panel: how it shows, where, and what."""

    title: str
    kind: str
    unit: str
    # Grid cells; a row is 24 wide.
    height: int
    width: int
    # Legend -> PromQL.
    queries: dict[str, str]


def of_event(metric: str) -> str:
    """Return the query of a metric of the chosen event."""
    return f'streamcount_{metric}{{event="$event"}}'


PANELS = [
    Panel("Confirmed peak", "stat", "none", 5, 8, {"peak": of_event("peak_viewers")}),
    Panel("To beat", "stat", "none", 5, 4, {"target": of_event("target_viewers")}),
    Panel("Proven, one window ago", "stat", "none", 5, 4, {"proven": of_event("proven_viewers")}),
    Panel("Live, unconfirmed", "stat", "none", 5, 4, {"live": of_event("live_viewers")}),
    Panel("Uncertain", "stat", "bool_yes_no", 5, 4, {"uncertain": of_event("uncertain")}),
    Panel(
        "Viewers", "timeseries", "none", 10, 24,
        {
            "proven": of_event("proven_viewers"),
            "live, unconfirmed": of_event("live_viewers"),
            "confirmed peak": of_event("peak_viewers"),
            "{{stream}}: the platform's own count": of_event("platform_viewers"),
        },
    ),
    Panel(
        "Heartbeats by what became of them", "timeseries", "ops", 8, 12,
        {"{{outcome}}": "sum by (outcome) (rate(streamcount_heartbeats_total[1m]))"},
    ),
    Panel(
        "Connections", "timeseries", "none", 8, 12,
        {
            "open": "streamcount_connections",
            "viewers": "streamcount_watching_connections",
            "closed with {{code}}, per s": "sum by (code) (rate(streamcount_closes_total[1m]))",
        },
    ),
    Panel(
        "Behind event time", "timeseries", "s", 8, 12,
        {
            "sealed": of_event("tick_lag_seconds"),
            "archived": of_event("archive_lag_seconds"),
            "in gaps, {{kind}}": of_event("gap_seconds"),
        },
    ),
    Panel(
        "A worker's round with the store, and an archive write", "timeseries", "s", 8, 12,
        {
            "flush, 99 %": "histogram_quantile(0.99, sum by (le) "
            "(rate(streamcount_flush_seconds_bucket[1m])))",
            "archive write": of_event("archive_write_seconds"),
        },
    ),
]  # fmt: skip


def build_panel(panel: Panel) -> Any:
    """Return a panel's builder."""
    built: Any
    if panel.kind == "stat":
        latest = common.ReduceDataOptions().calcs(["lastNotNull"])
        built = stat.Panel().reduce_options(latest)
    else:
        shown = common.VizLegendOptions().show_legend(True)
        built = timeseries.Panel().fill_opacity(8).legend(shown)
    built = built.title(panel.title).unit(panel.unit).datasource(SOURCE)
    for letter, (legend, query) in zip("ABCDEFGH", panel.queries.items(), strict=False):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(letter)
        built = built.with_target(target)
    return built.height(panel.height).span(panel.width)


def build() -> str:
    """Return the dashboard as JSON."""
    source = dashboard.DatasourceVariable("datasource").type("prometheus").label("Prometheus")
    event = (
        dashboard.QueryVariable("event")
        .label("Event")
        .datasource(SOURCE)
        .query("label_values(streamcount_epoch, event)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    board = (
        dashboard.Dashboard("streamcount")
        .uid("streamcount-overview")
        .tags(["streamcount"])
        .refresh("5s")
        .time("now-30m", "now")
        .with_variable(source)
        .with_variable(event)
    )
    for panel in PANELS:
        board = board.with_panel(build_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


if __name__ == "__main__":
    OUT.write_text(build(), "utf-8")
    print(f"written to {OUT}", file=sys.stderr)
