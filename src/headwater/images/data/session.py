"""One upload on its way: its pieces are hashed, inspected and stored at the same time, and judged at their end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headwater.errors import Invalid, TooLarge
from headwater.identity.caller import Caller
from headwater.images.catalogue.transaction import Transaction
from headwater.images.catalogue.upload_records import Upload, UploadLost
from headwater.images.data.pipeline import Lane, Pipeline
from headwater.images.inspection.inspect import Finding, Inspection
from headwater.images.model import Image, Status
from headwater.images.signatures.verification import Verification
from headwater.stores.store import ObjectWriter, WriteLost
from headwater.threads import Pool


class SizeMismatch(Invalid):
    """The data is not as long as its header said."""

    def __init__(self, expected: int, got: int | str) -> None:
        super().__init__(f"Size mismatch: expected {expected} bytes, got {got} bytes")
        self.expected, self.got = expected, got


class ImageTooLarge(TooLarge):
    """More data than one image may have."""

    def __init__(self, cap: int) -> None:
        super().__init__(f"The image is larger than the {cap} bytes that one image may have")
        self.cap = cap


class ChecksumMismatch(Invalid):
    """The data is not what its checksum said."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"Checksum mismatch: expected MD5 {expected[:64]}, got {got}")
        self.expected, self.got = expected, got


class DigestMismatch(Invalid):
    """The data is not what a digest of it said."""

    def __init__(self, algorithm: str, expected: str, got: str) -> None:
        super().__init__(f"Digest mismatch: expected {algorithm} {expected}, got {got}")
        self.algorithm, self.expected, self.got = algorithm, expected, got


