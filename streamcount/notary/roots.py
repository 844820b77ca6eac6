"""Root certificates of timestamping authorities, as operators hand them in with a definition."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from streamcount.core.fields import EventError
from streamcount.core.papers import PEM_BYTES_MAX, PemError, write_pem


def take_roots(definition: object) -> tuple[object, dict[str, bytes]]:
    """Take certificates out of a definition as operators send it, and put their hashes in their places.

    An authority there has `root_pem`, a text, in the place of `root_sha256`. Returned are the definition
    as it is logged and, by the authorities' names, the certificates as they are kept.

    Raises:
        EventError: one of them is no root certificate.
    """
    if not isinstance(definition, dict) or not isinstance(trust := definition.get("trust"), dict):
        return definition, {}
    if not isinstance(given := trust.get("authorities"), list):
        return definition, {}
    roots: dict[str, bytes] = {}
    authorities = [_take_root(one, number, roots) for number, one in enumerate(given)]
    return definition | {"trust": trust | {"authorities": authorities}}, roots


def _take_root(given: Any, number: int, roots: dict[str, bytes]) -> Any:
    if not isinstance(given, dict):
        return given
    place = f"event.trust.authorities[{number}]"
    if "root_sha256" in given:
        raise EventError(f"{place}.root_sha256: give the certificate itself, as root_pem")
    text = given.get("root_pem")
    if not isinstance(text, str):
        raise EventError(f"{place}.root_pem: must be the root certificate, as text in PEM")
    try:
        der = read_root(text.encode("utf-8", "replace"))
    except PemError as error:
        raise EventError(f"{place}.root_pem: {error}") from error
    roots[str(given.get("name"))] = write_pem(der)
    digest = base64.b64encode(hashlib.sha256(der).digest()).decode()
    left = {key: value for key, value in given.items() if key != "root_pem"}
    return left | {"root_sha256": digest}


def read_root(given: bytes) -> bytes:
    """Return the DER of a root certificate in PEM, with text around it, as they often come.

    Raises:
        PemError: there is none, there are several, or it is not one that issued itself.
    """
    if len(given) > PEM_BYTES_MAX:
        raise PemError(f"{len(given)} bytes, {PEM_BYTES_MAX} is the most")
    try:
        found = x509.load_pem_x509_certificates(given)
        if len(found) != 1:
            raise PemError(f"{len(found)} certificates; give the root alone")
        issuer, subject = found[0].issuer, found[0].subject
        der = found[0].public_bytes(Encoding.DER)
    except PemError:
        raise
    except Exception as error:  # InvalidVersion, TypeError: the library raises all kinds of things
        raise PemError("not a certificate in PEM") from error
    if issuer != subject:
        raise PemError(f"not a root: issued by {issuer.rfc4514_string()[:200]}; give that one's")
    if len(write_pem(der)) > PEM_BYTES_MAX:
        raise PemError(f"a certificate of {len(der)} bytes, too long")
    return der
