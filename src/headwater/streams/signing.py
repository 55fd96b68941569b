"""Sign documents with an OpenPGP key, and verify those that others signed.

The OpenPGP library holds that a signature stays good after its key has expired. Simplestreams readers (Juju's newer
library) do not, so the time of expiry is looked at here, for the certificate and for the subkey that signed.

A document is verified in the form that our own parser gives it, and what the library says was signed must be the text
that we return: two parsers that disagree can not be played against each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import pysequoia
from pydantic import SecretStr
from pysequoia import Cert, PySigner, Sig, Tsk
from pysequoia.packet import PacketPile, SignatureType, Tag

from headwater.errors import Invalid, SettingsError, Unavailable
from headwater.streams import clearsign
from headwater.streams.signers.process import SigningProcess
from headwater.streams.signers.texts import clear_signed

T = TypeVar("T")

Clock = Callable[[], datetime]  # the present time, with its zone

_TRIAL: Final = b"trial"
# A text up to so many bytes is signed where it is asked for, in 2 ms; in a process of its own a larger one holds up
# no other thread.
_QUICK: Final = 256 << 10


class SigningKeyUnusable(SettingsError):
    """The file given as signing key can not sign."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"signing key {file}: {problem}")
        self.file, self.problem = file, problem


class CertificatesUnreadable(SettingsError):
    """The file given as a keyring holds no OpenPGP certificate."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"keyring {file}: {problem}")
        self.file, self.problem = file, problem


class SigningKeyExpired(Unavailable):
    """The key was good at the start and is not any more; readers would refuse what it signs."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"signing key {file}: {problem}; give the key a later end, or another key, and restart")
        self.file, self.problem = file, problem


class BadSignature(Invalid):
    """The document is clear-signed, and none of the certificates vouches for it now."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the signature is not good: {problem}")
        self.problem = problem


class Signer:
    """One secret key that signs documents; safe to use from several threads."""

    def __init__(self, key: Tsk, signer: PySigner, process: SigningProcess, file: Path, clock: Clock) -> None:
        self._certificate, self._signer, self._file, self._clock = key.extract_certificate(), signer, file, clock
        self._process = process
        self._lock = threading.Lock()
        self._key_fingerprint = _issuer(self._clear_signed(_TRIAL))

    @classmethod
    def load(cls, file: Path, password: SecretStr | None = None, clock: Clock = lambda: datetime.now(UTC)) -> Signer:
        """Read a secret key, armored or binary, and try it.

        Raises:
            SigningKeyUnusable: The file can not be read or holds no secret key, the password is wrong or missing, or
                the key may not sign, has expired or is revoked.
        """
        content = _read(file, lambda problem: SigningKeyUnusable(file, problem))
        key = _try(
            lambda: Tsk.from_bytes(content), lambda _: SigningKeyUnusable(file, "it holds no OpenPGP secret key")
        )
        if not _has_secret(content):
            raise SigningKeyUnusable(file, "it holds a public key only; export the secret key")
        problem = _certificate_problem(key.extract_certificate(), clock())
        if problem:
            raise SigningKeyUnusable(file, problem)
        secret = password.get_secret_value() if password else None
        signer = _try(
            lambda: key.signer(secret),
            lambda said: SigningKeyUnusable(file, _why_no_signer(said, password)),
        )
        loaded = cls(key, signer, SigningProcess(content, secret), file, clock)
        loaded._require_usable(SigningKeyUnusable)
        return loaded

    @property
    def fingerprint(self) -> str:
        """The certificate's fingerprint, upper-case hex as gpg prints it."""
        return self._certificate.fingerprint.upper()

    @property
    def certificate(self) -> Cert:
        """The public part, for readers."""
        return self._certificate

    def armored_certificate(self) -> str:
        """Return the public part as text: what a reader puts into its keyring."""
        return pysequoia.armor(bytes(self._certificate), pysequoia.ArmorKind.PublicKey)

    def sign(self, text: bytes) -> bytes:
        """Return ``text`` clear-signed, with exactly one ``Hash:`` line.

        Raises:
            TextNotSignable: A line of ``text`` ends in a blank or carriage return.
            SigningKeyExpired: The key's time has run out since it was loaded.
            SigningProcessLost: A large text is signed by another process, which does not answer.
        """
        self._require_usable(SigningKeyExpired)
        return self._clear_signed(text)

    def close(self) -> None:
        """End the process that signs large texts, if there is one."""
        self._process.close()

    def _clear_signed(self, text: bytes) -> bytes:
        return _try(
            lambda: self._signed_here(text) if len(text) <= _QUICK else self._process.clear_signed(text),
            lambda said: SigningKeyUnusable(self._file, f"it does not sign: {said}"),
        )

    def _signed_here(self, text: bytes) -> bytes:
        with self._lock:
            return clear_signed(text, self._signer)

    def _require_usable(self, error: Callable[[Path, str], Exception]) -> None:
        problem = _key_problem(self._certificate, self._key_fingerprint, self._clock())
        if problem:
            raise error(self._file, problem)


