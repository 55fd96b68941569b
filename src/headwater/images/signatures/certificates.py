"""Where the certificates come from: the contract of ``directory`` and ``barbican``.

Whatever a source gives is what somebody put there, so it is read as hostile: bounded, and parsed here only.
"""

from __future__ import annotations

from typing import Protocol

from cryptography import x509

from headwater.errors import Unavailable
from headwater.identity.caller import Caller
from headwater.images.signatures.claim import SignatureRefused

LARGEST = 64 << 10  # bytes of a certificate; real ones have a few KiB


class CertificateNotFound(SignatureRefused):
    """There is no such certificate, or it is not the caller's to see: both look the same."""

    def __init__(self, certificate_id: str) -> None:
        super().__init__(f"there is no certificate {certificate_id}")
        self.certificate_id = certificate_id


class CertificateUnusable(SignatureRefused):
    """What is kept under this id is no certificate that could be used."""

    def __init__(self, certificate_id: str, problem: str) -> None:
        super().__init__(f"what is kept as certificate {certificate_id} {problem}")
        self.certificate_id = certificate_id


class CertificatesUnavailable(Unavailable):
    """What keeps the certificates does not work at the moment."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The image's signature cannot be verified now: {reason}. Upload the image again later.")


class CertificateSource(Protocol):
    """Keeps certificates by UUID; safe to use from several threads."""

    def get(self, caller: Caller, certificate_id: str) -> bytes:
        """Return the certificate as it is kept, PEM or DER; may wait for another server.

        Args:
            caller: For whom it is.
            certificate_id: A lower-case UUID.

        Raises:
            CertificateNotFound: There is none, or the caller may not see it.
            CertificateUnusable: What is there is too large, or not a certificate.
            CertificatesUnavailable: The source does not work at the moment.
        """
        ...


def parsed(certificate_id: str, data: bytes) -> x509.Certificate:
    """Return the certificate in ``data``, the first one of a PEM file.

    Raises:
        CertificateUnusable: There is none.
    """
    try:
        if b"-----BEGIN " in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateUnusable(certificate_id, "is not an X.509 certificate in PEM or DER") from error
