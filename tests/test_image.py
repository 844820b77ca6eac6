"""What the Dockerfile runs, run here: a wheel in a folder of its own, as it would be in the image."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.stack import free_port

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that `pip install .` makes of what the image copies."""
    folder = tmp_path_factory.mktemp("image")
    copied = shlex.split(re.search(r"^COPY (pyproject.*) \./$", DOCKERFILE, re.MULTILINE)[1])
    for name in [*copied, "streamcount"]:
        subprocess.run(["cp", "-r", ROOT / name, folder / name], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder / "dist",
        folder,
    ]
    subprocess.run(command, check=True)
    (made,) = (folder / "dist").glob("*.whl")
    return made


def test_the_wheel_holds_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("streamcount/")}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "streamcount").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == source


def test_the_images_command_and_health_check_run_from_the_wheel_alone(wheel, tmp_path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # As the image has it: not the checkout, a data directory from the environment, no other setting.
    port, operator = free_port(), free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("STREAMCOUNT")},
        "PYTHONPATH": str(site),
        "STREAMCOUNT_DATA": str(tmp_path / "data"),
        "STREAMCOUNT_PUBLIC_HOST": "127.0.0.1",
        "STREAMCOUNT_OPERATOR_HOST": "127.0.0.1",
        "STREAMCOUNT_PUBLIC_PORT": str(port),
        "STREAMCOUNT_OPERATOR_PORT": str(operator),
        "STREAMCOUNT_DRAIN_S": "2",
    }
    command = json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])
    health = json.loads(re.search(r"CMD (\[.*readyz.*\])$", DOCKERFILE, re.MULTILINE)[1])
    health = [sys.executable, *health[1:-1], health[-1].replace("8080", str(port))]
    assert command == ["streamcount", "serve"]
    service = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 180
        while (
            subprocess.run(health, check=False, capture_output=True).returncode
            and time.monotonic() < until
        ):
            time.sleep(0.2)
        assert subprocess.run(health, check=False, capture_output=True).returncode == 0
        where = subprocess.run(
            [sys.executable, "-c", "import streamcount; print(streamcount.__file__)"],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert where.startswith(str(site))
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(90) == 0
