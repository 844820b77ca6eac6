"""A claim's PDF, signed with a certificate that the organiser brings (PAdES, ETSI EN 319 142-1).

Nothing is signed otherwise: a certificate that we made ourselves would look like somebody's word and be
nobody's. The signature says who hands the document in. That the number follows from the log is shown by
the log's own key, not by this one. A signed file says when it was signed, so it differs each time.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

_FIELD = "Organiser"


class SigningError(Exception):
    """The document cannot be signed; the message says why."""


def load_signer(certificate: bytes, passphrase: bytes) -> Any:
    """Return what signs with a certificate and its key, a PKCS #12 file.

    Raises:
        SigningError: it cannot be read, or not with this passphrase.
        ModuleNotFoundError: the package of the extra `sign` is not installed.
    """
    signers = importlib.import_module("pyhanko.sign.signers")
    try:
        return signers.SimpleSigner.load_pkcs12_data(
            certificate, other_certs=[], passphrase=passphrase
        )
    except (ValueError, TypeError) as error:
        raise SigningError(
            "no certificate with its key (PKCS #12) that opens with this passphrase"
        ) from error


def sign(pdf: bytes, signer: Any) -> bytes:
    """Return a PDF with a signature over all of it.

    Raises:
        SigningError: the certificate's key cannot sign.
    """
    signers = importlib.import_module("pyhanko.sign.signers")
    fields = importlib.import_module("pyhanko.sign.fields")
    errors = importlib.import_module("pyhanko.sign.general").SigningError
    writer = importlib.import_module("pyhanko.pdf_utils.incremental_writer")
    said = signers.PdfSignatureMetadata(
        field_name=_FIELD, md_algorithm="sha256", subfilter=fields.SigSeedSubFilter.PADES
    )
    try:
        out = signers.sign_pdf(
            writer.IncrementalPdfFileWriter(io.BytesIO(pdf)), said, signer=signer
        )
    except (errors, ValueError) as error:
        raise SigningError(f"the certificate cannot sign: {error}") from error
    return bytes(out.getbuffer())
