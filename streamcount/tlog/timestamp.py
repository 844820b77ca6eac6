"""RFC 3161 tokens: an authority says that it was shown the text of a checkpoint, and when.

A token is kept as it came, a DER TimeStampResp. What is checked of it, in this order:

    form       at most 64 KiB; strict DER; status 0 or 1, granted
    imprint    SHA-256 of the text
    signer     one; its certificate is in the token, made for timestamping and for nothing else
    chain      from that certificate to the authority's root, valid when the token was made
    signature  over the token's own words

The chain is looked at as of the token's genTime, so that a token stays good when certificates end: whoever
kept it kept it while they were valid. `rfc3161-client` reads the DER and has OpenSSL check chain and
signature. It is stricter than some authorities: certificates have to be sorted as DER wants a SET to be,
and OpenSSL's own `ts -reply` writes them as they come when it is told to add a chain (`certs=`).
"""

from __future__ import annotations

import hashlib
import warnings
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerifierBuilder,
    decode_timestamp_response,
)

TOKEN_BYTES_MAX: Final = 65_536
ROOT_BYTES_MAX: Final = 65_536
_SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
# granted, and granted with modifications (section 2.4.2).
_GRANTED: Final = (0, 1)
_PLAIN_STATUS: Final = bytes.fromhex("3003020100")
_SEQUENCE: Final = b"\x30"
# How the library words it when members of a SET are not in DER's order.
_UNSORTED: Final = "SetOrdering"
# pyo3's, of which there is one in each library and none to be imported.
_PANIC: Final = "PanicException"


class TokenError(ValueError):
    """The bytes are no token for this text, or not one that holds; the message says why."""


def parse_root(pem: bytes) -> x509.Certificate:
    """Read an authority's root certificate, one in PEM.

    Raises:
        TokenError: it is none, or there are several.
    """
    if len(pem) > ROOT_BYTES_MAX:
        raise TokenError(f"a certificate of more than {ROOT_BYTES_MAX} bytes")
    try:
        found = x509.load_pem_x509_certificates(pem)
    except Exception as error:  # InvalidVersion, TypeError: the library raises all kinds of things
        raise TokenError("not a certificate in PEM") from error
    if len(found) != 1:
        raise TokenError(f"{len(found)} certificates, where one root is to be")
    return found[0]


def root_sha256(root: x509.Certificate) -> bytes:
    """Return what an authority is known by: SHA-256 of its root's DER."""
    return hashlib.sha256(root.public_bytes(Encoding.DER)).digest()


def make_request(text: str) -> tuple[bytes, int]:
    """Return a request for a token, as DER, and the nonce that has to come back."""
    builder = TimestampRequestBuilder().data(text.encode()).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    return request.as_bytes(), request.nonce or 0


def check_token(
    token: bytes, text: str, root: x509.Certificate, *, nonce: int | None = None
) -> int:
    """Return when the authority was shown this text, in whole Unix seconds.

    `nonce`: what was asked with, for whoever asks; None for whoever reads a token that was kept.

    Raises:
        TokenError: as the head of this file says.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise TokenError(f"a token of more than {TOKEN_BYTES_MAX} bytes")
    try:
        response = decode_timestamp_response(token)
        if response.status not in _GRANTED:
            said = "; ".join(map(str, response.status_string))[:200]
            raise TokenError(f"the authority did not grant it: status {response.status} {said!r}")
        with warnings.catch_warnings():
            # A certificate that a later version of the library will not read is none today.
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            return _check(response, text, root, nonce)
    except TokenError:
        raise
    except BaseException as error:
        # The library raises all kinds of things for what is no certificate. For a root that it can read
        # and OpenSSL cannot, it panics, which is no Exception, and would end whoever asks.
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise TokenError(_told(error)) from error


def _check(
    response: TimeStampResponse, text: str, root: x509.Certificate, nonce: int | None
) -> int:
    info = response.tst_info
    digest = hashlib.sha256(text.encode()).digest()
    if info.message_imprint.hash_algorithm != _SHA256 or info.message_imprint.message != digest:
        raise TokenError("a token for another text: its imprint is not SHA-256 of this one")
    if nonce is not None and info.nonce != nonce:
        raise TokenError("a token for another request: its nonce is not the one that was sent")
    _check_purpose(_signers_certificate(response))
    granted = response.time_stamp_token()
    # The library takes status 0 only, and reads anew what it has read: the token under a plain status.
    plain = decode_timestamp_response(_wrapped(_PLAIN_STATUS + granted))
    VerifierBuilder(roots=[root]).build().verify(plain, digest)
    return int(info.gen_time.timestamp() // 1)


def _signers_certificate(response: TimeStampResponse) -> x509.Certificate:
    signers = list(response.signed_data.signer_infos)
    if len(signers) != 1:
        raise TokenError(f"{len(signers)} signers, where one is to be")
    signer = signers[0]
    every = [x509.load_der_x509_certificate(der) for der in response.signed_data.certificates]
    its = (signer.issuer, signer.serial_number)
    found = [one for one in every if (one.issuer, one.serial_number) == its]
    if not found:
        raise TokenError("the certificate that signed it is not in it")
    # The library gives a set of them: the first of several would be another one in every process.
    if len(found) > 1:
        raise TokenError(f"{len(found)} certificates in it have its signer's issuer and number")
    return found[0]


def _check_purpose(certificate: x509.Certificate) -> None:
    """Check that a certificate is made for timestamping and nothing else (RFC 3161 section 2.3)."""
    try:
        purpose = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise TokenError("the certificate that signed it is not made for timestamping") from error
    if not purpose.critical or list(purpose.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TokenError(
            "the certificate that signed it is not made for timestamping alone, critically"
        )


def _wrapped(content: bytes) -> bytes:
    """Return content as a DER SEQUENCE."""
    length = len(content)
    if length < 0x80:
        return _SEQUENCE + bytes([length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return _SEQUENCE + bytes([0x80 | len(size)]) + size + content


def _told(error: BaseException) -> str:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    if _UNSORTED in said:
        return (
            "not DER: members of a SET are not sorted, as OpenSSL writes them when it is told to add "
            f"certificates (`certs=`); ask the authority to leave them out ({said})"
        )
    return f"does not hold: {said}"
