"""The metrics of a running service, over its processes, and the dashboard's queries on them."""

from __future__ import annotations

import os
import re
import signal
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dashboards.overview import PANELS
from tests.service import PATIENT_S, serving
from tests.youtube import KEY, YouTubeServer

pytestmark = pytest.mark.slow
VIDEO = "aaaaaaaaaaa"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    asking = {"STREAMCOUNT_YOUTUBE_KEY": KEY, "STREAMCOUNT_PLATFORM_POLL_S": "1"}
    asking["STREAMCOUNT_PLATFORM_DEADLINE_S"] = "12"  # none fails of a machine that is busy
    with YouTubeServer({VIDEO: 650}) as youtube:
        asking["STREAMCOUNT_YOUTUBE_URL"] = youtube.url
        with serving(tmp_path_factory.mktemp("metrics"), **asking) as running:
            yield running


def scrape(service):
    token = (service.data / "operator.token").read_text().strip()
    request = urllib.request.Request(
        f"{service.told['operator']}/metrics", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENT_S) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_those_of_all_processes_and_of_the_api(service):
    stream = {"id": "main", "platform": {"name": "youtube", "video": VIDEO}}
    key = service.create("metered", target=30, streams=[stream])
    service.open("metered")
    told = service.ask(
        *"simulate metered --viewers 24 --ramp 3 --mix 2 --together 10 --leave 2".split()
    )
    assert told["different"] == 0
    service.wait_for(lambda: ("streamcount_connections",) in scrape(service))
    service.wait_for(lambda: scrape(service)[("streamcount_connections",)] == 0)
    found, counts = scrape(service), service.counts("metered")
    label = ("event", "metered")
    assert found["streamcount_peak_viewers", label] == counts["peak"] == 24
    assert found["streamcount_peak_timestamp_seconds", label] == counts["peak_tick"]
    assert found["streamcount_unique_viewers", label] == counts["uniques"]
    assert found["streamcount_target_viewers", label] == 30
    assert found["streamcount_platform_viewers", label, ("stream", "main")] == 650
    asked_ms = counts["platform"]["asked_ms"]
    assert found["streamcount_platform_timestamp_seconds", label] <= asked_ms / 1000
    assert found["streamcount_platform_samples_total", label, ("outcome", "counted")] >= 1
    assert found["streamcount_platform_samples_total", label, ("outcome", "failed")] == 0
    assert (
        found["streamcount_heartbeats_total", ("outcome", "acknowledged")] == told["acknowledged"]
    )
    heard = sum(
        found["streamcount_heartbeats_total", ("outcome", what)] for what in ("presences", "breaks")
    )
    assert heard == told["acknowledged"]
    assert found["streamcount_flush_seconds_count",] > 10

    # While the event is open, every query of the dashboard finds something.
    names = {name for name, *_ in found}
    for panel in PANELS:
        for query in panel.queries.values():
            for name in re.findall(r"streamcount_\w+", query):
                assert name in names, (panel.title, name)

    # A counter survives the worker that counted; a gauge does not.
    before = service.told["children"]
    os.kill(before["worker-0"], signal.SIGKILL)
    os.kill(before["worker-1"], signal.SIGKILL)
    service.wait_for(lambda: service.told["children"] != before)
    after = scrape(service)
    assert (
        after["streamcount_heartbeats_total", ("outcome", "acknowledged")] == told["acknowledged"]
    )
    service.close("metered")
    assert key
