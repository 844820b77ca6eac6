"""tlog/timestamp: tokens that openssl made hold and others do not, and `openssl ts -verify` says the same."""

from __future__ import annotations

import random
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from streamcount.core import papers
from streamcount.notary.roots import read_root
from streamcount.tlog import timestamp
from streamcount.tlog.timestamp import TokenError, check_token
from tests.evidence.authority import (
    OPENSSL,
    STAMPING,
    Authority,
    faketime_library,
    openssl_holds,
)

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs openssl (Debian: openssl)")
needs_faketime = pytest.mark.skipif(faketime_library() is None, reason="needs libfaketime")

TEXT = "log.example/1\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
PAST = 1_600_000_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "a")


@pytest.fixture(scope="module")
def token(authority):
    return authority.token(TEXT)


def test_a_token_holds_and_says_when(authority, token, tmp_path):
    assert abs(check_token(token, TEXT, authority.root) - time.time()) < 3_600
    assert openssl_holds(tmp_path, token, TEXT, authority.pem)


def test_the_nonce_has_to_come_back(authority):
    request, nonce = timestamp.make_request(TEXT)
    token = authority.reply(request)
    check_token(token, TEXT, authority.root, nonce=nonce)
    with pytest.raises(TokenError, match="another request"):
        check_token(token, TEXT, authority.root, nonce=nonce + 1)


def test_a_token_for_another_text_is_none(authority, token, tmp_path):
    other = TEXT.replace("5", "6")
    with pytest.raises(TokenError, match="another text"):
        check_token(token, other, authority.root)
    assert not openssl_holds(tmp_path, token, other, authority.pem)


def test_a_token_by_another_root_does_not_hold(token, tmp_path):
    """Of the same name, too: it is the key that counts."""
    other = Authority(tmp_path / "other")
    with pytest.raises(TokenError, match="does not hold"):
        check_token(token, TEXT, other.root)
    assert not openssl_holds(tmp_path, token, TEXT, other.pem)


@pytest.mark.parametrize("purposes", [[], [*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]])
def test_a_certificate_for_other_things_signs_no_token(tmp_path, purposes):
    with pytest.raises(TokenError, match="not made for timestamping"):
        timestamp._check_purpose(_certificate(tmp_path, purposes, critical=True))


def test_a_purpose_that_is_not_critical_is_not_enough(tmp_path):
    with pytest.raises(TokenError, match="critically"):
        timestamp._check_purpose(_certificate(tmp_path, STAMPING, critical=False))


def _certificate(folder, purposes, *, critical):
    made = Authority(folder / "odd", purposes=purposes, critical=critical)
    return x509.load_pem_x509_certificate((made.folder / "signer.pem").read_bytes())


@needs_faketime
def test_a_token_stays_good_when_its_certificates_have_ended(tmp_path):
    old = Authority(tmp_path / "old", valid=(PAST - 1000, PAST + 1000))
    token = old.token(TEXT, now=PAST)
    assert abs(check_token(token, TEXT, old.root) - PAST) < 600
    assert openssl_holds(tmp_path, token, TEXT, old.pem, at=PAST)
    assert not openssl_holds(tmp_path, token, TEXT, old.pem)


@needs_faketime
@pytest.mark.parametrize("when", [PAST - 5_000, PAST + 5_000])
def test_a_token_from_outside_of_its_certificates_time_does_not_hold(tmp_path, when):
    odd = Authority(tmp_path / "odd", valid=(PAST - 1000, PAST + 1000))
    token = odd.token(TEXT, now=when)
    with pytest.raises(TokenError, match="does not hold"):
        check_token(token, TEXT, odd.root)
    assert not openssl_holds(tmp_path, token, TEXT, odd.pem, at=when)


def test_what_openssl_writes_unsorted_is_said_clearly(tmp_path):
    """With `certs=` it adds certificates as they come; whether they are sorted is then chance."""
    for number in range(40):
        odd = Authority(tmp_path / str(number), chain=True)
        token = odd.token(TEXT)
        try:
            check_token(token, TEXT, odd.root)
        except TokenError as error:
            assert "certs=" in str(error)
            return
    pytest.fail("40 times in order")


