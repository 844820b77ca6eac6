"""When a page's viewer begins to count and when they stop, recounted from the evidence."""

from __future__ import annotations

import pytest

from tests.browser.evidence import Evidence, tick_now, viewer_of
from tests.browser.frames import Frames
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
PLAYS = "document.body.append(film());"
# Both play as long as the test wants: a machine that is busy may take longer than any film for the first answers.
ENDS = """
  recorded(4000).then((blob) => Object.assign(shown(), {loop: true, src: URL.createObjectURL(blob)}));
"""
# The stream stops, and the player waits for more.
STALLS = """
  recorded(4000).then(async (blob) => {
    const source = new MediaSource(), video = shown();
    video.src = URL.createObjectURL(source);
    await new Promise((open) => source.addEventListener("sourceopen", open));
    source.addSourceBuffer("video/webm;codecs=vp8").appendBuffer(await blob.arrayBuffer());
    window.rewinding = setInterval(() => {
      const there = video.buffered;
      if (there.length && video.currentTime > there.end(0) - 1.5) video.currentTime = there.start(0) + 0.1;
    }, 100);
  });
"""
# What of another tab's messages the embed answers with a heartbeat, at once: how many it sends for each.
ANSWERS = """
  let sends = 0;
  window.answered = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) { sends++; return send.call(this, data); };
  window.BroadcastChannel = class extends BroadcastChannel {
    set onmessage(action) {
      super.onmessage = (message) => { const before = sends; action(message); answered.push(sends - before); };
    }
  };
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("stops")) as running:
        yield running


def waits(page, condition):
    page.wait_for_function(condition)


def later(service, seconds):
    """Let seconds of event time pass."""
    until = tick_now() + seconds
    service.wait_for(lambda: tick_now() > until)


def test_who_pauses_ends_stalls_or_closes_the_page_stops_as_defined(service, browser, site, tmp_path):  # fmt: skip
    interval, window = 2, 9
    key = service.create("stops", window=window, interval=interval)
    service.open("stops")
    service.wait_for(lambda: service.watching() == 0)
    pages, frames = {}, {}
    for name, script in {"pauses": PLAYS, "closes": PLAYS, "ends": ENDS, "stalls": STALLS}.items():
        # Each with a storage of its own is a viewer of its own.
        page = pages[name] = browser.new_context().new_page()
        frames[name] = Frames(page)
        address = site.embedding(service.public, "stops", before=FILM + RECORDED, after=script)
        page.goto(address)
    for name, page in pages.items():
        waits(page, "document.querySelector('video')?.currentTime > 0")
        frames[name].until_ticks(3, state="playing")
    viewers = {name: viewer_of(page) for name, page in pages.items()}
    service.wait_for(lambda: service.watching() == len(pages))
    # The first tick in which the server heard that it had stopped, or one that was over when it had heard all.
    stopped = {}
    since = len(frames["pauses"].sent)
    pages["pauses"].evaluate("document.querySelector('video').pause()")
    stopped["pauses"] = min(frames["pauses"].until_ticks(2, since, state="paused"))
    pages["ends"].evaluate("document.querySelector('video').loop = false")
    waits(pages["ends"], "document.querySelector('video').ended")
    stopped["ends"] = min(frames["ends"].until_ticks(state="ended"))
    pages["stalls"].evaluate("clearInterval(rewinding)")
    waits(pages["stalls"], "document.querySelector('video').readyState < 3")
    since = len(frames["stalls"].heard)
    frames["stalls"].until(
        lambda: sum(told.get("why") == "buffering" for told in frames["stalls"].heard[since:]) > 1
    )
    stopped["stalls"] = tick_now()
    pages["closes"].close()
    service.wait_for(lambda: service.watching() == len(pages) - 1)
    stopped["closes"] = tick_now()
    later(service, window + 2)
    last = tick_now()
    for name in ("pauses", "ends", "stalls"):
        pages[name].context.close()
    evidence = Evidence(service, "stops", tmp_path, key)
    assert evidence.viewers == {evidence.name(viewer) for viewer in viewers.values()}
    for name, viewer in viewers.items():
        presence, breaks = evidence.presence(viewer), evidence.breaks(viewer)
        acked = frames[name].ticks(state="playing")
        # Counted is what was acknowledged as playing, from the first heartbeat that said so to the last.
        assert acked <= presence if name == "closes" else acked == presence, name
        assert max(presence) <= stopped[name], name
        assert evidence.proven(viewer), name
        assert max(evidence.proven(viewer)) < stopped[name], name
        said = [tick for tick in breaks if tick < last]
        # A stall is no break: nothing is said until the page is closed. A bye is said once, and in the second of a
        # heartbeat presence wins.
        if name != "closes":
            assert bool(said) == (name != "stalls"), name


def test_a_paused_tab_does_not_end_what_another_tab_of_the_viewer_plays(service, browser, site, tmp_path):  # fmt: skip
    key = service.create("paused", window=11, interval=3)
    service.open("paused")
    address = site.embedding(service.public, "paused", before=ANSWERS + FILM, after=PLAYS)
    context = browser.new_context()
    playing, other = context.new_page(), context.new_page()
    frames, paused = Frames(playing), Frames(other)
    for page in (playing, other):
        page.goto(address)
    for one in (frames, paused):
        one.until_ticks(1, state="playing")
    playing.evaluate("answered.length = 0")
    since = len(frames.sent)
    other.evaluate("document.querySelector('video').pause()")
    paused.until_ticks(4, state="paused")
    other.close()
    frames.until_ticks(6, since, state="playing")
    assert len(playing.evaluate("answered")) >= 4
    viewer = viewer_of(playing)
    # A tab that plays says so at every break of the other one, in the same moment.
    assert set(playing.evaluate("answered")) == {1}
    answered = frames.ticks(since, state="playing")
    broken = paused.ticks(state="paused")
    context.close()
    evidence = Evidence(service, "paused", tmp_path, key)
    assert evidence.report["peak"] == evidence.report["uniques"] == 1
    # The tabs' messages may fall on two sides of a second's end; then a few seconds are not proven, those beside it.
    assert answered <= evidence.presence(viewer)
    assert evidence.breaks(viewer) & broken <= broken - answered
    watched = range(min(answered), max(answered))
    beside = {
        tick
        for broke in evidence.breaks(viewer)
        for tick in range(
            max(t for t in evidence.presence(viewer) if t < broke),
            min((t for t in evidence.presence(viewer) if t > broke), default=broke),
        )
    }
    assert set(watched) - evidence.proven(viewer) - evidence.excused <= beside
    assert evidence.proven(viewer) & set(watched)
