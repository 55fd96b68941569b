"""The certificates that the listeners show: read at the start, and again when their files change.

A new certificate and its key come in two writes, or in one where a directory of links is turned (Kubernetes). Until
both are there and belong together, new connections get the one before; connections that are open keep theirs.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import Field, model_validator

from headwater.config import Section
from headwater.errors import SettingsError
from headwater.identity.watched_file import CHECK_EVERY_S, WatchedFile
from headwater.threads import Pool

WARN_DAYS = 14  # before the end; said once a day
_DAY_S = 86400.0
# TLS 1.2 with keys of its own for each connection, and ciphers that prove what they carry; TLS 1.3 has no others.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_log = logging.getLogger(__name__)


class TlsSettings(Section):
    """Sections ``[server.tls]`` and ``[server.metadata_tls]``."""

    certificate: Annotated[
        Path | None,
        Field(
            description="The certificate of this listener, followed by those between it and its authority (PEM); "
            "read again when it or the key changes. Default: plain HTTP."
        ),
    ] = None
    key: Annotated[
        Path | None,
        Field(description="Its private key (PEM, without a password). Default: it is in the file of the certificate."),
    ] = None
    client_ca: Annotated[
        Path | None,
        Field(
            description="Authorities (PEM), of which one has to have issued a certificate of every client. "
            "Default: clients need none."
        ),
    ] = None
    minimum_version: Annotated[Literal["1.2", "1.3"], Field(description="Oldest version of TLS that is spoken.")] = (
        "1.2"
    )

    @property
    def scheme(self) -> str:
        """What URLs of the listener begin with."""
        return "http" if self.certificate is None else "https"

    @model_validator(mode="after")
    def _complete(self) -> TlsSettings:
        alone = [name for name in ("key", "client_ca") if getattr(self, name) is not None]
        if self.certificate is None and alone:
            raise ValueError(f"'{alone[0]}' is set without 'certificate': give both, or neither for plain HTTP")
        return self


class CertificateUnusable(SettingsError):
    """A file of TLS holds nothing that connections can be made with."""

    def __init__(self, section: str, key: str, file: Path, reason: str) -> None:
        super().__init__(f"section [{section}], key '{key}': {file} {reason}")
        self.file, self.reason = file, reason


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, ready to be shown."""

    context: ssl.SSLContext
    expires_at: datetime


class Certificate:
    """What one listener shows; ``context`` is that of new connections."""

    def __init__(self, settings: TlsSettings, section: str, *, wall: Callable[[], float] = time.time) -> None:
        """Read the files.

        Args:
            section: Where they were set.
            wall: The time in seconds since 1970.

        Raises:
            SettingsError: One of them cannot be used.
        """
        self._wall = wall
        assert settings.certificate is not None, "without one there is no TLS"
        self._file = settings.certificate
        others = [each for each in (settings.key, settings.client_ca) if each is not None]
        self._pair = WatchedFile(settings.certificate, lambda _: read_pair(settings, section), beside=others)

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is made with; looks at no file."""
        return self._pair.last.context

    @property
    def days_left(self) -> float:
        """How long the certificate is good."""
        return (self._pair.last.expires_at.timestamp() - self._wall()) / _DAY_S

    async def watch(self, pool: Pool, tell: Callable[[float], None]) -> None:
        """Read the files again whenever they change, until cancelled.

        Args:
            pool: Where files are looked at.
            tell: Gets the days that are left, often.
        """
        warned_at = float("-inf")
        shown = self._pair.last
        while True:
            pair = await pool.run(self._pair.value)
            left = self.days_left
            tell(left)
            passed = asyncio.get_running_loop().time()
            if left < WARN_DAYS and (pair is not shown or passed - warned_at >= _DAY_S):
                said = "a certificate ends soon" if left > 0 else "a certificate has ended"
                _log.warning(said, extra={"file": str(self._file), "expires_at": pair.expires_at.isoformat()})
                warned_at = passed
            shown = pair
            await asyncio.sleep(CHECK_EVERY_S)


def read_pair(settings: TlsSettings, section: str) -> Pair:
    """Return what the files hold.

    Raises:
        CertificateUnusable: One of them cannot be used; it is named.
    """
    # Without TLS nobody needs what takes a while to import.
    from cryptography import x509  # noqa: PLC0415 - only with TLS
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - only with TLS
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only with TLS

    def bad(key: str, file: Path, reason: str, error: Exception | None = None) -> NoReturn:
        raise CertificateUnusable(section, key, file, reason) from error

    def read(key: str, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            bad(key, file, f"cannot be read: {error.strerror}", error)

    assert settings.certificate is not None
    file, key_file = settings.certificate, settings.key or settings.certificate
    try:
        certificate = x509.load_pem_x509_certificates(read("certificate", file))[0]
        public_key, expires_at = certificate.public_key(), certificate.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        bad("certificate", file, "holds no certificate (PEM)", error)
    try:
        key = serialization.load_pem_private_key(read("key", key_file), None)
    except TypeError as error:
        bad("key", key_file, "is locked by a password, which nobody here can type: give a key without one", error)
    except (ValueError, UnsupportedAlgorithm) as error:
        bad("key", key_file, "holds no private key (PEM)", error)
    if key.public_key() != public_key:
        bad("key", key_file, f"is not the key of the certificate in {file}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if settings.minimum_version == "1.3" else ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(file, key_file, lambda: "")
    except OSError as error:
        bad("certificate", file, f"cannot be used: {error.strerror or error}", error)
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.client_ca)
        except OSError as error:
            bad("client_ca", settings.client_ca, "holds no certificate (PEM)", error)
    return Pair(context, expires_at)


def open_certificate(settings: TlsSettings, section: str) -> Certificate | None:
    """Return what the listener of ``section`` shows; ``None`` where it speaks plain HTTP.

    Raises:
        SettingsError: A file cannot be used.
    """
    return Certificate(settings, section) if settings.certificate is not None else None


def check(settings: TlsSettings, section: str) -> None:
    """Require that what ``open_certificate`` reads can be used, and tell of a key that others may read.

    Raises:
        SettingsError: It cannot.
    """
    if open_certificate(settings, section) is None:
        return
    key = settings.key or settings.certificate
    assert key is not None
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & 0o077:
        extra = {"path": str(key), "mode": f"{mode:o}"}
        _log.warning("others may read a private key; close it with chmod 600", extra=extra)
