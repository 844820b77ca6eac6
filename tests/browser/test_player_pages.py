"""The example of every page in docs/players, as it stands there, in a browser: it is counted, its pause is a break, and both
are in the evidence. All of them watch one event at the same time; YouTube is a stand-in."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.browser import media, youtube_stand_in
from tests.browser.evidence import Evidence
from tests.browser.examples import DOCS, Shown, example, python_example
from tests.browser.installed import players
from tests.service import PATIENT_S, serving

# What each page plays: how the source that is reported ends.
PLAYED = {
    "video": "/lesson.mp4", "audio": "/lesson.m4a", "hlsjs": "/live.m3u8", "dashjs": "/live.mpd",
    "shaka": "/live.m3u8", "videojs": "/live.m3u8", "youtube": "=VIDEO_ID", "custom": "bar",
}  # fmt: skip
LIVE = {name for name, played in PLAYED.items() if played.startswith("/live.")}
ELEMENTS = sorted(set(PLAYED) - {"youtube", "custom"})
ELEMENT = "document.querySelector('video, audio')"
PLAYER = "document.querySelector('video, audio, iframe, canvas')"
IN_FRAMES = """<!doctype html><link rel="icon" href="data:,">
<iframe id="plain" src="{inner}/video-lesson.html" allow="autoplay"></iframe>
<iframe id="boxed" src="{inner}/video-lesson.html" allow="autoplay" sandbox="allow-scripts"></iframe>"""


def toggle(name, page):
    """Press what starts and pauses the player."""
    if name == "youtube":
        page.page.frame_locator("iframe").locator("#play").click()
        page.do("0")
    elif name == "custom":
        page.do("document.getElementById('toggle').click()")
    else:
        page.do(f"{ELEMENT}.paused ? {ELEMENT}.play() : {ELEMENT}.pause()")


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """A service with an open event "lesson", and a server of media beside it."""
    with (
        serving(tmp_path_factory.mktemp("players")) as service,
        media.Origin(media.make(tmp_path_factory.mktemp("media"))) as origin,
    ):
        origin.beside |= players()
        service.key = service.create("lesson")
        service.open("lesson")
        yield service, origin


@pytest.fixture(scope="module")
def watched(lesson, browser, tmp_path_factory):
    """Every example has played, was muted or not, and paused; then the event was closed and exported."""
    service, origin = lesson
    script = tmp_path_factory.mktemp("app") / "viewer.py"
    script.write_text(python_example("app", service, "lesson"))
    app = subprocess.Popen([sys.executable, script], cwd=script.parent, stdout=subprocess.PIPE, text=True)  # fmt: skip
    shown = {
        name: Shown(browser, origin, service, name, "lesson", before=youtube_stand_in.install)
        for name in PLAYED
    }
    toggle("youtube", shown["youtube"])
    for page in shown.values():
        page.until_acked(state="playing")
    for page in shown.values():
        page.seen = page.ask(f"{PLAYER}.getBoundingClientRect().toJSON()")
    for page in (shown[name] for name in ELEMENTS):
        page.muted = page.ask(f"{ELEMENT}.muted")
        page.do(f"{ELEMENT}.muted = !{ELEMENT}.muted")
    for page in (shown[name] for name in ELEMENTS):
        page.until_acked(state="playing", muted=not page.muted)
    for name, page in shown.items():
        toggle(name, page)
    for page in shown.values():
        page.until_acked(state="paused", more=3)  # in the first one's second presence may win
    for page in shown.values():
        page.close()
    said, _ = app.communicate(timeout=PATIENT_S)
    return shown, Evidence(service, "lesson", tmp_path_factory.mktemp("pack"), service.key), said


@pytest.mark.slow
def test_every_example_is_counted_and_its_pause_is_a_break(watched):
    """One test, as pytest's workers would each show all pages again for a share of several."""
    shown, evidence, said = watched
    assert evidence.report["uniques"] == len(shown) + 1
    # All of them at the same instant; and whether the app was still there then is the machine's affair.
    assert set.intersection(
        *(evidence.proven(viewer) for page in shown.values() for viewer in page.viewers)
    )
    assert evidence.report["peak"] - len(shown) in {0, 1}
    for line in (
        "playing is in the evidence",
        "paused is in the evidence",
        "bye was acknowledged: True",
    ):
        assert line in said  # by the app, which is the one more
    wrong = {name: list(what_is_wrong(name, page, evidence)) for name, page in shown.items()}
    assert {name: faults for name, faults in wrong.items() if faults} == {}


def what_is_wrong(name, page, evidence):
    if len(page.viewers) != 1:
        yield f"viewers {page.viewers}"
    (viewer, *_) = page.viewers
    played = [(beat, tick) for beat, tick in page.acked if beat.get("state") == "playing"]
    paused = [tick for beat, tick in page.acked if beat.get("state") == "paused"]
    present, broke = evidence.presence(viewer), evidence.breaks(viewer)
    if len(played) < 2 or not {tick for _, tick in played} <= present:
        yield f"acknowledged as playing {played}, in the evidence {present}"
    if not paused or not set(paused) <= broke | present or max(paused) not in broke:
        yield f"acknowledged as paused {paused}, in the evidence {broke}"
    if not page.source.endswith(PLAYED[name]):
        yield f"source {page.source}"
    # A player that gets no time to play falls behind for a while; but it says how far.
    behind = [beat["behind_live_s"] for beat, _ in played]
    near = [one for one in behind if one is not None and 0 < one < media.NEAR_S]
    if not near if name in LIVE else behind[-1] is not None:
        yield f"behind live {behind}"
    if page.complaints:  # also of its own Content-Security-Policy
        yield f"complaints {page.complaints}"
    if page.seen["width"] < 200 or page.seen["height"] < (20 if name == "audio" else 100):
        yield f"seen {page.seen}"


# --- Pages in pages, and no page at all ---------------------------------------------------------------


def test_a_player_in_an_iframe_is_counted_and_one_in_a_sandbox_too(lesson, browser):
    service, origin = lesson
    service.create("framed")
    service.open("framed")
    origin.beside["framed.html"] = b""
    outer = origin.url.replace("127.0.0.1", "localhost")
    page = Shown(browser, origin, service, "video", "framed")
    inside = IN_FRAMES.format(inner=origin.url).replace("video-lesson", "video-framed")
    origin.beside["framed.html"] = inside.encode()
    page.until_acked(state="playing")
    page.page.goto(f"{outer}/framed.html")
    page.since = len(page.sent)
    page.until(lambda: {said["on"] for said, _ in page.acked_since} == {2, 3})
    assert service.counts("framed")["uniques"] == 3  # storage is kept apart
    page.close()
    assert page.complaints == []


# --- The pages themselves -----------------------------------------------------------------------------


def test_every_page_with_an_example_is_played_and_every_page_is_in_the_list():
    pages = {path.stem for path in DOCS.glob("*.md")} - {"README"}
    with_html = {name for name in pages if "```html" in (DOCS / f"{name}.md").read_text("utf-8")}
    assert with_html == set(PLAYED)
    listed = set(re.findall(r"\]\((\w+)\.md\)", (DOCS / "README.md").read_text("utf-8")))
    assert listed == pages


@pytest.mark.parametrize("name", PLAYED)
def test_an_example_loads_nothing_from_strangers(name):
    html, _ = example(name)
    hosts = set(re.findall(r"https?://([\w.-]+)", html))
    assert hosts <= {"count.example.org"} | ({"www.youtube.com"} if name == "youtube" else set())
