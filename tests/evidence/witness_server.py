"""A witness of our own, on loopback: C2SP tlog-witness as its page says, in as few lines as it takes.

It knows one log by its key, remembers the last checkpoint it cosigned, and cosigns what extends that.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
import time

from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note
from tests.evidence.consistency import consistent


class WitnessServer:
    """`log`: the key it knows, once it was told. `fails`: statuses to answer with first."""

    def __init__(self, signer, log=None, *, conflict=409):
        self.signer, self.log = signer, log
        self.size, self.root, self.signed = 0, b"", b""
        # v1.0.0 of the page says 409 for another root at the same size, later ones 422.
        self.conflict = conflict
        self.fails = []
        self.asked = []
        # Instead of its own answer, if set: (status, body).
        self.instead = None
        self.pause = threading.Event()
        self.pause.set()
        self._turn = threading.Lock()

    def add(self, body):
        """Status and answer to add-checkpoint."""
        head, _, signed = body.partition(b"\n\n")
        old, *proof = head.decode().split("\n")
        if not old.startswith("old ") or len(proof) > 63:
            return 400, b"malformed\n"
        old, proof = int(old[4:]), [base64.b64decode(one, validate=True) for one in proof]
        if self.log is None or note.peek(signed).split("\n")[0] != self.log.name:
            return 404, b"unknown log\n"
        try:
            point = cp.open_checkpoint(signed, self.log)
        except note.NoteError:
            return 403, b"not its key\n"
        if old > point.size:
            return 400, b"old is newer\n"
        with self._turn:
            if old != self.size:
                return 409, f"{self.size}\n".encode()
            if old == point.size and self.root != point.root:
                return self.conflict, b""
            if not consistent((old, self.root), (point.size, point.root), proof) and old:
                return 422, b"no extension\n"
            self.size, self.root, self.signed = point.size, point.root, signed
            return 200, cosignature.cosign(self.signer, note.peek(signed), int(time.time()))

    def __enter__(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.pause.wait(60)
                server.asked.append(body)
                status, data = (server.fails.pop(0), b"no\n") if server.fails else (0, b"")
                if not status:
                    right = self.path == "/w/add-checkpoint"
                    status, data = server.instead or (server.add(body) if right else (404, b""))
                self.answer(status, data)

            def do_GET(self):
                digest = hashlib.sha256(server.log.name.encode()).hexdigest()
                right = self.path == f"/w/{digest}/checkpoint"
                self.answer(200 if right else 404, server.signed if right else b"")

            def answer(self, status, data):
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/w"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.pause.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
