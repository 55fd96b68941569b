"""Signatures by keys that were certified with SHA-1.

The OpenPGP library takes no certificate whose own signatures use SHA-1, though what it signs may use SHA-512. The keys
of the large public feeds are of 2009 to 2012 and are such. Whoever names a keyring says that its keys are theirs, so
what binds a name to a key is not asked; what a key signs is verified in full, as RFC 9580, section 5.2.4, says. Only
RSA primary keys of at least 2048 bits, and no signatures by SHA-1 or MD5.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from pysequoia import Cert
from pysequoia.packet import HashAlgorithm, Packet, PacketPile, PublicKeyAlgorithm, SignatureType, Tag

from headwater.streams.signing.certificates import KeyProblem, Why, tag_of

_RSA: Final = (PublicKeyAlgorithm.RSAEncryptSign, PublicKeyAlgorithm.RSASign)
_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {  # by the numbers of RFC 9580, section 9.5
    8: hashes.SHA256(),
    9: hashes.SHA384(),
    10: hashes.SHA512(),
    11: hashes.SHA224(),
}
_CERTIFICATIONS: Final = (
    SignatureType.GenericCertification,
    SignatureType.PersonaCertification,
    SignatureType.CasualCertification,
    SignatureType.PositiveCertification,
    SignatureType.DirectKey,
)
_LEAST_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class OldKey:
    """The primary key of a certificate that the library does not take."""

    fingerprint: str
    key_id: str
    public: RSAPublicKey
    created_at: datetime | None
    expires_at: datetime | None
    is_revoked: bool
    owner: str | None

    def signed(self, text: bytes, signature: Packet) -> bool:
        """Return whether ``signature`` is by this key and covers ``text``, whose lines end as they stand there."""
        body = signature.body
        if signature.issuer_key_id != self.key_id or len(body) < 6 or body[0] != 4 or body[1] not in (0, 1):
            return False
        algorithm, hashed = body[3], int.from_bytes(body[4:6], "big")
        made = signature.signature_created
        if algorithm not in _HASHES or made is None or (self.created_at is not None and made < self.created_at):
            return False
        covered = body[: 6 + hashed]
        if body[1] == 1:  # a text: its lines end in CR LF
            text = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        trailer = b"\x04\xff" + len(covered).to_bytes(4, "big")
        number = body[6 + hashed + 2 + int.from_bytes(body[6 + hashed : 8 + hashed], "big") + 2 :]
        value, rest = _integer(number)
        if rest:
            return False
        length = (self.public.key_size + 7) // 8
        try:
            self.public.verify(value.to_bytes(length, "big"), text + covered + trailer, PKCS1v15(), _HASHES[algorithm])
        except (InvalidSignature, OverflowError):
            return False
        return True

    def problem(self, now: datetime) -> KeyProblem | None:
        """Say why the key may not sign at ``now``; ``None`` when it may."""
        if self.is_revoked:
            return KeyProblem(f"the key {self.fingerprint.upper()} is revoked", Why.REVOKED)
        if self.expires_at is not None and self.expires_at <= now:
            said = f"the key {self.fingerprint.upper()} expired on {self.expires_at:%Y-%m-%d}"
            return KeyProblem(said, Why.EXPIRED)
        return None


def old_key(certificate: Cert) -> OldKey | None:
    """Return the primary key of a certificate that was certified with SHA-1 only; ``None``: it is no such."""
    packets = list(PacketPile.from_bytes(bytes(certificate)))
    primary = packets[0]
    own = [
        packet
        for packet in packets
        if tag_of(packet) == Tag.Signature
        and packet.signature_type in _CERTIFICATIONS
        and packet.issuer_key_id == primary.key_id
    ]
    if primary.key_algorithm not in _RSA or primary.body[0] != 4 or not own:
        return None
    newest = max(own, key=lambda packet: packet.signature_created or datetime.min.replace(tzinfo=UTC))
    flags = newest.key_flags
    if newest.hash_algorithm != HashAlgorithm.SHA1 or (flags is not None and not flags.signing):
        return None
    modulus, rest = _integer(primary.body[6:])  # after version, time of creation (four bytes) and algorithm
    exponent, _ = _integer(rest)
    try:
        public = RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        return None
    if public.key_size < _LEAST_BITS:
        return None
    created, valid = primary.key_created, newest.key_validity_period
    return OldKey(
        fingerprint=certificate.fingerprint,
        key_id=str(primary.key_id),
        public=public,
        created_at=created,
        expires_at=created + valid if created is not None and valid else None,
        is_revoked=any(packet.signature_type == SignatureType.KeyRevocation for packet in packets),
        owner=next((packet.user_id for packet in packets if packet.user_id), None),
    )


def _integer(data: bytes) -> tuple[int, bytes]:
    """Read one integer of OpenPGP: its length in bits, then its bytes; and what follows."""
    end = 2 + (int.from_bytes(data[:2], "big") + 7) // 8
    return int.from_bytes(data[2:end], "big"), data[end:]
