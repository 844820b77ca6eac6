"""Outages that take long, and many pages: `make browser` runs this file; its short forms are in test_survival.py.

Each is recounted from the evidence: nobody is lost, nobody counts twice.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.browser.evidence import ACKED, Evidence, tick_now, viewer_of
from tests.browser.site import FILM
from tests.faults.proxy import Proxy
from tests.service import Service, serving
from tests.stack import free_port

PLAYS = "document.body.append(film());"
# Nothing to draw: fifty of these fit into a small machine.
DESCRIBED = """
  const read = () => ({state: "playing", position: performance.now() / 1000});
  streamcount.watching = streamcount.watch({name: "mine", read}, {event: "EVENT"});
"""
PAGES = 50


def waits(page, condition, seconds=90):
    page.wait_for_function(condition, timeout=seconds * 1000)


def acked_anew(page):
    page.evaluate("streamcount.watching.lastAck = null")
    waits(page, ACKED)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("outages")) as running:
        yield running


@pytest.fixture
def proxied(service):
    """Between pages and the service: a cable that can be cut."""
    with Proxy(int(service.public.rsplit(":", 1)[1])) as proxy:
        proxy.address = f"http://127.0.0.1:{proxy.port}"
        yield proxy


def test_twenty_seconds_without_a_network_lose_nobody(service, site, page_cut_off, proxied, tmp_path):  # fmt: skip
    """Connections end and new ones are refused; the viewer is the same before and after."""
    key = service.create("refused", window=7)
    service.open("refused")
    page_cut_off.goto(site.embedding(proxied.address, "refused", before=FILM, after=PLAYS))
    waits(page_cut_off, ACKED)
    proxied.reset_peer = True
    proxied.cut()
    gone = tick_now()
    waits(page_cut_off, "!streamcount.watching.connected")
    service.wait_for(lambda: tick_now() > gone + 20, 60)
    back = tick_now()
    proxied.heal()
    acked_anew(page_cut_off)
    acked_anew(page_cut_off)
    viewer = viewer_of(page_cut_off)
    page_cut_off.context.close()
    evidence = Evidence(service, "refused", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert not any(gone + 1 < tick < back for tick in evidence.proven(viewer))
    # From nothing to eight seconds until the next attempt, and a moment to be heard.
    assert any(back <= tick <= back + 12 for tick in evidence.presence(viewer))


def test_a_connection_that_fell_silent_is_given_up(service, site, page_cut_off, proxied, tmp_path):
    """Nothing passes and nothing is closed, as after a sleep: the browser knows of nothing."""
    key = service.create("silent", window=7)
    service.open("silent")
    page_cut_off.goto(site.embedding(proxied.address, "silent", before=FILM, after=PLAYS))
    waits(page_cut_off, ACKED)
    connections = proxied.connections
    proxied.timeout = True
    waits(page_cut_off, "!streamcount.watching.connected")
    silent = tick_now()
    proxied.heal()
    acked_anew(page_cut_off)
    assert proxied.connections > connections
    viewer = viewer_of(page_cut_off)
    page_cut_off.context.close()
    evidence = Evidence(service, "silent", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer)}
    assert max(evidence.presence(viewer)) >= silent


def test_a_service_that_is_killed_and_started_again_counts_on(browser, site, tmp_path):
    ports = [str(free_port()), str(free_port())]
    options = ("--public-port", ports[0], "--operator-port", ports[1])
    with Service(tmp_path / "data", tmp_path / "first.log", *options) as service:
        key = service.create("killed", window=7)
        service.open("killed")
        pages = [browser.new_context().new_page() for _ in range(3)]
        for page in pages:
            page.goto(site.embedding(service.public, "killed", before=FILM, after=PLAYS))
        for page in pages:
            waits(page, ACKED)
        for pid in [service.process.pid, *service.told["children"].values()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # went with its parent
        service.process.wait(30)
        for page in pages:
            waits(page, "!streamcount.watching.connected")
        (service.data / "service.json").unlink()
    with Service(tmp_path / "data", tmp_path / "second.log", *options) as service:
        for page in pages:
            acked_anew(page)
        again = tick_now()
        for page in pages:
            acked_anew(page)
        viewers = [viewer_of(page) for page in pages]
        for page in pages:
            page.context.close()
        evidence = Evidence(service, "killed", tmp_path, key)
        assert evidence.viewers == {evidence.name(viewer) for viewer in viewers}
        assert evidence.report["peak"] == len(viewers)
        for viewer in viewers:
            assert max(evidence.proven(viewer)) >= again


def test_fifty_pages_at_once_are_fifty_viewers_before_and_after_an_outage(service, site, browser, proxied, tmp_path):  # fmt: skip
    key = service.create("fifty", window=31, interval=3)
    service.open("fifty")
    address = site.embedding(
        proxied.address,
        "fifty",
        after=DESCRIBED.replace("EVENT", "fifty"),
        data="data-player='#none'",
    )
    pages = [browser.new_context().new_page() for _ in range(PAGES)]
    for page in pages:
        page.goto(address, wait_until="commit")
    for page in pages:
        waits(page, ACKED)
    everybody = tick_now()
    proxied.cut()
    for page in pages:
        acked_anew(page)
    again = tick_now()
    viewers = {viewer_of(page) for page in pages}
    for page in pages:
        page.context.close()
    assert len(viewers) == PAGES
    evidence = Evidence(service, "fifty", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer) for viewer in viewers}
    assert evidence.report["peak"] == PAGES
    for viewer in viewers:
        # The cut is over within the window: nobody's proof has a hole.
        assert set(range(everybody, again - 4)) <= evidence.proven(viewer)