def certificates(file: Path) -> list[Cert]:
    """Read the certificates in a keyring, armored or binary.

    Raises:
        CertificatesUnreadable: The file can not be read, or there is none in it.
    """
    content = _read(file, lambda problem: CertificatesUnreadable(file, problem))
    found = _try(
        lambda: Cert.split_bytes(content), lambda _: CertificatesUnreadable(file, "it holds no OpenPGP certificate")
    )
    if not found:
        raise CertificatesUnreadable(file, "it holds no OpenPGP certificate")
    return found


def verify(signed: bytes, trusted: Sequence[Cert], now: datetime) -> bytes:
    """Return the text of a clear-signed document that one of ``trusted`` signed.

    Args:
        now: The time at which the key must be in force.

    Raises:
        NotClearSigned: The document breaks the rules of the format.
        BadSignature: It was changed, somebody else signed it, or the key or the signature has expired or is revoked.
    """
    parts = clearsign.parse(signed)
    verified = _try(
        lambda: pysequoia.verify(parts.to_bytes(), lambda _ids: list(trusted)),
        lambda _: BadSignature("the text was changed, or none of the known keys signed it"),
    )
    if verified.bytes != parts.text:
        raise BadSignature("what is signed is not the text that a reader would see")
    problems = [
        _key_problem(certificate, signature.signing_key, now)
        for signature in verified.valid_sigs
        for certificate in trusted
        if certificate.fingerprint == signature.certificate
    ]
    if None in problems:
        return parts.text
    raise BadSignature(next((problem for problem in problems if problem), "nobody known signed it"))


def _key_problem(certificate: Cert, fingerprint: str, now: datetime) -> str | None:
    """Say why the key ``fingerprint`` of ``certificate`` may not sign at ``now``; ``None`` when it may."""
    problem = _certificate_problem(certificate, now)
    if problem or fingerprint == certificate.fingerprint:
        return problem
    expires_at, revoked = _subkey(certificate, fingerprint)
    if revoked:
        return f"the signing subkey {fingerprint.upper()} is revoked"
    if expires_at is not None and expires_at <= now:
        return f"the signing subkey {fingerprint.upper()} expired on {expires_at:%Y-%m-%d}"
    return None


def _certificate_problem(certificate: Cert, now: datetime) -> str | None:
    if certificate.is_revoked:
        return f"the key {certificate.fingerprint.upper()} is revoked"
    if certificate.expiration is not None and certificate.expiration <= now:
        return f"the key {certificate.fingerprint.upper()} expired on {certificate.expiration:%Y-%m-%d}"
    return None


def _subkey(certificate: Cert, fingerprint: str) -> tuple[datetime | None, bool]:
    """Return when the newest binding of a subkey ends, and whether the subkey is revoked."""
    created = expires_at = bound_at = None
    revoked = False
    for packet in PacketPile.from_bytes(bytes(certificate)):
        if packet.tag in (Tag.PublicKey, Tag.PublicSubkey, Tag.SecretKey, Tag.SecretSubkey):
            created = packet.key_created if packet.fingerprint == fingerprint else None
        elif created is not None and packet.tag == Tag.Signature:
            revoked = revoked or packet.signature_type == SignatureType.SubkeyRevocation
            newest = bound_at is None or (packet.signature_created is not None and packet.signature_created >= bound_at)
            if packet.signature_type == SignatureType.SubkeyBinding and newest:
                bound_at = packet.signature_created
                expires_at = created + packet.key_validity_period if packet.key_validity_period else None
    return expires_at, revoked


def _issuer(signed: bytes) -> str:
    armor = clearsign.parse(signed).signature
    return Sig.from_bytes(armor).issuer_fingerprint or ""


def _has_secret(content: bytes) -> bool:
    return any(packet.tag in (Tag.SecretKey, Tag.SecretSubkey) for packet in PacketPile.from_bytes(content))


def _why_no_signer(said: str, password: SecretStr | None) -> str:
    if "suitable" in said:
        return "it has no key that may sign and is in force"
    if password is None:
        return "it is protected by a password; set signing_key_password"
    return "signing_key_password does not open it (a key without a password needs none)"


def _read(file: Path, error: Callable[[str], Exception]) -> bytes:
    try:
        return file.read_bytes()
    except OSError as failure:
        raise error(f"it can not be read: {failure.strerror}") from failure


def _try(work: Callable[[], T], error: Callable[[str], Exception]) -> T:
    """Run one call of the OpenPGP library; it raises ``RuntimeError`` for everything, with a backtrace in the text."""
    try:
        return work()
    except RuntimeError as failure:
        raise error(str(failure).partition("\n")[0]) from None
