"""Beacons from a real browser, on a page of another origin: by fetch, and by sendBeacon when it goes away."""

from __future__ import annotations

import pytest

from tests.browser.evidence import tick_now, until_broken
from tests.recount import Recounted
from tests.service import serving


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    # However long a request is under way on a machine that is busy, it is young enough.
    with serving(tmp_path_factory.mktemp("posted"), STREAMCOUNT_BEACON_AGE_S="60") as running:
        yield running


# A client in a page: what docs/protocol.md asks of one, without the pauses.
CLIENT = """<!doctype html><html><head>{head}<link rel=icon href=data:,></head><body><script>
const url = "{server}/v1/heartbeats", told = [];
let known = 0, at = 0;
const post = async (what, type = "application/json", options = {{}}) => {{
  const made_at = known ? Math.floor(known + performance.now() - at) : null;
  const body = JSON.stringify({{event: "{event}", stream: "main", viewer: "viewer-0001", made_at, ...what}});
  const answer = await fetch(url, {{method: "POST", headers: {{"Content-Type": type}}, body, ...options}});
  const found = await answer.json();
  if (answer.ok) {{ known = found.server_time; at = performance.now(); told.push(...found.answers); }}
  return {{status: answer.status, ...found}};
}};
const gone = (what) => navigator.sendBeacon(
  url, JSON.stringify({{event: "{event}", stream: "main", viewer: "viewer-0001", ...what}}));
</script></body></html>"""


def page_of(site, service, event, *, head=""):
    text = CLIENT.format(server=service.public, event=event, head=head)
    return site.put(f"{event}.html", text)


def recounted(service, event, folder, key):
    service.close(event)
    report = service.verified(event, folder, key)
    return report, Recounted(folder / f"{event}.zip")


def test_a_page_of_the_events_origin_counts_and_breaks_when_it_goes_away(
    service, browser, site, tmp_path
):
    key = service.create("posted", policy={"origins": [site.origin]})
    service.open("posted")
    page = browser.new_page()
    page.goto(page_of(site, service, "posted"))
    assert page.evaluate("post({})")["status"] == 200
    # application/json is asked for beforehand (preflight), text/plain is not.
    for seq, kind in ((1, "application/json"), (2, "text/plain"), (3, "application/json")):
        beat = f"{{seq: {seq}, state: 'playing', position: {seq}}}"
        answer = page.evaluate(f"post({{heartbeats: [{beat}]}}, '{kind}')")
        assert [one["type"] for one in answer["answers"]] == ["ack"]
    ticks = [one["tick"] for one in page.evaluate("told")]
    page.evaluate(
        "addEventListener('pagehide', () => gone({heartbeats: [{seq: 4, state: 'paused', again: true}]}))"
    )
    page.goto("about:blank")
    until_broken(service, "posted")
    seen = tick_now()
    page.close()
    report, found = recounted(service, "posted", tmp_path, key)
    (name,) = found.names
    assert found.presence[name] == set(ticks)
    (broke,) = found.breaks[name]
    assert ticks[-1] < broke <= seen
    assert (report["peak"], found.peak(7), report["uniques"]) == (1, 1, 1)


@pytest.mark.parametrize("origins", [["https://school.example"], ["none"]])
def test_a_page_of_another_origin_is_told_nothing_and_counts_nothing(
    service, browser, site, tmp_path, origins
):
    event = f"other-{len(origins[0])}"
    key = service.create(event, policy={"origins": origins})
    service.open(event)
    page = browser.new_page()
    page.goto(page_of(site, service, event))
    assert page.evaluate("post({}).catch((error) => String(error))").startswith("TypeError")
    assert page.evaluate("gone({heartbeats: [{seq: 1, state: 'paused'}]})") is True
    page.close()
    report, found = recounted(service, event, tmp_path, key)
    assert (report["uniques"], found.presence, found.breaks) == (0, {}, {})


def test_a_fetch_that_outlives_its_page_tells_its_origin_whatever_its_referrer_policy(
    service, browser, site, tmp_path
):
    """As docs/protocol.md says."""
    key = service.create("quiet", policy={"origins": [site.origin]})
    service.open("quiet")
    page = browser.new_page()
    page.goto(page_of(site, service, "quiet", head='<meta name="referrer" content="no-referrer">'))
    page.evaluate("post({})")
    (ack,) = page.evaluate("post({heartbeats: [{seq: 1, state: 'playing', position: 1}]})")[
        "answers"
    ]
    page.evaluate(
        """addEventListener("pagehide", () => {
          post({heartbeats: [{seq: 3, state: "paused"}]}, "text/plain", {keepalive: true}); })"""
    )
    page.goto("about:blank")
    until_broken(service, "quiet")
    page.close()
    _, found = recounted(service, "quiet", tmp_path, key)
    (name,) = found.names
    assert found.presence[name] == {ack["tick"]}
    (broke,) = found.breaks[name]
    assert broke > ack["tick"]
