"""Verify an image's signature while its data streams past.

The data of an image that claims to be signed goes through one hash more. The certificate is fetched and looked at
before the first byte is read, so that a claim that cannot hold does not cost an upload; the signature
is verified when the last byte is hashed, and before the data becomes the image's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509

from headwater.errors import Conflict
from headwater.identity.caller import Caller
from headwater.identity.watched_file import WatchedFile
from headwater.images.model import Image
from headwater.images.signatures.certificates import CertificateSource, parsed
from headwater.images.signatures.claim import Claim, SignatureRefused
from headwater.images.signatures.trust import require_trusted

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoCertificates(SignatureRefused):
    """The image says that it is signed, and nothing is set up to verify it with."""

    def __init__(self) -> None:
        super().__init__(
            "this service has no source of certificates (section [signatures]); "
            "remove a property of the signature to upload the image without verification"
        )


class SignatureChanged(Conflict):
    """What the image says of its signature is not what its data was verified against."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"The signature of image {image_id} was changed while its data came: upload the data again")
        self.image_id = image_id


class Verification:
    """One stream being verified: ``prepare``, ``feed`` all of it, ``finish``."""

    def __init__(self, claim: Claim, fetch: Callable[[], x509.Certificate]) -> None:
        self.claim = claim
        self._fetch = fetch
        self._certificate: x509.Certificate | None = None
        self._hash = claim.new_hash()

    def prepare(self) -> None:
        """Get the certificate; may wait for another server.

        Raises:
            SignatureRefused: The claim cannot hold: there is no such certificate, or it does not fit.
            CertificatesUnavailable: The certificate cannot be fetched now.
        """
        if self._certificate is None:
            self._certificate = self._fetch()

    def feed(self, piece: memoryview) -> None:
        """Take the next piece of the data."""
        self._hash.update(piece)

    def finish(self) -> None:
        """Raise unless the data that was fed is what was signed.

        Raises:
            SignatureWrong: It is not.
            SignatureRefused, CertificatesUnavailable: As ``prepare``, if that was not called.
        """
        self.prepare()
        assert self._certificate is not None
        self.claim.verify(self._certificate, self._hash.digest())


class Signatures:
    """What verifies; safe to use from several threads."""

    def __init__(
        self,
        certificates: CertificateSource | None = None,
        trusted: WatchedFile[tuple[x509.Certificate, ...]] | None = None,
        *,
        clock: Callable[[], int],
    ) -> None:
        """Take where certificates come from, and those that are trusted to have issued them.

        Args:
            certificates: ``None``: nowhere, and so every claim is refused.
            trusted: ``None``: a certificate of the source needs no issuer.
            clock: The time in microseconds since 1970.
        """
        self._certificates = certificates
        self._trusted = trusted
        self._clock = clock

    def claim(self, image: Image) -> Claim | None:
        """Return what the image claims; ``None`` when that is nothing.

        Raises:
            SignatureRefused: It claims something that cannot be verified here. Waits for nothing.
        """
        claim = Claim.of(image.properties)
        if claim is not None and self._certificates is None:
            raise NoCertificates
        return claim

    def verification(self, caller: Caller | None, image: Image) -> Verification | None:
        """Return what verifies the image's data; ``None`` when it claims nothing.

        Raises:
            SignatureRefused: As ``claim``.
        """
        claim = self.claim(image)
        if claim is None:
            return None
        return Verification(claim, lambda: self._certificate(caller or Caller(), claim))

    def require_same(self, verified: Verification | None, image: Image) -> None:
        """Raise ``SignatureChanged`` when the image claims now what was not verified."""
        claim = Claim.of(image.properties)
        if claim is not None and (verified is None or verified.claim != claim):
            raise SignatureChanged(image.id)

    def _certificate(self, caller: Caller, claim: Claim) -> x509.Certificate:
        if self._certificates is None:
            raise NoCertificates
        certificate = parsed(claim.certificate_id, self._certificates.get(caller, claim.certificate_id))
        at = _EPOCH + timedelta(microseconds=self._clock())
        claim.require_fitting(certificate, at)
        if self._trusted is not None:
            require_trusted(claim.certificate_id, certificate, self._trusted.value(), at)
        return certificate
