"""What lies on web servers of others is looked at as uploads are: when it is read, whole, for whatever reason.

It is hashed, inspected and, where the image is signed, verified while it streams past, each time that it is read whole:
its server may have changed it.
"""

from __future__ import annotations

from headwater.errors import UnsupportedMedia
from headwater.identity.caller import Caller
from headwater.images.inspection.inspect import Finding, Inspection, Rules
from headwater.images.locations.reading import Check, DataRefused, HashCheck
from headwater.images.model import Image, Location
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.claim import SignatureRefused
from headwater.images.signatures.verification import Signatures


class Contents:
    """What looks at the data of others; safe to use from several threads."""

    def __init__(self, settings: ImagesSettings, signatures: Signatures) -> None:
        self._signatures = signatures
        self._rules = settings.inspection

    def look(self, caller: Caller | None, image: Image) -> Look:
        """Begin to look at data that is said to be an image's; may wait for the server that has its certificate.

        Raises:
            SignatureRefused: Its signature cannot hold.
            CertificatesUnavailable: Its certificate cannot be fetched now.
        """
        return Look(self._rules, self._signatures, caller, image)

    def check(self, caller: Caller | None, image: Image, at: Location) -> Check:
        """Begin what checks the data of an image when a caller reads it.

        Raises:
            DataRefused, CertificatesUnavailable: As ``look`` says.
        """
        try:
            return _ContentCheck(self.look(caller, image), image, at)
        except SignatureRefused as error:
            raise DataRefused(image.id, at, str(error)) from error


class Look:
    """One stream being inspected and verified. Used by one thread at a time."""

    def __init__(self, rules: Rules, signatures: Signatures, caller: Caller | None, image: Image) -> None:
        """See ``Contents.look``."""
        self._inspection = Inspection(image.disk_format or "raw", rules, bare=image.container_format == "bare")
        self._verification = signatures.verification(caller, image)
        if self._verification is not None:
            self._verification.prepare()

    def feed(self, piece: bytes) -> None:
        """Look at the next piece; raise ``UnsupportedMedia`` when it is clear already that all is refused."""
        view = memoryview(piece)
        self._inspection.feed(view)
        if self._verification is not None:
            self._verification.feed(view)

    def finish(self) -> Finding:
        """Say what the stream was.

        Raises:
            UnsupportedMedia, SignatureRefused: Nothing that the image may be, or not what was signed.
        """
        finding = self._inspection.finish()
        if self._verification is not None:
            self._verification.finish()
        return finding


class _ContentCheck:
    """A look at what is held against the hash of an image too."""

    def __init__(self, look: Look, image: Image, at: Location) -> None:
        self._look, self._hash = look, HashCheck(image, at)
        self._image, self._at = image, at

    def feed(self, piece: bytes) -> None:
        self._hash.feed(piece)
        try:
            self._look.feed(piece)
        except UnsupportedMedia as error:
            raise DataRefused(self._image.id, self._at, str(error)) from error

    def finish(self) -> None:
        self._hash.finish()
        try:
            self._look.finish()
        except (UnsupportedMedia, SignatureRefused) as error:
            raise DataRefused(self._image.id, self._at, str(error)) from error