def test_two_certificates_of_the_signers_number_are_refused_in_every_process(tmp_path):
    """Which one the library's set has first is chance, so neither is taken."""
    odd = Authority(tmp_path / "odd", chain=True)
    signer = x509.load_pem_x509_certificate((odd.folder / "signer.pem").read_bytes())
    (odd.folder / "root.pem").write_bytes(_twin(signer).public_bytes(Encoding.PEM))
    with pytest.raises(TokenError, match="2 certificates in it have its signer's issuer and num"):
        check_token(odd.token(TEXT), TEXT, odd.root)


def _twin(one):
    """Another certificate of the same issuer and number; a longer one, which DER sorts behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(one.issuer, one.subject, key.public_key(), one.serial_number)
        .not_valid_before(one.not_valid_before_utc)
        .not_valid_after(one.not_valid_after_utc)
        .add_extension(x509.OCSPNonce(bytes(200)), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def test_a_refusal_is_said(authority):
    """sha512 is none of its digests."""
    builder = TimestampRequestBuilder().data(b"x").hash_algorithm(HashAlgorithm.SHA512)
    with pytest.raises(TokenError, match="did not grant it: status 2"):
        check_token(authority.reply(builder.build().as_bytes()), TEXT, authority.root)


def test_granted_with_modifications_is_granted(authority, token):
    at = token.index(bytes.fromhex("3003020100"))
    modified = token[:at] + bytes.fromhex("3003020101") + token[at + 5 :]
    assert check_token(modified, TEXT, authority.root) == check_token(token, TEXT, authority.root)
    waiting = token[:at] + bytes.fromhex("3003020103") + token[at + 5 :]
    with pytest.raises(TokenError, match="status 3"):
        check_token(waiting, TEXT, authority.root)


def test_a_token_is_bounded(authority):
    with pytest.raises(TokenError, match="more than 65536 bytes"):
        check_token(bytes(65_537), TEXT, authority.root)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_clear_error(authority, data):
    with pytest.raises(TokenError):
        check_token(data, TEXT, authority.root)
    with pytest.raises(TokenError):
        timestamp.parse_root(data)


def test_damaged_tokens_are_a_clear_error_and_openssl_says_the_same(authority, token, tmp_path):
    """What still holds (an unsigned byte was changed) says the same time, and holds for openssl, too."""
    draw = random.Random(3161)
    when = check_token(token, TEXT, authority.root)
    held, refused = [], []
    for _ in range(4_000):
        odd = bytearray(token)
        for _ in range(draw.choice([1, 1, 2, 5])):
            odd[draw.randrange(len(odd))] = draw.randrange(256)
        if draw.random() < 0.2:
            del odd[draw.randrange(len(odd)) :]
        try:
            assert check_token(bytes(odd), TEXT, authority.root) == when
            held.append(bytes(odd))
        except TokenError:
            refused.append(bytes(odd))
    assert len(refused) > 3_900
    assert all(openssl_holds(tmp_path, one, TEXT, authority.pem) for one in held[:40])
    taken = [one for one in refused[::90] if openssl_holds(tmp_path, one, TEXT, authority.pem)]
    assert len(taken) <= 2  # of 45: openssl reads some BER that is no DER


def test_a_root_is_one_certificate(authority):
    root = timestamp.parse_root(authority.pem)
    assert root == authority.root
    assert len(timestamp.root_sha256(root)) == 32
    for odd in (authority.pem * 2, b"", b"-----BEGIN CERTIFICATE-----\n"):
        with pytest.raises(TokenError):
            timestamp.parse_root(odd)


def test_a_root_that_only_one_library_reads_is_a_clear_error(authority, token):
    """Its name is no UTF-8: OpenSSL refuses it, and rfc3161-client panics over that."""
    der = authority.root.public_bytes(Encoding.DER)
    odd = x509.load_der_x509_certificate(der.replace(b"authority root", b"\x9authority root"))
    with pytest.raises(TokenError, match="does not hold"):
        check_token(token, TEXT, odd)


def test_a_root_of_no_version_is_a_clear_error(authority):
    der = authority.root.public_bytes(Encoding.DER).replace(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7")
    with pytest.raises(TokenError, match="not a certificate in PEM"):
        timestamp.parse_root(papers.write_pem(der))
    with pytest.raises(papers.PemError, match="not a certificate in PEM"):
        read_root(papers.write_pem(der))
