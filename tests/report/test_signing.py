"""report/signing: signed by whoever's certificate it is, over all of the file; and what cannot sign is said."""

from __future__ import annotations

import datetime as dt
import io
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from streamcount.report.content import content
from streamcount.report.pages import Attachment, pages
from streamcount.report.signing import SigningError, load_signer, sign
from tests.report.logs_told import entries, findings
from tests.report.test_documents import made, read


@pytest.fixture(scope="module")
def certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The school")])
    now = dt.datetime.now(dt.UTC)
    usage = [True, True, *[False] * 7]
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - dt.timedelta(days=2)).not_valid_after(now + dt.timedelta(days=9))
        .add_extension(x509.KeyUsage(*usage), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    secret = serialization.BestAvailableEncryption(b"open sesame")
    return pkcs12.serialize_key_and_certificates(b"school", key, made, None, secret)


@pytest.fixture(scope="module")
def signed(certificate):
    given = content(findings(), entries(ticks=60))
    attached = [Attachment("claim.json", given.claim_bytes, "application/json", "the claim")]
    plain = pages(made("claim", "ar", given), dated=given.dated, attached=attached)
    return given, plain, sign(plain, load_signer(certificate, b"open sesame"))


def status(pdf, certificate):
    context = ValidationContext(trust_roots=[load_signer(certificate, b"open sesame").signing_cert])
    found = PdfFileReader(io.BytesIO(pdf)).embedded_signatures[0]
    return validate_pdf_signature(found, signer_validation_context=context)


def test_the_signature_is_over_all_of_it_and_the_document_stays(signed, certificate):
    given, plain, out = signed
    assert out.startswith(plain)
    found = status(out, certificate)
    assert found.intact
    assert found.valid
    assert found.trusted
    assert found.coverage.name == "ENTIRE_FILE"
    assert read(out).attachments["claim.json"] == [given.claim_bytes]


def test_a_changed_file_is_no_longer_what_was_signed(signed, certificate):
    _, plain, out = signed
    place = plain.index(b"/Title")
    spoilt = out[:place] + b"/Tidle" + out[place + 6 :]
    assert not status(spoilt, certificate).intact


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="needs pdfsig (Debian: poppler-utils)")
def test_a_reader_that_is_not_ours_finds_it_valid(signed, tmp_path):
    (tmp_path / "claim.pdf").write_bytes(signed[2])
    told = subprocess.run(
        ["pdfsig", "-nocert", "claim.pdf"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "Signature is Valid" in told
    assert "Total document signed" in told
    assert "ETSI.CAdES.detached" in told


@pytest.mark.parametrize(("data", "passphrase"), [(None, b"wrong"), (b"none", b""), (b"", b"")])
def test_what_cannot_sign_is_said(certificate, data, passphrase):
    with pytest.raises(SigningError, match="PKCS #12"):
        load_signer(certificate if data is None else data, passphrase)
