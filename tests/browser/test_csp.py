"""The lines of a Content-Security-Policy that README.md of the embed names: with them a page is counted, and without one it is told."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from streamcount import embed
from tests.browser import youtube_stand_in
from tests.browser.evidence import ACKED
from tests.browser.frames import until
from tests.browser.site import FILM
from tests.service import serving

README = (Path(embed.__file__).parent / "README.md").read_text("utf-8")
# The page's own scripts stand in for its player; a nonce allows them and nothing else.
OWN = "<script nonce=own>{script}</script>"


def documented(name, server):
    """The policy in README.md's block of that name, for this server; directive -> sources."""
    block = re.search(rf"<!-- csp {name} -->\n+```\n(.*?)```", README, re.DOTALL)[1]
    host = urlsplit(server).netloc
    text = block.replace("https://count.example.org", server)
    text = text.replace("wss://count.example.org", f"ws://{host}")
    return dict(line.rstrip(";").split(" ", 1) for line in text.split("\n") if line)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("csp")) as running:
        running.create("csp")
        running.open("csp")
        yield running


@pytest.fixture
def shown(service, site, browser):
    """Opens a page under exactly a policy; returns it and what its console said."""
    opened = []

    def show(policy, body, script="", data=""):
        page = browser.new_page()
        opened.append(page)
        page.said, page.thrown = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.thrown.append(str(error)))
        youtube_stand_in.install(page)
        # What is not allowed by name is forbidden; the page's own scripts have their nonce.
        policy = {"default-src": "'none'", "img-src": "data:"} | policy
        policy["script-src"] = f"{policy.get('script-src', '')} 'nonce-own'".strip()
        html = f"<!doctype html><link rel=icon href=data:,><body>{body}{OWN.format(script=script)}"
        html += f"<script src='{service.public}/streamcount.js' data-event=csp {data}></script>"
        text = "; ".join(f"{name} {sources}" for name, sources in policy.items())
        page.goto(site.put("csp.html", html, Content_Security_Policy=text))
        return page

    yield show
    for page in opened:
        assert page.thrown == []
        page.close()


def waits(page, condition):
    """Until something is true in the page, where eval() is forbidden."""
    until(page, lambda: page.evaluate(f"Boolean({condition})"), lambda: page.said)


def refused(page):
    return [line for line in page.said if "Content Security Policy" in line]


TUBE = "<iframe src='https://www.youtube.com/embed/any?autoplay=1'></iframe>"


def test_with_the_documented_lines_a_page_is_counted(service, shown):
    policy = documented("video", service.public)
    assert policy.keys() == {"script-src", "connect-src"}
    page = shown(policy, "", FILM + "document.body.append(film());")
    waits(page, ACKED)
    # What is left when the page goes, a beacon, is allowed by the same lines.
    page.evaluate("dispatchEvent(new Event('offline')); dispatchEvent(new Event('pagehide'))")
    page.wait_for_timeout(300)
    assert refused(page) == []


def test_with_the_documented_lines_a_youtube_iframe_is_counted(service, shown):
    policy = documented("youtube", service.public)
    page = shown(policy, TUBE)
    waits(page, ACKED)
    assert refused(page) == []


def test_without_connect_src_the_page_says_that_there_is_no_connection(service, shown):
    policy = documented("video", service.public)
    del policy["connect-src"]
    page = shown(policy, "", FILM + "document.body.append(film());")
    waits(page, "streamcount.problem === 'no-connection'")
    until(page, lambda: refused(page))
    until(page, lambda: any(said.startswith("streamcount: no connection to ws://") for said in page.said))  # fmt: skip
    assert not page.evaluate(ACKED)


def test_without_script_src_nothing_is_loaded_and_the_browser_says_so(service, shown):
    policy = documented("video", service.public)
    del policy["script-src"]
    page = shown(policy, "", FILM + "document.body.append(film());")
    waits(page, "document.readyState === 'complete'")
    until(page, lambda: any("streamcount.js" in line for line in refused(page)))
    assert page.evaluate("window.streamcount") is None


@pytest.mark.parametrize(
    ("directive", "problem"), [("script-src", "youtube-blocked"), ("frame-src", "youtube-waiting")]
)
def test_without_a_line_for_youtube_the_page_is_told(service, shown, directive, problem):
    policy = documented("youtube", service.public)
    policy[directive] = " ".join(s for s in policy[directive].split() if "youtube" not in s)
    page = shown({k: v for k, v in policy.items() if v}, TUBE)
    waits(page, f"streamcount.problem === '{problem}'")
    until(page, lambda: refused(page))
    assert page.evaluate("streamcount.watching") is None
