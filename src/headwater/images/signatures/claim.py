"""Image signatures: what the four ``img_signature*`` properties claim, and whether it is true.

What is signed is the data itself, through the hash that ``img_signature_hash_method`` names. It was the
MD5 of the data once, so that whoever could forge an MD5 could forge an image (OSSN-0061, CVE-2015-8234).
A claim takes all four properties; with fewer of them there is none, and nothing is verified.
Source: the properties' definition ``OS::Glance::Signatures``; cursive 0.3, with which Glance and Nova verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from headwater.errors import Invalid

SIGNATURE = "img_signature"
HASH_METHOD = "img_signature_hash_method"
KEY_TYPE = "img_signature_key_type"
CERTIFICATE = "img_signature_certificate_uuid"
PROPERTIES = (SIGNATURE, HASH_METHOD, KEY_TYPE, CERTIFICATE)

HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}
RSA_PSS, DSA = "RSA-PSS", "DSA"
KEY_TYPES = (RSA_PSS, DSA, "ECC_SECP521R1", "ECC_SECP384R1")
# Glance's definition names these too. `cryptography` has given up the curves over binary fields, for Glance as for us.
BINARY_CURVES = ("ECC_SECT571K1", "ECC_SECT409K1", "ECC_SECT571R1", "ECC_SECT409R1")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class SignatureRefused(Invalid):
    """The signature of an image does not hold, or cannot be verified."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Signature verification failed: {reason}")


class BadSignatureProperty(SignatureRefused):
    """A property of a signature that says nothing that could be verified."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the property {name} {reason}")
        self.name = name


class CertificateOutOfDate(SignatureRefused):
    """The certificate does not count now."""

    def __init__(self, certificate_id: str, problem: str) -> None:
        super().__init__(f"the certificate {certificate_id} {problem}")
        self.certificate_id = certificate_id


class KeyTypeMismatch(SignatureRefused):
    """The certificate's key is not of the type that the image names."""

    def __init__(self, certificate_id: str, wanted: str, found: str) -> None:
        super().__init__(
            f"the key of the certificate {certificate_id} is of type {found}, and {KEY_TYPE} says {wanted}"
        )
        self.certificate_id, self.wanted, self.found = certificate_id, wanted, found


class SignatureWrong(SignatureRefused):
    """The key of the certificate did not sign this data."""

    def __init__(self, certificate_id: str) -> None:
        super().__init__(f"the data is not what the key of the certificate {certificate_id} signed")
        self.certificate_id = certificate_id


class KeyTypeNotVerified(SignatureRefused):
    """Nothing here verifies such a key."""

    def __init__(self, key_type: str, reason: str) -> None:
        super().__init__(f"signatures of type {key_type} cannot be verified here: {reason}")
        self.key_type = key_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an image says of its signature: well-formed, and not verified yet."""

    signature: bytes
    hash_method: str  # a key of HASHES
    key_type: str  # one of KEY_TYPES
    certificate_id: str  # lower-case UUID

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Claim | None:
        """Return the claim in an image's properties; ``None`` when they are not all there.

        Raises:
            BadSignatureProperty: They are all there, and one says nothing that could be verified.
            KeyTypeNotVerified: The key is over a curve that is given up.
        """
        if not all(name in properties for name in PROPERTIES):
            return None
        hash_method, key_type = properties[HASH_METHOD], properties[KEY_TYPE]
        if hash_method not in HASHES:
            raise BadSignatureProperty(HASH_METHOD, f"is {hash_method[:40]!r}; it can be {', '.join(HASHES)}")
        if key_type in BINARY_CURVES:
            raise KeyTypeNotVerified(
                key_type, f"curves over binary fields are given up; sign the image with one of {', '.join(KEY_TYPES)}"
            )
        if key_type not in KEY_TYPES:
            raise BadSignatureProperty(KEY_TYPE, f"is {key_type[:40]!r}; it can be {', '.join(KEY_TYPES)}")
        if not _UUID.fullmatch(properties[CERTIFICATE]):
            raise BadSignatureProperty(CERTIFICATE, f"is {properties[CERTIFICATE][:40]!r}, which is no UUID")
        return cls(
            signature=_decoded(properties[SIGNATURE]),
            hash_method=hash_method,
            key_type=key_type,
            certificate_id=properties[CERTIFICATE].lower(),
        )

    def new_hash(self) -> hashlib._Hash:
        """Return a fresh hash of the claim's method, to be fed with the data."""
        return hashlib.new(HASHES[self.hash_method].name)

    def require_fitting(self, certificate: x509.Certificate, at: datetime) -> None:
        """Raise unless a signature by this certificate's key could be what is claimed.

        Raises:
            CertificateOutOfDate: The certificate has expired, or does not count yet.
            KeyTypeMismatch: Its key is of another type.
        """
        before, after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if at < before:
            raise CertificateOutOfDate(self.certificate_id, f"is not valid before {before:%Y-%m-%dT%H:%M:%SZ}")
        if at > after:
            raise CertificateOutOfDate(self.certificate_id, f"expired at {after:%Y-%m-%dT%H:%M:%SZ}")
        found = key_type(certificate)
        if found != self.key_type:
            raise KeyTypeMismatch(self.certificate_id, self.key_type, found)

    def verify(self, certificate: x509.Certificate, digest: bytes) -> None:
        """Raise unless ``digest``, of the claim's method, is what the certificate's key signed.

        Raises:
            SignatureWrong: It is not.
            KeyTypeNotVerified: The key is too short to tell.
        """
        hash_ = HASHES[self.hash_method]
        key = certificate.public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey):
                # OpenStack's signers take the longest salt that fits. Any length is verified: cursive asks for
                # the longest, which the library takes for any, and so Glance and Nova have always done.
                pss = padding.PSS(padding.MGF1(hash_), padding.PSS.AUTO)
                key.verify(self.signature, digest, pss, Prehashed(hash_))
            elif isinstance(key, dsa.DSAPublicKey):
                key.verify(self.signature, digest, Prehashed(hash_))
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(self.signature, digest, ec.ECDSA(Prehashed(hash_)))
            else:
                raise KeyTypeMismatch(self.certificate_id, self.key_type, key_type(certificate))
        except InvalidSignature as error:
            raise SignatureWrong(self.certificate_id) from error
        except ValueError as error:  # a key too short for such a hash with such a salt
            raise KeyTypeNotVerified(self.key_type, str(error)) from error


def key_type(certificate: x509.Certificate) -> str:
    """Return the type of a certificate's key, in the words of ``img_signature_key_type`` where it has one."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return "unknown"
    if isinstance(key, rsa.RSAPublicKey):
        return RSA_PSS
    if isinstance(key, dsa.DSAPublicKey):
        return DSA
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECC_{key.curve.name.upper()}"
    return type(key).__name__.removesuffix("PublicKey")


def _decoded(text: str) -> bytes:
    # Source: `base64` of the shell puts a line break after each 76 characters, and cursive lets them pass.
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        # Source: python-openstackclient 10.5 with --sign-key-path; Glance cannot read that either.
        hint = "; it has b'…' around it, as Python shows bytes: take that off" if text.startswith("b'") else ""
        raise BadSignatureProperty(SIGNATURE, f"is not base64{hint}") from error
    if not decoded:
        raise BadSignatureProperty(SIGNATURE, "is empty")
    return decoded
