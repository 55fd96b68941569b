"""OpenPGP certificates: the public keys that readers trust, and until when each may sign.

The OpenPGP library holds that a signature stays good after its key has expired. Simplestreams readers (Juju's newer
library) do not, so the time of expiry is looked at here, for the certificate and for the subkey that signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from pysequoia import Cert
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

from headwater.errors import SettingsError

T = TypeVar("T")

_KEYBOX: Final = b"KBXf"  # in a file of GnuPG, after the length, type and version of its first part
WARNED_BEFORE: Final = timedelta(days=30)


class Why(Enum):
    """What is wrong with a signature."""

    UNKNOWN = "unknown key"
    EXPIRED = "expired"
    REVOKED = "revoked"
    BAD = "bad"  # the text was changed, or it is damaged


class KeyProblem(str):
    """Why a key may not sign, in words for people; ``why`` is for programs."""

    __slots__ = ("why",)

    why: Why

    def __new__(cls, text: str, why: Why) -> KeyProblem:
        """Return the words, with what they are about."""
        made = super().__new__(cls, text)
        made.why = why
        return made


class CertificatesUnreadable(SettingsError):
    """The file given as a keyring holds no OpenPGP certificate."""

    def __init__(self, file: Path | str, problem: str) -> None:
        super().__init__(f"keyring {file}: {problem}")
        self.file, self.problem = file, problem


def certificates(file: Path) -> list[Cert]:
    """Read the certificates in a keyring, armored or binary.

    Raises:
        CertificatesUnreadable: The file can not be read, or there is none in it.
    """
    return certificates_in(read_file(file, lambda problem: CertificatesUnreadable(file, problem)), file)


def certificates_in(content: bytes, file: Path | str) -> list[Cert]:
    """Return the certificates in what a keyring holds, armored or binary.

    Args:
        file: What it is called in errors.

    Raises:
        CertificatesUnreadable: There is none in it.
    """
    if content[8:12] == _KEYBOX:
        raise CertificatesUnreadable(file, "it is a keybox of GnuPG; write a keyring with gpg --export")
    found = tried(
        lambda: Cert.split_bytes(content), lambda _: CertificatesUnreadable(file, "it holds no OpenPGP certificate")
    )
    if not found:
        raise CertificatesUnreadable(file, "it holds no OpenPGP certificate")
    return found


def key_problem(certificate: Cert, fingerprint: str, now: datetime) -> KeyProblem | None:
    """Say why the key ``fingerprint`` of ``certificate`` may not sign at ``now``; ``None`` when it may."""
    problem = certificate_problem(certificate, now)
    if problem or fingerprint == certificate.fingerprint:
        return problem
    expires_at, revoked = _subkey(certificate, fingerprint)
    if revoked:
        return KeyProblem(f"the signing subkey {fingerprint.upper()} is revoked", Why.REVOKED)
    if expires_at is not None and expires_at <= now:
        return KeyProblem(f"the signing subkey {fingerprint.upper()} expired on {expires_at:%Y-%m-%d}", Why.EXPIRED)
    return None


def certificate_problem(certificate: Cert, now: datetime) -> KeyProblem | None:
    """Say why ``certificate`` is not in force at ``now``; ``None`` when it is."""
    if certificate.is_revoked:
        return KeyProblem(f"the key {certificate.fingerprint.upper()} is revoked", Why.REVOKED)
    if certificate.expiration is not None and certificate.expiration <= now:
        said = f"the key {certificate.fingerprint.upper()} expired on {certificate.expiration:%Y-%m-%d}"
        return KeyProblem(said, Why.EXPIRED)
    return None


def end_of_key(certificate: Cert, fingerprint: str) -> datetime | None:
    """Return from when on the key ``fingerprint`` of ``certificate`` may not sign any more; ``None``: never."""
    ends = [certificate.expiration]
    if fingerprint != certificate.fingerprint:
        ends.append(_subkey(certificate, fingerprint)[0])
    return min((end for end in ends if end is not None), default=None)


def expiry_warning(fingerprint: str, expires_at: datetime | None, now: datetime) -> str | None:
    """Say that a key ends soon, in time to bring readers another one; ``None`` while there is no need to."""
    if expires_at is None or expires_at - now > WARNED_BEFORE:
        return None
    days = (expires_at - now).days
    return f"the key {fingerprint.upper()} expires on {expires_at:%Y-%m-%d}, in {days} days; then readers refuse it"


def owner(certificate: Cert) -> str | None:
    """Return the first name on a certificate, such as ``Image streams <images@example.com>``."""
    return next((str(user) for user in certificate.user_ids), None)


def keys_of(certificate: Cert) -> list[str]:
    """Return how signatures name the keys of a certificate: fingerprints and key ids, as the library writes them."""
    keys = [packet for packet in PacketPile.from_bytes(bytes(certificate)) if packet.fingerprint]
    return [str(name) for key in keys for name in (key.fingerprint, key.key_id)]


def tag_of(packet: Packet) -> Tag | None:
    """Return what kind of packet it is; ``None``: of a kind that the library does not know."""
    try:
        return packet.tag
    except RuntimeError:
        return None


def _subkey(certificate: Cert, fingerprint: str) -> tuple[datetime | None, bool]:
    """Return when the newest binding of a subkey ends, and whether the subkey is revoked."""
    created = expires_at = bound_at = None
    revoked = False
    for packet in PacketPile.from_bytes(bytes(certificate)):
        if tag_of(packet) in (Tag.PublicKey, Tag.PublicSubkey, Tag.SecretKey, Tag.SecretSubkey):
            created = packet.key_created if packet.fingerprint == fingerprint else None
        elif created is not None and tag_of(packet) == Tag.Signature:
            revoked = revoked or packet.signature_type == SignatureType.SubkeyRevocation
            newest = bound_at is None or (packet.signature_created is not None and packet.signature_created >= bound_at)
            if packet.signature_type == SignatureType.SubkeyBinding and newest:
                bound_at = packet.signature_created
                expires_at = created + packet.key_validity_period if packet.key_validity_period else None
    return expires_at, revoked


def read_file(file: Path, error: Callable[[str], Exception]) -> bytes:
    """Return what a file holds; ``error`` makes what is raised when it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as failure:
        raise error(f"it can not be read: {failure.strerror}") from failure


def tried(work: Callable[[], T], error: Callable[[str], Exception]) -> T:
    """Run one call of the OpenPGP library; it raises ``RuntimeError`` for everything, with a backtrace in the text."""
    try:
        return work()
    except RuntimeError as failure:
        raise error(str(failure).partition("\n")[0]) from None


def named(trusted: Sequence[Cert], fingerprint: str) -> Cert | None:
    """Return the certificate of a fingerprint, as the library writes it."""
    return next((certificate for certificate in trusted if certificate.fingerprint == fingerprint), None)
