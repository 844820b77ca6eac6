"""ingest/head: what is a websocket of ours, and what is left to HTTP."""

from __future__ import annotations

import pytest

from streamcount.ingest.head import asks_for_websocket

UPGRADE = b"GET /v1/viewers HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        UPGRADE,
        UPGRADE.replace(b"viewers", b"viewers?x=1"),
        UPGRADE.replace(b"Upgrade", b"UPGRADE"),
        UPGRADE + b"\x81\x80",
    ],
)
def test_an_upgrade_on_the_viewers_path_is_ours(head):
    assert asks_for_websocket(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET",
        b"\r\n\r\n",
        UPGRADE[:-2],
        UPGRADE.replace(b"viewers", b"viewers/"),
        UPGRADE.replace(b"/v1", b"//v1"),
        UPGRADE.replace(b"Upgrade", b"X-Upgrade"),
        b"GET /v1/viewers HTTP/1.1\r\nHost: x\r\n\r\nupgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + UPGRADE,
    ],
)
def test_anything_else_is_not(head):
    assert not asks_for_websocket(head)
