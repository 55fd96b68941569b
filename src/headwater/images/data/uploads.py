"""Bring an image's data in.

The order of steps, and why a crash between two of them is harmless:

1. The catalogue notes the upload and where its bytes will lie, and the image turns ``saving``.
2. The bytes are hashed, inspected and written, at the same time; a signature is verified at their end.
3. The store makes the object durable and visible.
4. The catalogue gives the object to the image, drops the note, and the image turns ``active``: one
   transaction. From here on the bytes are the image's.

A crash after 1 leaves the note. ``clear_leftovers`` finds it at the next start, or any other process
does when the lease has run out: the note becomes one of bytes to discard, the image waits again, and the
bytes are removed, whole or not. In this order, because a writer that was only slow may finish at any moment:
whose step 4 finds no note has lost, and removes its bytes itself.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from headwater.activity.journal import Deed, Journal
from headwater.clock import Clock, now
from headwater.errors import Invalid, TooLarge
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.rows import Keep
from headwater.images.catalogue.upload_records import Upload, UploadLost, UploadRecords
from headwater.images.data.pipeline import Lane, Pipeline
from headwater.images.data.scrubber import Scrubber
from headwater.images.inspection.inspect import Finding, Inspection, Rules
from headwater.images.model import Image, Location, Status
from headwater.images.quotas.service import UNLIMITED, Allowances, unlimited
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures, Verification
from headwater.jobs import leases
from headwater.stores.store import ObjectStore, ObjectWriter, WriteLost
from headwater.threads import Pool

GRANTED_AHEAD = 64 << 20  # bytes: the most that an upload of unknown size takes before they come

_log = logging.getLogger(__name__)


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


class StoreUnknown(Invalid):
    """There is no store of this name to put data into."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no store {name[:64]!r} here; there is {', '.join(known)}")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one upload is held to besides what all are."""

    checksum: str | None = None  # the MD5 that the data must have, hex in lower case
    store: str | None = None  # where the data goes; None: where all uploads go
    needs_formats: bool = True  # the image says what its data is
    failed: Status = Status.QUEUED  # what becomes of the image when its data does not come, QUEUED or KILLED


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads for the work on bytes: hashing is kept from starving what answers other requests."""

    hashing: Pool
    storing: Pool


