"""The examples of docs/players, taken out of their pages, and what a browser that shows one says and is told."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.frames import Frames

DOCS = Path(__file__).parents[2] / "docs" / "players"
COUNTER = "count.example.org"  # the server, in the examples


def example(name):
    """Return the HTML of a page, and the Content-Security-Policy that stands beside it."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    html = re.search(r"^```html\n(.+?)^```", text, re.MULTILINE | re.DOTALL)[1]
    policy = re.search(r"^    Content-Security-Policy: (.+)$", text, re.MULTILINE)[1]
    return html, policy


def python_example(name, service, event):
    """Return the Python of a page, with a running service in it."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    script = re.search(r"^```python\n(.+?)^```", text, re.MULTILINE | re.DOTALL)[1]
    assert f"wss://{COUNTER}" in script
    script = script.replace(f"wss://{COUNTER}", service.public.replace("http", "ws"))
    return script.replace('event="lesson"', f'event="{event}"')


class Shown(Frames):
    """One example in a browser of its own: a viewer. What goes over its websockets is kept."""

    def __init__(
        self, browser, origin, service, name, event, *, media=None, edit=None, before=None
    ):
        """`media`: what is played in place of the page's own; `edit` changes the HTML; `before` is called
        with the page."""
        html, policy = example(name)
        counter = service.public.removeprefix("http://")
        html = html.replace(f"https://{COUNTER}", service.public)
        html = html.replace('data-event="lesson"', f'data-event="{event}"')
        html = html.replace('event: "lesson"', f'event: "{event}"')
        if media:
            html, changed = re.subn(r"\b(live|lesson)\.(m3u8|mpd|mp4|m4a)\b", media, html)
            assert changed
        html = edit(html) if edit else html
        policy = policy.replace(f"https://{COUNTER}", service.public)
        policy = policy.replace(f"wss://{COUNTER}", f"ws://{counter}")
        path = f"{name}-{event}.html"
        origin.beside[path] = html.encode()
        origin.policies[path] = policy
        self.since = 0  # how many were sent before the last `do`
        self.browser = browser.new_context()
        super().__init__(self.browser.new_page())
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._console)
        if before:
            before(self.page)
        self.page.goto(f"{origin.url}/{path}")

    def _console(self, message):
        if message.type == "error":
            self.complaints.append(message.text)

    def ask(self, script):
        return self.page.evaluate(script)

    def do(self, script):
        """Change something; what is waited for afterwards is sent after that."""
        self.page.evaluate(script)
        self.since = len(self.sent)

    @property
    def acked(self):
        """The heartbeats that were acknowledged, each with its tick."""
        return self.acks()

    @property
    def acked_since(self):
        """Those of them that were sent since the last `do`."""
        return self.acks(self.since)

    @property
    def beats(self):
        return self.of("heartbeat")

    @property
    def source(self):
        """What the server knows to be watched: hello says it, a heartbeat when it changes."""
        return [said["source"] for said in self.sent if "source" in said][-1]

    @property
    def viewers(self):
        return {said["viewer"] for said in self.sent if said["type"] == "hello"}

    def until_acked(self, more=1, **fields):
        """Wait for acknowledged heartbeats that say this, of those sent since the last `do`."""
        self.until(lambda: len(self.acks(self.since, **fields)) >= more)

    def close(self):
        self.browser.close()
