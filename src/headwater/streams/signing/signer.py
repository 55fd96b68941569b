"""Sign documents with an OpenPGP key that lies in a file.

A key that has expired signs nothing, though the OpenPGP library would let it: readers refuse what it signs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pysequoia
from pydantic import SecretStr
from pysequoia import Cert, PySigner, Sig, Tsk
from pysequoia.packet import Packet, PacketPile, Tag

from headwater.errors import SettingsError, Unavailable
from headwater.streams.signing import clearsign
from headwater.streams.signing.certificates import (
    certificate_problem,
    end_of_key,
    key_problem,
    read_file,
    tag_of,
    tried,
)
from headwater.streams.signing.process import SigningProcess
from headwater.streams.signing.texts import clear_signed

Clock = Callable[[], datetime]  # the present time, with its zone

_TRIAL: Final = b"trial"
_ARMOR: Final = re.compile(rb"^-----BEGIN PGP .*?^-----END PGP [^\n]*", re.MULTILINE | re.DOTALL)
_LEAST_DIGITS: Final = 16  # of a fingerprint: those of a key id, which is not made to be unlike others
# A text up to so many bytes is signed where it is asked for, in 2 ms; in a process of its own a larger one holds up
# no other thread.
_QUICK: Final = 256 << 10


class SigningKeyUnusable(SettingsError):
    """The file given as signing key can not sign."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"signing key {file}: {problem}")
        self.file, self.problem = file, problem


class SigningKeyExpired(Unavailable):
    """The key was good at the start and is not any more; readers would refuse what it signs."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"signing key {file}: {problem}; give the key a later end, or another key, and restart")
        self.file, self.problem = file, problem


class Signer:
    """One secret key that signs documents; safe to use from several threads."""

    def __init__(self, key: Tsk, signer: PySigner, process: SigningProcess, file: Path, clock: Clock) -> None:
        self._certificate, self._signer, self._file, self._clock = key.extract_certificate(), signer, file, clock
        self._process = process
        self._lock = threading.Lock()
        self._key_fingerprint = _issuer(self._clear_signed(_TRIAL))

    @classmethod
    def load(
        cls,
        file: Path,
        password: SecretStr | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        fingerprint: str | None = None,
    ) -> Signer:
        """Read a secret key, armored or binary, and try it.

        Args:
            fingerprint: Of the key, where the file is a keyring of several; its last 16 digits are enough.

        Raises:
            SigningKeyUnusable: The file can not be read or holds no secret key or not that one, the password is wrong
                or missing, or the key may not sign, has expired or is revoked.
        """
        content = _chosen(file, read_file(file, lambda problem: SigningKeyUnusable(file, problem)), fingerprint)
        key = tried(
            lambda: Tsk.from_bytes(content), lambda _: SigningKeyUnusable(file, "it holds no OpenPGP secret key")
        )
        problem = tried(
            lambda: certificate_problem(key.extract_certificate(), clock()),
            lambda said: SigningKeyUnusable(file, f"readers would refuse it: {said}"),  # it certified itself with SHA-1
        )
        if problem:
            raise SigningKeyUnusable(file, problem)
        secret = password.get_secret_value() if password else None
        signer = tried(
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
    def expires_at(self) -> datetime | None:
        """From when on it does not sign any more; ``None``: never."""
        return end_of_key(self._certificate, self._key_fingerprint)

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

    def sign_detached(self, document: bytes) -> bytes:
        """Return an armored signature of ``document`` as it is, to lie beside it.

        Raises:
            SigningKeyExpired: The key's time has run out since it was loaded.
        """
        self._require_usable(SigningKeyExpired)
        with self._lock:
            return tried(
                lambda: pysequoia.sign(self._signer, document, mode=pysequoia.SignatureMode.DETACHED),
                lambda said: SigningKeyUnusable(self._file, f"it does not sign: {said}"),
            )

    def close(self) -> None:
        """End the process that signs large texts, if there is one."""
        self._process.close()

    def _clear_signed(self, text: bytes) -> bytes:
        return tried(
            lambda: self._signed_here(text) if len(text) <= _QUICK else self._process.clear_signed(text),
            lambda said: SigningKeyUnusable(self._file, f"it does not sign: {said}"),
        )

    def _signed_here(self, text: bytes) -> bytes:
        with self._lock:
            return clear_signed(text, self._signer)

    def _require_usable(self, error: Callable[[Path, str], Exception]) -> None:
        problem = key_problem(self._certificate, self._key_fingerprint, self._clock())
        if problem:
            raise error(self._file, problem)


def _issuer(signed: bytes) -> str:
    armor = clearsign.parse(signed).signature
    return Sig.from_bytes(armor).issuer_fingerprint or ""


def _chosen(file: Path, content: bytes, fingerprint: str | None) -> bytes:
    """Return the one secret key in ``content`` that is meant, binary."""
    blocks = _ARMOR.findall(content) or [content]
    packets = tried(
        lambda: [packet for block in blocks for packet in PacketPile.from_bytes(block)],
        lambda _: SigningKeyUnusable(file, "it holds no OpenPGP secret key"),
    )
    keys: list[list[Packet]] = []
    for packet in packets:
        if tag_of(packet) in (Tag.SecretKey, Tag.PublicKey):
            keys.append([])
        if keys:
            keys[-1].append(packet)
    secret = {str(key[0].fingerprint).upper(): key for key in keys if _has_secret(key)}
    if keys and not secret:
        raise SigningKeyUnusable(file, "it holds a public key only; export the secret key")
    wanted = "".join((fingerprint or "").split()).upper().removeprefix("0X")
    if wanted and len(wanted) < _LEAST_DIGITS:
        raise SigningKeyUnusable(file, f"{fingerprint!r} is no fingerprint; give at least its last 16 digits")
    meant = [key for name, key in secret.items() if name.endswith(wanted)]
    if len(meant) == 1:
        return b"".join(bytes(packet) for packet in meant[0])
    there = ", ".join(secret) or "no OpenPGP secret key"
    if wanted and not meant:
        raise SigningKeyUnusable(file, f"it does not hold the secret key {wanted}; it holds {there}")
    if not meant:
        raise SigningKeyUnusable(file, "it holds no OpenPGP secret key")
    raise SigningKeyUnusable(file, f"it holds several secret keys; name the fingerprint of one: {there}")


def _has_secret(key: Sequence[Packet]) -> bool:
    return any(tag_of(packet) in (Tag.SecretKey, Tag.SecretSubkey) for packet in key)


def _why_no_signer(said: str, password: SecretStr | None) -> str:
    if "suitable" in said:
        return "it has no key that may sign and is in force"
    if password is None:
        return "it is protected by a password; set signing_key_password (for commands $HEADWATER_SIGNING_KEY_PASSWORD)"
    return "signing_key_password does not open it (a key without a password needs none)"
