"""A timestamping authority of our own, on loopback: `openssl ts -reply` behind a small HTTP handler.

Its certificates are made here. When it stamps is what its clock says, and a test may set that: libfaketime
gives openssl another time, and nobody else.
"""

from __future__ import annotations

import datetime as dt
import http.server
import importlib.util
import os
import shutil
import subprocess
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streamcount.tlog import timestamp

OPENSSL = shutil.which("openssl")
STAMPING = [ExtendedKeyUsageOID.TIME_STAMPING]
_DAY = dt.timedelta(days=1)

_CONFIG = """
[tsa]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
{more}
"""


def faketime_library():
    """Where libfaketime's library is; None where there is none."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None:
        return None
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    return library if library.exists() else None


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def make_certificate(name, key, issuer=None, *, valid, ca=False, purposes=(), critical=True):
    """A certificate and its key; without an issuer, signed by itself. `valid`: Unix seconds, from and to."""
    issuer_name, issuer_key = (_named(name), key) if issuer is None else issuer
    begins, ends = (dt.datetime.fromtimestamp(second, dt.UTC) for second in valid)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical)
    return builder.sign(issuer_key, hashes.SHA256())


class Authority:
    """An authority: a root, a signer under it, and openssl."""

    def __init__(
        self,
        folder,
        name="authority",
        *,
        valid=(0, 2**32),
        purposes=STAMPING,
        critical=True,
        chain=False,
    ):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.now = None
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        self.root = make_certificate(f"{name} root", keys[0], valid=valid, ca=True)
        signer = make_certificate(
            f"{name} signer", keys[1], (self.root.subject, keys[0]), valid=valid, purposes=purposes, critical=critical
        )  # fmt: skip
        self.pem = self.root.public_bytes(Encoding.PEM)
        (self.folder / "root.pem").write_bytes(self.pem)
        (self.folder / "signer.pem").write_bytes(signer.public_bytes(Encoding.PEM))
        private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "signer.key").write_bytes(private)
        (self.folder / "serial").write_text("01\n")
        more = f"certs = {self.folder / 'root.pem'}" if chain else ""
        config = _CONFIG.format(folder=self.folder, more=more)
        (self.folder / "tsa.conf").write_text(config)
        self._turn = threading.Lock()

    def reply(self, request, *, now=None):
        """What openssl answers to a request, at a time of ours (Unix seconds) if there is one."""
        now = self.now if now is None else now
        with self._turn:
            query, out = self.folder / "query.tsq", self.folder / "reply.tsr"
            query.write_bytes(request)
            command = [OPENSSL, "ts", "-reply", "-config", self.folder / "tsa.conf", "-section", "tsa", "-queryfile", query, "-out", out]  # fmt: skip
            env = dict(os.environ)
            if now is not None:
                at = dt.datetime.fromtimestamp(now, dt.UTC)
                env |= {"LD_PRELOAD": str(faketime_library()), "FAKETIME": f"{at:%Y-%m-%d %H:%M:%S}", "TZ": "UTC"}  # fmt: skip
            subprocess.run(command, capture_output=True, check=True, env=env, timeout=60)
            return out.read_bytes()

    def token(self, text, *, now=None):
        return self.reply(timestamp.make_request(text)[0], now=now)


def openssl_holds(folder, token, text, pem, *, at=None):
    """What `openssl ts -verify` says of a token."""
    folder = Path(folder)
    for name, data in (("text", text.encode()), ("token.tsr", token), ("root.pem", pem)):
        (folder / name).write_bytes(data)
    command = [OPENSSL, "ts", "-verify", "-data", folder / "text", "-in", folder / "token.tsr", "-CAfile", folder / "root.pem"]  # fmt: skip
    command += [] if at is None else ["-attime", str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0 and "Verification: OK" in done.stdout


class Serving:
    """An authority at an address. `fails`: statuses to answer with first; `replies` counts the tokens."""

    def __init__(self, authority):
        self.authority = authority
        self.fails = []
        self.replies = 0
        # Instead of openssl's answer, if set: takes the request, returns bytes.
        self.instead = None

    def __enter__(self):
        serving = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = serving.fails.pop(0) if serving.fails else 200
                data = b"out of order"
                if status == 200:
                    data = (serving.instead or serving.authority.reply)(body)
                    serving.replies += 1
                self.send_response(status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/tsr"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
