"""Root certificates for events that name timestamping authorities, and witnesses' keys."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from streamcount.core.papers import write_pem
from streamcount.tlog import note


@cache
def certificate(name, issuer=None):
    """A certificate's DER; a root when nobody else issued it."""
    key = Ed25519PrivateKey.generate()
    named = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)])
        for one in (name, issuer or name)
    ]
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named[0])
        .issuer_name(named[1])
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=7300))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    return made.public_bytes(Encoding.DER)


def witness_key(name):
    public = note.Signer(name, hashlib.sha256(name.encode()).digest()).verifier.public
    return note.Verifier(name, public, note.COSIGNATURE).vkey()


def trust(*authorities, witnesses=()):
    """The `trust` of a definition, and the roots that go with it."""
    ders = {name: certificate(name) for name in authorities}
    plain = {
        "witnesses": [{"key": witness_key(name), "url": ""} for name in witnesses],
        "quorum": len(witnesses),
        "authorities": [
            {
                "name": name,
                "root_sha256": base64.b64encode(hashlib.sha256(der).digest()).decode(),
                "url": f"https://{name}.example/tsr",
            }
            for name, der in ders.items()
        ],
    }
    return {"trust": plain, "roots": {name: write_pem(der) for name, der in ders.items()}}
