"""The certificates that an operator trusts to say who signs images.

A signer's certificate counts if it stands in the file itself, or if a certificate authority that stands
there issued it. Nothing is looked for in between: intermediate authorities stand in the file too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from headwater.errors import SettingsError
from headwater.images.signatures.claim import SignatureRefused

_LARGEST = 4 << 20  # bytes
# What the library raises for extensions that it cannot read.
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)

E = TypeVar("E", bound=x509.ExtensionType)


class CertificateUntrusted(SignatureRefused):
    """Nobody whom the operator trusts has issued this certificate."""

    def __init__(self, certificate_id: str) -> None:
        super().__init__(f"no certificate authority that is trusted here has issued the certificate {certificate_id}")
        self.certificate_id = certificate_id


class CertificateNotForSigning(SignatureRefused):
    """The certificate says that its key is for other things."""

    def __init__(self, certificate_id: str) -> None:
        super().__init__(f"the key of the certificate {certificate_id} is not for signing, by its key usage")
        self.certificate_id = certificate_id


def read_trusted(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file.

    Raises:
        SettingsError: There is none, or one cannot be read.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise SettingsError(f"{path} is larger than {_LARGEST} bytes, too large for a file of certificates")
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except (ValueError, x509.InvalidVersion) as error:
        raise SettingsError(f"{path} holds no certificates in PEM, or one that cannot be read") from error


def require_trusted(
    certificate_id: str, certificate: x509.Certificate, trusted: Iterable[x509.Certificate], at: datetime
) -> None:
    """Raise unless one of ``trusted`` is the certificate or has issued it.

    Raises:
        CertificateUntrusted: None has.
        CertificateNotForSigning: The certificate's own key usage does not say so.
    """
    try:
        usage = _extension(certificate, x509.KeyUsage)
    except _UNREADABLE as error:
        raise CertificateUntrusted(certificate_id) from error
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise CertificateNotForSigning(certificate_id)
    if not any(each == certificate or _has_issued(each, certificate, at) for each in trusted):
        raise CertificateUntrusted(certificate_id)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate, at: datetime) -> bool:
    try:
        constraints, usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    except _UNREADABLE:
        return False
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return False
    if not issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
