"""Logs as a running service serves them, for tools that read over HTTP; and a way on which they are spoilt."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streamcount.notary.reading import ArchiveReader
from tests.evidence.logs import some_event
from tests.interop.spoiling import flipped
from tests.service import serving


@contextlib.contextmanager
def logs(folder):
    """Serve an event that is over and one that goes on.

    Yields what is to be read: what, address, key, a checkpoint that was kept or nothing, whether it holds.
    """
    folder.mkdir()
    # Over before the service starts: more than two bundles, at no cost of waiting for as many seconds.
    some_event(folder / "data" / "events" / "over", ticks=600, people=40, id="over").close()
    key = ArchiveReader(folder / "data" / "events" / "over").signer.verifier.vkey()
    with serving(folder) as service:
        going_on = service.create("lesson")
        service.open()
        at = {event: f"{service.public}/v1/events/{event}/log" for event in ("over", "lesson")}
        kept = read(f"{at['lesson']}/checkpoint")[1]
        service.wait_for(
            lambda: int(read(f"{at['lesson']}/checkpoint")[1].split()[1]) > int(kept.split()[1]) + 5
        )
        with spoiling(at["over"]) as ways:
            yield [
                ("an event that is over", at["over"], key, b"", True),
                ("an event that goes on", at["lesson"], going_on, b"", True),
                (
                    "an event that goes on, from a kept checkpoint",
                    at["lesson"],
                    going_on,
                    kept,
                    True,
                ),
                ("asked for with another event's key", at["over"], going_on, b"", False),
                (
                    "an event that is not there",
                    at["over"].replace("/over/", "/none/"),
                    key,
                    b"",
                    False,
                ),
                *(
                    (f"a bit changed on the way, of {path}", way, key, b"", False)
                    for path, way in ways.items()
                ),
            ]


def read(address):
    """Return status, body and content type."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=30) as answer:
            return answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["Content-Type"]


@contextlib.contextmanager
def spoiling(address):
    """Yield addresses behind which one file each of the log is not as it is served: file -> address."""
    paths = ["checkpoint", "tile/0/001", "tile/1/000", "tile/entries/000", "tile/entries/002"]

    class Way(BaseHTTPRequestHandler):
        def do_GET(self):
            which, _, path = self.path.removeprefix("/").partition("/")
            status, body, kind = read(f"{address}/{path}")
            if status == 200 and path.partition(".p/")[0] == paths[int(which)]:
                body = flipped(body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Way)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        yield {path: f"{base}/{number}" for number, path in enumerate(paths)}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
