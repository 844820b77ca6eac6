"""What the soak judges by: the slope of a line through samples, and which descriptors are viewers'."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults.soak import Life, Soak, sockets_at


def life(percent_an_hour, noise=0.0, seconds=1800):
    draw = random.Random(1)
    at = list(range(0, seconds, 2))
    rss = [1e8 * (1 + percent_an_hour / 100 * t / 3600) + noise * draw.uniform(-1, 1) for t in at]
    return Life("worker-0", at, rss, [20] * len(at))


@pytest.mark.parametrize("percent", [-3.0, 0.0, 0.5, 4.0])
def test_a_slope_is_found_in_noise(percent):
    slope, error = life(percent, noise=2e4).slope(life(percent, noise=2e4).rss, 100)
    assert abs(slope - percent) < 4 * error + 0.1
    assert error < 0.2


def test_a_process_that_lived_too_short_says_nothing():
    assert life(4.0, seconds=110).slope([1] * 55, 100) is None


@pytest.mark.parametrize(("percent", "wrong"), [(0.5, 0), (4.0, 1)])
def test_what_surely_grows_is_wrong(tmp_path, percent, wrong):
    soak = Soak(tmp_path, 1, 1, Console(quiet=True))
    soak.memory.lives["worker-0", 1] = life(percent, noise=2e4)
    soak.judge()
    assert len(soak.wrong) == wrong


def test_viewers_connections_are_told_from_other_descriptors():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)) as viewer,
            listening.accept()[0] as there,
        ):
            found = sockets_at(port)
            links = [
                os.readlink(f"/proc/self/fd/{one.fileno()}") for one in (listening, there, viewer)
            ]
    assert [link in found for link in links] == [True, True, False]
    assert Path(links[0]).name.startswith("socket:")