class Uploads:
    """The use cases of uploading; safe to use from several threads."""

    def __init__(
        self,
        records: UploadRecords,
        scrubber: Scrubber,
        access: Access,
        stores: Mapping[str, ObjectStore],
        settings: ImagesSettings,
        *,
        pools: Pools,
        allowances: Allowances = unlimited,
        journal: Journal | None = None,
        signatures: Signatures | None = None,
        clock: Clock = now,
        writer: str | None = None,
    ) -> None:
        self._records = records
        self._scrubber = scrubber
        self._allowances = allowances
        self._journal = journal or Journal()
        self._signatures = signatures or Signatures(clock=clock)
        self._access = access
        self._stores = stores
        self._settings = settings
        self._pools = pools
        self._clock = clock
        self._writer = writer or leases.writer_name()
        self._running: set[Location] = set()
        self._lock = threading.Lock()

    @property
    def store_names(self) -> tuple[str, ...]:
        """The stores that data can be put into, in the order of the settings."""
        return tuple(name for name, store in self._stores.items() if store.abilities.writes)

    def begin(self, caller: Caller, image_id: str, size: int | None = None, terms: Terms = Terms()) -> IncomingData:
        """Claim the image for an upload; of two at once one wins.

        Args:
            size: How many bytes will come, if the client said so.

        Raises:
            StoreUnknown: The terms name a store that is not there.
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not bring data.
            StatusConflict: The image does not wait for data.
            FormatsMissing: disk_format or container_format is not set.
            SignatureRefused: The image claims to be signed in a way that cannot be verified.
            ImageTooLarge, ProjectOverLimit, StoreFull: ``size`` bytes are not taken, or nothing at all now.
        """
        if size is not None and size > self._settings.size_cap:
            raise ImageTooLarge(self._settings.size_cap)
        with self._journal.entry(caller, "image.prepare", image_id) as entry:
            self._access.visible(caller, image_id, "upload_image")
            keep = self._allowances().guarded(entry.keep)
            return self._begun(caller, image_id, size, terms, keep)

    def _begun(self, caller: Caller, image_id: str, size: int | None, terms: Terms, keep: Keep) -> IncomingData:
        name = terms.store or self._settings.store or self.store_names[0]
        if name not in self.store_names:
            raise StoreUnknown(name, self.store_names)
        location = Location(name, f"{image_id}.{secrets.token_hex(8)}")
        upload = Upload(image_id, location, self._writer, self._clock() + leases.LEASE_S * 1_000_000, size)
        with self._lock:
            self._running.add(location)
        try:
            image = self._records.begin_upload(upload, lambda image: self._claimed(caller, image, terms), keep)
            writer: ObjectWriter | None = None
            try:
                writer = self._stores[name].begin(location.object_key, size)
                return IncomingData(self, upload, writer, caller=caller, image=image, terms=terms)
            except BaseException:
                if writer is None:
                    self._note_failure(caller, image_id, location, terms, discarded_at=None)
                else:
                    writer.abort()
                    self._give_up(caller, image_id, location, terms)
                raise
        except BaseException:
            self._ended(location)
            raise

    def _claimed(self, caller: Caller, image: Image, terms: Terms) -> Image:
        self._access.require("upload_image", caller, image)
        saving = image.moved_to(Status.SAVING)
        if terms.needs_formats:
            image.require_formats()
        self._signatures.claim(image)
        return replace(saving, updated_at=self._clock())

    def _waiting(self, image: Image) -> Image:
        return replace(image.moved_to(Status.QUEUED), updated_at=self._clock())

    def _after_failure(self, terms: Terms) -> Callable[[Image], Image]:
        return lambda image: replace(image.moved_to(terms.failed), updated_at=self._clock())

    def _note_failure(
        self, caller: Caller, image_id: str, location: Location, terms: Terms, *, discarded_at: int | None
    ) -> bool:
        entry = self._journal.entry(caller, "image.update", image_id)
        change = self._after_failure(terms)
        waits = self._records.abandon_upload(image_id, location, change, entry.keep, discarded_at=discarded_at)
        _tell(entry)
        return waits

    def _ended(self, location: Location) -> None:
        with self._lock:
            self._running.discard(location)

    # --- Called by IncomingData ------------------------------------------------------------------

    def lanes(self, data: IncomingData) -> list[Lane]:
        """Return what is done with the bytes of one upload."""
        work: list[tuple[Callable[[memoryview], None], Pool]] = [
            (data.md5.update, self._pools.hashing),
            (data.os_hash.update, self._pools.hashing),
            (data.write, self._pools.storing),
            (data.inspection.feed, self._pools.hashing),
        ]
        if data.verification is not None:
            work.append((data.verification.feed, self._pools.hashing))
        return [Lane(each, pool) for each, pool in work]

    def new_hash(self) -> hashlib._Hash:
        """Return a fresh hash of the configured algorithm."""
        return hashlib.new(self._settings.hash_algorithm)

    def inspection(self, image: Image) -> Inspection:
        """Return the inspection that this image's data needs."""
        rules = Rules(
            require_match=self._settings.require_format_match,
            partition_tables=self._settings.partition_tables,
            disk_formats=self._settings.disk_formats,
        )
        return Inspection(image.disk_format or "raw", rules, bare=image.container_format == "bare")

    def verification(self, caller: Caller, image: Image) -> Verification | None:
        """Return the verification of a signature that this image's data needs."""
        return self._signatures.verification(caller, image)

    @property
    def size_cap(self) -> int:
        """The most bytes that one image may have."""
        return self._settings.size_cap

    def granted(self, data: IncomingData, needed: int) -> int:
        """Return how many bytes may come until this is asked again, ``needed`` or more.

        They are recorded, so that nobody else takes their place. A little more than has come, so that the record is
        not written for each piece; not much more, so that others find the place that is left.

        Raises:
            ProjectOverLimit: So many are more than the image's owner may have.
            UploadLost: The upload was given up meanwhile.
        """
        allowance = self._allowances()
        if allowance is UNLIMITED:
            return self.size_cap
        wished = needed + min(needed // 8, GRANTED_AHEAD)

        def excess(connection: Connection, owner: str | None) -> int:
            over = allowance.excess(connection, owner, "image_size_total")
            if over > wished - needed:
                raise allowance.refusal(owner, "image_size_total")
            return over

        return self._records.grow_upload(data.image.id, data.location, wished, excess)

    def finish(self, data: IncomingData, finding: Finding) -> Image:
        """Give the durable bytes to the image; see the module."""

        def change(image: Image) -> Image:
            self._signatures.require_same(data.verification, image)
            return replace(
                image.moved_to(Status.ACTIVE),
                size=data.received,
                virtual_size=finding.virtual_size,
                checksum=data.md5.hexdigest(),
                os_hash_algo=self._settings.hash_algorithm,
                os_hash_value=data.os_hash.hexdigest(),
                updated_at=self._clock(),
            )

        with self._journal.entry(data.caller, "image.upload", data.image.id) as entry:
            image = self._records.finish_upload(data.image.id, data.location, change, entry.keep)
        self._ended(data.location)
        return image

    def abandon(self, data: IncomingData) -> None:
        """Let the image wait again (or as the terms say), then remove the bytes.

        In this order: when the catalogue did not answer a ``finish``, only the catalogue knows whose the bytes are.
        """
        self._give_up(data.caller, data.image.id, data.location, data.terms)

    def _give_up(self, caller: Caller, image_id: str, location: Location, terms: Terms) -> None:
        try:
            waits = self._note_failure(caller, image_id, location, terms, discarded_at=self._clock())
            if not waits and self._records.holds(image_id, location):
                return
        finally:
            self._ended(location)  # when the catalogue does not work now, ``clear_leftovers`` does it later
        self._scrubber.remove(location)

    # --- What others left ------------------------------------------------------------------------

    def renew(self) -> None:
        """Say that this process lives; to be called every ``leases.RENEW_EVERY_S`` seconds."""
        with self._lock:
            if not self._running:
                return
        self._records.renew_uploads(self._writer, self._clock() + leases.LEASE_S * 1_000_000)

    def clear_leftovers(self) -> int:
        """Undo uploads whose writer is gone and remove some of the bytes that nobody needs; return how many objects."""
        self.clear()
        return self._scrubber.sweep()

    def clear(self) -> int:
        """Undo uploads whose writer is gone, and leave their bytes to the sweep; return how many."""
        cleared = 0
        for upload in self._records.uploads():
            if not self._is_left(upload):
                continue
            entry = self._journal.entry(None, "image.update", upload.image_id)
            if self._records.take_over(upload, self._waiting, self._clock(), entry.keep):
                _tell(entry)
                _log.info("an upload that broke off was cleared", extra={"image": upload.image_id})
                cleared += 1
        return cleared

    def _is_left(self, upload: Upload) -> bool:
        if upload.writer == self._writer:
            with self._lock:
                return upload.location not in self._running
        return leases.is_free(upload.writer, upload.expires_at, self._clock())


def _tell(entry: Deed) -> None:
    """Tell of what was done to an image, unless that was deleted meanwhile."""
    if entry.after is not None:
        with entry:
            pass


class IncomingData:
    """One upload on its way. Pieces are put in by one caller; ``finish`` or ``abandon`` ends it."""

    def __init__(
        self, uploads: Uploads, upload: Upload, writer: ObjectWriter, *, caller: Caller, image: Image, terms: Terms
    ) -> None:
        self.caller, self.image, self.terms = caller, image, terms
        self.location, self.expected = upload.location, upload.size
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.os_hash = uploads.new_hash()
        self.inspection = uploads.inspection(image)
        self.verification = uploads.verification(caller, image)
        self.received = 0
        self._written = 0
        self._granted = upload.size or 0
        self._uploads = uploads
        self._writer = writer
        self._pipeline = Pipeline(uploads.lanes(self))

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

    def write(self, view: memoryview) -> None:
        """Hand one piece to the store, if there is room for it."""
        self._written += len(view)
        if self._written > self._granted:
            self._granted = self._uploads.granted(self, self._written)
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
        if received > self._uploads.size_cap:
            raise ImageTooLarge(self._uploads.size_cap)
        self.received = received
        self._pipeline.put(view, release)

    def finish(self) -> Image:
        """Make the data durable and the image active, once every piece is released.

        Raises:
            SizeMismatch, ChecksumMismatch: Not the bytes came that were announced.
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
        finding = self.inspection.finish()
        if self.verification is not None:
            self.verification.finish()
        try:
            self._writer.commit()
        except WriteLost as error:  # whoever took this upload over has removed its bytes
            raise UploadLost(self.image.id) from error
        return self._uploads.finish(self, finding)

    def abandon(self) -> None:
        """Leave nothing behind, once every piece is released; the image waits again."""
        try:
            self._writer.abort()
        finally:
            self._uploads.abandon(self)
