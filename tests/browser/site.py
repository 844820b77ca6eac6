"""Somebody else's web site, on an origin of its own, whose pages carry the embed."""

from __future__ import annotations

import http.server
import threading

# A picture that moves, so that a player has something to play without a stream.
FILM = """
  const canvas = document.createElement("canvas");
  setInterval(() => canvas.getContext("2d").fillRect(0, 0, Math.random() * 99, 9), 50);
  const film = () => Object.assign(document.createElement("video"), {muted: true, autoplay: true, srcObject: canvas.captureStream(20)});
"""
PAGE = """<!doctype html><html><head><link rel=icon href=data:,></head><body>{body}
<script>{before}</script><script src="{server}/streamcount.js" data-event="{event}" {data}></script>
<script>{after}</script></body></html>"""


class Site:
    """Serves the pages it is given, and remembers what was posted to it."""

    def __init__(self):
        self.pages = {}
        self.posted = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body, headers = site.pages.get(self.path.split("?")[0], (None, {}))
                self.send_response(404 if body is None else 200)
                for name, value in headers.items():
                    self.send_header(name, value)
                data = (body or "").encode()
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                site.posted.append((self.path, self.headers["Content-Type"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, name, html, **headers):
        """Serve a page; returns its address. Underscores in a header's name are dashes."""
        self.pages[f"/{name}"] = (html, {k.replace("_", "-"): v for k, v in headers.items()})
        return f"{self.origin}/{name}"

    def embedding(self, server, event, *, headers=None, **parts):
        """Serve a page with the script tag: `body`, scripts `before` and `after`, attributes `data`."""
        empty = {"body": "", "before": "", "after": "", "data": ""}
        html = PAGE.format(**empty | parts, event=event, server=server)
        return self.put(f"{event}.html", html, **headers or {})

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
