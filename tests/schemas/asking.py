"""Asks every endpoint of the running service what its OpenAPI document says, and what it does not.

    python -m tests.schemas.asking --examples 300 --seed 7        or: make api EXAMPLES=300 SEED=7

schemathesis makes the requests, right ones and wrong ones, in all methods, with and without the token, and
holds every answer to the document, closed to keys it does not list. Meanwhile one viewer watches an event:
whatever is asked, that viewer is counted, and nobody else.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from streamcount.core.wire import PATH
from streamcount.embed.client import Viewer
from tests.schemas.published import OPERATOR, PUBLIC
from tests.service import serving

HERE = Path(__file__).parent
# Examples of the documents: of whatever reads, and of operators' acts.
WATCHED, ACTED = "lesson", "rehearsal"
EVENTS_MAX = 40


def closed(document):
    """The document with objects in answers that have no other keys."""
    strict = copy.deepcopy(document)
    for name, schema in strict["components"]["schemas"].items():
        if not name.endswith("Fields"):  # a part of others, which are closed themselves
            _close(schema)
    for item in strict["paths"].values():
        for operation in item.values():
            for answer in operation["responses"].values():
                for content in answer.get("content", {}).values():
                    _close(content["schema"])
    return strict


def _close(schema):
    if ("properties" in schema or "allOf" in schema) and "additionalProperties" not in schema:
        schema["unevaluatedProperties"] = False


class Watching:
    """A viewer of the watched event, in a thread of its own."""

    def __init__(self, service):
        self.viewer = Viewer(
            service.public.replace("http", "ws") + PATH, event=WATCHED, viewer="viewer-0001"
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))

    async def _watch(self):
        running = asyncio.create_task(self.viewer.run())
        self.viewer.play()
        await asyncio.to_thread(self._ended.wait)
        await self.viewer.leave()
        await running

    def __enter__(self):
        self._ended = threading.Event()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(120)

    def acknowledged(self):
        """Wait for an ack of what is sent from now on."""
        sent, end = self.viewer.seq, time.monotonic() + 180
        while self.viewer.last_ack is None or self.viewer.last_ack["seq"] <= sent:
            assert time.monotonic() < end, "the viewer is not acknowledged any more"
            time.sleep(0.05)


def schemathesis(folder, document, url, examples, seed, *options):
    """Run it; returns its exit status and what it said."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(closed(document)), "utf-8")
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(HERE / "schemathesis.toml"),
    ]
    command += [
        "run",
        str(path),
        "--url",
        url,
        "--checks",
        "all",
        "--continue-on-failure",
        "--no-color",
    ]
    command += [
        "--max-examples",
        str(examples),
        "--seed",
        str(seed),
        "--request-timeout",
        "120",
        *options,
    ]
    done = subprocess.run(
        command,
        capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.schemas.asking_hooks", "PYTHONPATH": str(HERE.parents[1])},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def ask(folder, examples, seed):
    """Ask both ports of a service of its own; returns what schemathesis said of what is wrong."""
    wrong = []
    with serving(folder, STREAMCOUNT_EVENTS_MAX=str(EVENTS_MAX)) as service:
        key = service.create(WATCHED)
        service.create(ACTED)
        service.open(WATCHED)
        token = (service.data / "operator.token").read_text().strip()
        with Watching(service) as watching:
            watching.acknowledged()
            before = service.counts(WATCHED)
            for document, url, options in (
                (PUBLIC, service.public, ()),
                (
                    OPERATOR,
                    service.told["operator"],
                    ("--header", f"Authorization: Bearer {token}"),
                ),
            ):
                with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
                    assert json.load(answer) == document
                status, said = schemathesis(folder, document, url, examples, seed, *options)
                asked = sum(len(item) for item in document["paths"].values())
                if status or f"Tested: {asked}\n" not in said:
                    wrong.append(said)
            watching.acknowledged()
            after = service.counts(WATCHED)
        assert (before["uniques"], after["uniques"], after["exclusions"]) == (1, 1, [])
        present = service.api(f"/api/events/{WATCHED}/timeline")["present"]
        assert max(present) == 1
        service.close(WATCHED)
        report = service.verified(WATCHED, folder, key)
        assert (report["uniques"], report["live_peak"]) == (1, 1)
        if " failed\n" in service.log.read_text():
            wrong.append(service.log.read_text())
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamcount-") as folder:
        wrong = ask(Path(folder), given.examples, given.seed)
    print("\n".join(wrong) or "nothing wrong, and nobody was counted who was not there")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