class DigestUnforeseen(Invalid):
    """A digest that nobody could make of the data, as it came too late for that."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"A digest by {algorithm} behind the data is checked only if it was announced before the data: "
            "name its field in the header Trailer"
        )
        self.algorithm = algorithm


Digests = Collection[tuple[str, bytes]]  # the algorithm, by hashlib's name, and what bytes must hash to by it


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads for the work on bytes: hashing is kept from starving what answers other requests."""

    hashing: Pool
    storing: Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one upload is held to besides what all are; equal where the data takes the same way."""

    checksum: str | None = None  # the MD5 that the data must have, hex in lower case
    digests: Digests = field(default=(), compare=False)  # what else it must hash to
    # Algorithms, by hashlib's names, by which a digest may follow the data.
    foreseen: Collection[str] = field(default=(), compare=False)
    store: str | None = None  # where the data goes; None: where all uploads go
    needs_formats: bool = True  # the image says what its data is
    failed: Status = Status.QUEUED  # what becomes of the image when its data does not come, QUEUED or KILLED
    # Raises where an image that waits for data is not what is expected.
    may_come: Callable[[], None] = field(default=lambda: None, compare=False)


USUAL = Terms()


class Beside(Protocol):
    """What else is made of the bytes of an upload while they pass, so that nobody has to read them again."""

    @property
    def feeds(self) -> Sequence[Callable[[memoryview], None]]:
        """Each is given every piece, in order; another one may run at the same time."""

    def kept(self, transaction: Transaction) -> None:
        """Keep what was made, in the transaction in which the image got the data: its last move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done with the bytes of one upload."""

    os_hash: hashlib._Hash  # by the algorithm of the settings; the MD5 is always made beside it
    inspection: Inspection
    verification: Verification | None  # of the image's signature, where it has one
    writer: ObjectWriter
    beside: Beside | None = None


class Pieces(Protocol):
    """What takes data piece by piece."""

    def put(self, view: memoryview, release: Callable[[], None]) -> None:
        """Take the next piece; see ``UploadSession.put``."""


class Owner(Protocol):
    """Whoever began an upload: gives it room, and ends it."""

    def grant(self, session: UploadSession, needed: int) -> int:
        """Return how many bytes may come until this is asked again, ``needed`` or more; raise when there is no room."""

    def finish(self, session: UploadSession, finding: Finding) -> Image:
        """Give the bytes, which are durable, to the image."""

    def abandon(self, session: UploadSession) -> None:
        """Note that the bytes will not come, and remove what there is of them."""


class UploadSession:
    """One upload. Pieces are put in by one caller; ``finish`` or ``abandon`` ends it."""

    def __init__(
        self,
        upload: Upload,
        work: Work,
        owner: Owner,
        *,
        caller: Caller,
        terms: Terms,
        pools: Pools,
        cap: int,
    ) -> None:
        """Take what was claimed and what is to be done.

        Args:
            cap: The most bytes that it may have.
        """
        self.image_id, self.location, self.expected = upload.image_id, upload.location, upload.size
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.os_hash, self.inspection, self.verification = work.os_hash, work.inspection, work.verification
        self.received = 0
        self.caller, self.terms = caller, terms
        self._writer, self._owner, self._cap = work.writer, owner, cap
        self._written = 0
        self._granted = upload.size or 0
        self.beside = work.beside
        self._fed = [] if work.beside is None else list(work.beside.feeds)
        self._digests = list(terms.digests)
        self._hashes = {"md5": self.md5, self.os_hash.name: self.os_hash}
        for name in {*terms.foreseen, *(name for name, _ in terms.digests)} - self._hashes.keys():
            self._hashes[name] = hashlib.new(name)
        lanes = [
            *(Lane(each.update, pools.hashing) for each in self._hashes.values()),
            *(Lane(each, pools.hashing) for each in self._fed),
            Lane(self._write, pools.storing),
        ]
        if self.verification is not None:
            lanes.append(Lane(self.verification.feed, pools.hashing))
        self._pipeline = Pipeline(lanes)

    @property
    def needs_preparation(self) -> bool:
        """Whether ``prepare`` has something to do."""
        return self.verification is not None

    def prepare(self) -> None:
        """Get what is needed before the first piece; may wait for another server.

        Raises:
            SignatureRefused: The image's signature cannot hold.
            CertificatesUnavailable: Its certificate cannot be fetched now.
        """
        if self.verification is not None:
            self.verification.prepare()

    def _write(self, view: memoryview) -> None:
        """Look at one piece and hand it to the store, if there is room for it.

        One after the other: a look takes microseconds, and a lane of its own would wait longer for a processor.
        """
        self.inspection.feed(view)
        self._written += len(view)
        if self._written > self._granted:
            self._granted = self._owner.grant(self, self._written)
        self._writer.write(view)

    def put(self, view: memoryview, release: Callable[[], None]) -> None:
        """Take the next piece; ``release`` is called, from any thread, when its memory is free again.

        Raises:
            HeadwaterError: Something is wrong with this or an earlier piece; ``release`` is then not called.
        """
        if self._pipeline.error is not None:
            raise self._pipeline.error
        received = self.received + len(view)
        if self.expected is not None and received > self.expected:
            raise SizeMismatch(self.expected, f"more than {self.expected}")
        if received > self._cap:
            raise ImageTooLarge(self._cap)
        self.received = received
        self._pipeline.put(view, release)

    def go_on(self, pieces: Iterable[bytes]) -> None:
        """Take, before the first piece, what the store has already: it is hashed and inspected here and now."""
        for piece in pieces:
            with memoryview(piece) as view:
                for each in self._hashes.values():
                    each.update(view)
                for feed in self._fed:
                    feed(view)
                if self.verification is not None:
                    self.verification.feed(view)
                self.inspection.feed(view)
                self.received += len(view)
        self._written = self.received
        self._granted = max(self._granted, self.received)

    def expect(self, digests: Digests) -> None:
        """Hold the data to what was said of it behind it.

        Raises:
            DigestUnforeseen: One is by an algorithm that the terms did not foresee.
        """
        for name, _ in digests:
            if name not in self._hashes:
                raise DigestUnforeseen(name)
        self._digests += digests

    def finish(self) -> Image:
        """Make the data durable and the image active, once every piece is released.

        Raises:
            SizeMismatch, ChecksumMismatch, DigestMismatch: Not the bytes came that were announced.
            ContentMismatch, ContentAmbiguous, ContentUnsafe: The bytes are not what the image says, or not safe.
            SignatureWrong: They are not what was signed.
            SignatureChanged: The image claims another signature by now.
            ImageGone, UploadLost: Nobody waits for the data any more.
        """
        if self._pipeline.error is not None:
            raise self._pipeline.error
        if self.expected is not None and self.received != self.expected:
            raise SizeMismatch(self.expected, self.received)
        if self.terms.checksum is not None and self.terms.checksum != self.md5.hexdigest():
            raise ChecksumMismatch(self.terms.checksum, self.md5.hexdigest())
        for name, expected in self._digests:
            got = self._hashes[name].digest()
            if got != expected:
                raise DigestMismatch(name, expected.hex(), got.hex())
        finding = self.inspection.finish()
        if self.verification is not None:
            self.verification.finish()
        try:
            self._writer.commit()
        except WriteLost as error:  # whoever took this upload over has removed its bytes
            raise UploadLost(self.image_id) from error
        return self._owner.finish(self, finding)

    def abandon(self) -> None:
        """Leave nothing behind, once every piece is released; the image waits again."""
        try:
            self._writer.abort()
        finally:
            self._owner.abandon(self)
