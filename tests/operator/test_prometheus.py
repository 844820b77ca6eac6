"""A real Prometheus scrapes a running service, and answers every query of the dashboard."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from dashboards.overview import PANELS
from tests.service import PATIENT_S, serving
from tests.stack import free_port
from tests.youtube import KEY, YouTubeServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="needs prometheus (Debian: prometheus)"
    ),
]

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: streamcount
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["{target}"]}}]
"""


@contextlib.contextmanager
def prometheus(service, folder):
    """Yields what asks it."""
    config, port = folder / "prometheus.yml", free_port()
    target = service.told["operator"].removeprefix("http://")
    config.write_text(CONFIG.format(token=service.data / "operator.token", target=target))
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(query):
        address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(address, timeout=PATIENT_S) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.URLError:
            return []

    try:
        yield ask
    finally:
        process.terminate()
        process.wait(60)


def test_every_query_of_the_dashboard_has_an_answer(tmp_path):
    asking = {"STREAMCOUNT_YOUTUBE_KEY": KEY, "STREAMCOUNT_PLATFORM_POLL_S": "1"}
    with (
        YouTubeServer({"aaaaaaaaaaa": 650}) as youtube,
        serving(tmp_path, STREAMCOUNT_YOUTUBE_URL=youtube.url, **asking) as service,
        prometheus(service, tmp_path) as ask,
    ):
        stream = {"id": "main", "platform": {"name": "youtube", "video": "aaaaaaaaaaa"}}
        service.create("lesson", target=12, streams=[stream])
        service.open()
        service.wait_for(lambda: ask("up == 1"))
        told = service.ask(
            *"simulate lesson --viewers 12 --ramp 2 --mix 1 --together 8 --leave 1 --churn 0".split()
        )
        assert told["different"] == 0
        # A real one asks over minutes; this one has been there for seconds.
        queries = {
            query.replace("$event", "lesson").replace("[1m]", "[15s]"): panel.title
            for panel in PANELS
            for query in panel.queries.values()
        }
        # It has what it scraped last: a second ago, or more.
        end = time.monotonic() + PATIENT_S
        while queries and time.monotonic() < end:
            queries = {query: title for query, title in queries.items() if not ask(query)}
            time.sleep(0.2)
        assert queries == {}
        peak = 'streamcount_peak_viewers{event="lesson"}'
        service.wait_for(lambda: [one["value"][1] for one in ask(peak)] == ["12"])
        service.close()


def test_promtool_finds_nothing_wrong_with_the_names(tmp_path):
    with serving(tmp_path) as service:
        service.create("lesson")
        service.open()
        token = (service.data / "operator.token").read_text().strip()
        request = urllib.request.Request(
            f"{service.told['operator']}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        service.wait_for(
            lambda: b"streamcount_connections" in urllib.request.urlopen(request).read()
        )
        text = urllib.request.urlopen(request, timeout=PATIENT_S).read()
        done = subprocess.run(
            ["promtool", "check", "metrics"],
            input=text,
            capture_output=True,
            check=False,
            timeout=PATIENT_S,
        )
        said = (done.stdout + done.stderr).decode()
        assert not re.findall(r"^streamcount.*", said, re.MULTILINE), said
        service.close()
