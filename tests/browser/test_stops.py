"""When a page's viewer begins to count and when they stop, recounted from the evidence."""

from __future__ import annotations

import pytest

from tests.browser.evidence import ACKED, Evidence, tick_now, viewer_of
from tests.browser.site import FILM
from tests.service import serving

# A film with an end: recorded from the moving picture, as WebM.
RECORDED = """
  async function recorded(milliseconds) {
    const parts = [], recorder = new MediaRecorder(canvas.captureStream(20), {mimeType: "video/webm;codecs=vp8"});
    recorder.ondataavailable = (part) => parts.push(part.data);
    recorder.start();
    await new Promise((done) => setTimeout(done, milliseconds));
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    return new Blob(parts, {type: "video/webm"});
  }
  const shown = () => {
    const video = Object.assign(document.createElement("video"), {muted: true, autoplay: true});
    document.body.append(video);
    return video;
  };
"""
MOMENT = 2  # seconds that a heartbeat may take to the server, on a machine that is busy
PLAYS = "document.body.append(film());"
ENDS = "recorded(4000).then((blob) => (shown().src = URL.createObjectURL(blob)));"
# The stream stops, and the player waits for more.
STALLS = """
  recorded(4000).then(async (blob) => {
    const source = new MediaSource();
    shown().src = URL.createObjectURL(source);
    await new Promise((open) => source.addEventListener("sourceopen", open));
    source.addSourceBuffer("video/webm;codecs=vp8").appendBuffer(await blob.arrayBuffer());
  });
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("stops")) as running:
        yield running


def waits(page, condition):
    page.wait_for_function(condition, timeout=60_000)


def test_who_pauses_ends_stalls_or_closes_the_page_stops_as_defined(service, browser, site, tmp_path):  # fmt: skip
    interval, window = 2, 9
    key = service.create("stops", window=window, interval=interval)
    service.open("stops")
    pages, viewers, began = {}, {}, {}
    for name, script in {"pauses": PLAYS, "closes": PLAYS, "ends": ENDS, "stalls": STALLS}.items():
        # Each with a storage of its own is a viewer of its own.
        page = pages[name] = browser.new_context().new_page()
        address = site.embedding(service.public, "stops", before=FILM + RECORDED, after=script)
        page.goto(address)
        waits(page, "document.querySelector('video')?.currentTime > 0")
        began[name] = tick_now()
        viewers[name] = viewer_of(page)
    for name, page in pages.items():
        waits(page, ACKED)
        viewers[name] = viewer_of(page)
    stopped = {}
    pages["pauses"].evaluate("document.querySelector('video').pause()")
    stopped["pauses"] = tick_now()
    waits(pages["ends"], "document.querySelector('video').ended")
    stopped["ends"] = tick_now()
    waits(pages["stalls"], "document.querySelector('video').readyState < 3")
    stopped["stalls"] = tick_now()
    pages["closes"].close()
    stopped["closes"] = tick_now()
    last = max(stopped.values()) + window + 2
    service.wait_for(lambda: tick_now() > last, 60)
    for name in ("pauses", "ends", "stalls"):
        pages[name].context.close()
    evidence = Evidence(service, "stops", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer) for viewer in viewers.values()}
    for name, viewer in viewers.items():
        presence, breaks = evidence.presence(viewer), evidence.breaks(viewer)
        assert min(presence) <= began[name] + 2 * interval + MOMENT, name
        assert max(presence) <= stopped[name] + MOMENT, name
        assert evidence.proven(viewer), name
        assert max(evidence.proven(viewer)) < stopped[name] + MOMENT, name
        said = [tick for tick in breaks if tick <= stopped[name] + interval + MOMENT]
        # A stall is no break: nothing is said until the page is closed. A bye is said once, and in the second of a
        # heartbeat presence wins.
        if name != "closes":
            assert bool(said) == (name != "stalls"), name


def test_a_paused_tab_does_not_end_what_another_tab_of_the_viewer_plays(service, browser, site, tmp_path):  # fmt: skip
    key = service.create("paused", window=11, interval=3)
    service.open("paused")
    address = site.embedding(service.public, "paused", before=FILM, after=PLAYS)
    context = browser.new_context()
    playing, other = context.new_page(), context.new_page()
    for page in (playing, other):
        page.goto(address)
        waits(page, ACKED)
    other.evaluate("document.querySelector('video').pause()")
    paused = tick_now()
    service.wait_for(lambda: tick_now() > paused + 12, 60)
    other.close()
    closed = tick_now()
    service.wait_for(lambda: tick_now() > closed + 6, 60)
    viewer = viewer_of(playing)
    context.close()
    evidence = Evidence(service, "paused", tmp_path, key)
    assert evidence.report["peak"] == evidence.report["uniques"] == 1
    # The tabs' messages may fall on two sides of a second's end; then a few seconds are not proven.
    missing = set(range(paused + 1, closed + 3)) - evidence.proven(viewer) - evidence.excused
    assert len(missing) <= 4, sorted(missing)
