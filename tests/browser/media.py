"""Media made on the spot by ffmpeg, and a loopback server that hands it to players, live and whole.

One film is encoded, small (160x90, a few kilobytes a second), and cut into segments of a second: `make`. An `Origin`
serves it under names like those that the pages in docs/players use:

    lesson.mp4  next.mp4  lesson.m4a                  files, in ranges
    lesson.m3u8  next.m3u8    lesson.mpd  next.mpd    HLS and DASH, whole
    live.m3u8  live.mpd                               HLS and DASH, live: the list slides over the film, a segment a second

`hold()` keeps every segment back, as a server that hangs does; `release()` ends that.
"""

from __future__ import annotations

import http.server
import math
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

FILM_S = 400
LESSON_S = 300  # how long what is not live lasts
NEXT_S = 360  # and what comes after it
READY_S = 10  # of the film, when a live list is asked for first
# What a live list holds: more than a player falls behind that gets no time to play; from beyond some never come back.
LIST_S = 90
NEAR_S = READY_S + 1  # how far behind the end players begin
HELD_S_MAX = 300
KINDS = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css",
    ".mp4": "video/mp4", ".m4s": "video/mp4", ".m4a": "audio/mp4", ".ts": "video/mp2t",
    ".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml",
}  # fmt: skip
WHOLE_S = {"lesson": LESSON_S, "next": NEXT_S}
SEGMENTS = (".ts", ".m4s")


def make(folder: Path) -> Path:
    """Encode the film and cut it up; takes some seconds."""
    if shutil.which("ffmpeg") is None:
        pytest.skip(
            "no ffmpeg found: the players' tests make their media with Debian's package ffmpeg"
        )
    film = folder / "film.mp4"
    _ffmpeg("-f", "lavfi", "-i", "testsrc=size=160x90:rate=10",
        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=22050", "-t", FILM_S,
        "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
        "-g", 10, "-keyint_min", 10, "-sc_threshold", 0, "-c:a", "aac", "-b:a", "16k", film)  # fmt: skip
    whole = ("-i", film, "-c", "copy", "-movflags", "+faststart")
    _ffmpeg(*whole, "-t", LESSON_S, folder / "lesson.mp4")
    _ffmpeg(*whole, "-t", NEXT_S, folder / "next.mp4")
    _ffmpeg(*whole, "-t", LESSON_S, "-vn", folder / "lesson.m4a")
    _ffmpeg("-i", film, "-c", "copy", "-f", "hls", "-hls_time", 1, "-hls_list_size", 0,
        "-hls_segment_filename", folder / "%d.ts", folder / "film.m3u8")  # fmt: skip
    _ffmpeg("-i", film, "-c", "copy", "-f", "dash", "-seg_duration", 1, "-use_timeline", 0,
        "-use_template", 1, "-init_seg_name", "$RepresentationID$.mp4",
        "-media_seg_name", "$RepresentationID$-$Number$.m4s", folder / "film.mpd")  # fmt: skip
    return folder


def _ffmpeg(*arguments):
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


class Origin:
    """Serves one folder of media, and pages and scripts that are put beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.beside = {}  # path: bytes, or the file that has them
        self.policies = {}  # page: its Content-Security-Policy
        self.began = None  # when the first live list was asked for, Unix seconds
        self.released = threading.Event()
        self.released.set()

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.release()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def start(self):
        """Begin the live film anew, with the next who asks for it."""
        self.release()
        self.began = None

    def hold(self):
        self.released.clear()

    def release(self):
        self.released.set()

    def read(self, name):
        """Return what is served under a name, or None."""
        if name in self.beside:
            found = self.beside[name]
            return found if isinstance(found, bytes) else found.read_bytes()
        stem, kind = Path(name).stem, Path(name).suffix
        if kind == ".m3u8":
            return self._hls(WHOLE_S.get(stem)).encode()
        if kind == ".mpd":
            return self._dash(WHOLE_S.get(stem)).encode()
        path = self.folder / Path(name).name
        return path.read_bytes() if kind in KINDS and path.is_file() else None

    def _age(self):
        """Seconds of the live film that are over."""
        self.began = self.began or time.time()
        return READY_S + time.time() - self.began

    def _hls(self, whole_s):
        """`whole_s`: how much of the film it has; None, and it is live."""
        last = whole_s or min(int(self._age()), FILM_S)
        first = 0 if whole_s else max(0, last - LIST_S)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
        lines += [f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines += [f"#EXTINF:1.0,\n{number}.ts" for number in range(first, last)]
        return "\n".join(lines + (["#EXT-X-ENDLIST"] if whole_s else [])) + "\n"

    def _dash(self, whole_s):
        text = (self.folder / "film.mpd").read_text()
        if whole_s:
            return _attributes(text, "MPD", mediaPresentationDuration=f"PT{whole_s}S")
        begin = time.time() - self._age()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(begin))
        return _attributes(text, "MPD", type="dynamic", mediaPresentationDuration=None,
            availabilityStartTime=f"{stamp}.{math.floor(begin % 1 * 1000):03}Z",
            publishTime=f"{stamp}Z", minBufferTime="PT1S", minimumUpdatePeriod="PT1S",
            timeShiftBufferDepth=f"PT{LIST_S}S")  # fmt: skip


def _attributes(text, element, **values):
    """Set attributes of the first element of that name; None takes one away."""
    start = text.index(f"<{element}")
    end = text.index(">", start)
    head = text[start:end]
    for name, value in values.items():
        head = re.sub(rf'\s{name}="[^"]*"', "", head)
        head += "" if value is None else f' {name}="{value}"'
    return text[:start] + head + text[end:]


def _handler(origin):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            name = self.path.split("?")[0].lstrip("/")
            kind = Path(name).suffix
            if kind in SEGMENTS:
                origin.released.wait(HELD_S_MAX)
            body = origin.read(name)
            if body is None:
                return self._answer(404, b"", {})
            headers = {"Content-Type": KINDS.get(kind, "application/octet-stream")}
            headers["Cache-Control"] = "no-store"
            if name in origin.policies:
                headers["Content-Security-Policy"] = origin.policies[name]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not asked:
                return self._answer(200, body, headers | {"Accept-Ranges": "bytes"})
            first = int(asked[1])
            last = min(int(asked[2] or len(body) - 1), len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            return self._answer(206, body[first : last + 1], headers)

        def _answer(self, status, body, headers):
            try:
                self.send_response(status)
                for header, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True  # the player did not wait

        def log_message(self, *_):
            pass

    return Handler
