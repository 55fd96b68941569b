"""Bring an image's data in.

The order of steps, and why a crash between two of them is harmless:

1. The catalogue notes the upload and where its bytes will lie, and the image turns ``saving``.
2. The bytes are hashed, inspected and written, at the same time; a signature is verified at their end.
3. The store makes the object durable and visible.
4. The catalogue gives the object to the image, drops the note, and the image turns ``active``: one
   transaction. From here on the bytes are the image's.

A crash after 1 leaves the note. ``leftovers.py`` finds it at the next start, or any other process
does when the lease has run out: the note becomes one of bytes to discard, the image waits again, and the
bytes are removed, whole or not. In this order, because a writer that was only slow may finish at any moment:
whose step 4 finds no note has lost, and removes its bytes itself.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.identity.caller import Caller
from headwater.images.catalogue import upload_records as steps
from headwater.images.catalogue.changes import Change, Changes
from headwater.images.catalogue.transaction import Step
from headwater.images.catalogue.upload_records import Upload, UploadRows
from headwater.images.catalogue.usage import Used
from headwater.images.data.leftovers import Running
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import USUAL, Beside, ImageTooLarge, Pools, Terms, UploadSession, Work
from headwater.images.inspection.inspect import Finding, Inspection
from headwater.images.model import Image, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.jobs import leases
from headwater.stores.store import ObjectStore, ObjectWriter

GRANTED_AHEAD = 64 << 20  # bytes: the most that an upload of unknown size takes before they come

_log = logging.getLogger(__name__)


class StoreUnknown(Invalid):
    """There is no store of this name to put data into."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no store {name[:64]!r} here; there is {', '.join(known)}")
        self.name = name


class Growing(Protocol):
    """Bytes on their way, of which the catalogue has a record."""

    @property
    def image_id(self) -> str:
        """The image that they are for."""

    @property
    def location(self) -> Location:
        """Where they will lie."""


class Uploads:
    """The use cases of uploading; safe to use from several threads."""

    resource = "image_size_total"  # of which bytes on their way take something
    arrives = "image.upload"  # the action that ends one

    def __init__(
        self,
        changes: Changes,
        records: UploadRows,
        scrubber: Scrubber,
        stores: Mapping[str, ObjectStore],
        settings: ImagesSettings,
        *,
        pools: Pools,
        signatures: Signatures | None = None,
        clock: Clock = now,
        running: Running | None = None,
        beside: Callable[[Image], Beside | None] = lambda _: None,
    ) -> None:
        """Take what uploads go through.

        Args:
            beside: Returns what else is made of the data that comes for an image.
        """
        self._changes = changes
        self._records = records
        self._scrubber = scrubber
        self._signatures = signatures or Signatures(clock=clock)
        self._stores = stores
        self._settings = settings
        self._pools = pools
        self._clock = clock
        self._running = running or Running()
        self._beside = beside

    def for_image(self, image_id: str) -> Uploads:
        """Return the use cases of an upload to this image that names no store."""
        return self

    def of_claimed(self, image: Image) -> Uploads:
        """Return the use cases that claimed the image, and go on with its upload."""
        return self

    @property
    def usual_store(self) -> str | None:
        """The store of the settings that takes the data; ``None``: there is none."""
        return self._settings.store

    @property
    def store_names(self) -> tuple[str, ...]:
        """The stores that data can be put into, in the order of the settings."""
        return tuple(name for name, store in self._stores.items() if store.abilities.writes)

    def named_store(self, name: str | None) -> str:
        """Return the name of the store that takes data; ``None`` is the usual one's.

        Raises:
            StoreUnknown: There is no such store to put data into.
        """
        name = name or self.usual_store or self.store_names[0]
        if name not in self.store_names:
            raise StoreUnknown(name, self.store_names)
        return name

    def begin(self, caller: Caller, image_id: str, size: int | None = None, terms: Terms = USUAL) -> UploadSession:
        """Claim the image for an upload; of two at once one wins.

        Args:
            size: How many bytes will come, if the client said so.

        Raises:
            StoreUnknown: The terms name a store that is not there.
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not bring data.
            StatusConflict: The image does not wait for data.
            FormatsMissing: disk_format or container_format is not set.
            PreconditionFailed: The terms expect something else than an image without data.
            SignatureRefused: The image claims to be signed in a way that cannot be verified.
            ImageTooLarge, ProjectOverLimit, StoreFull: ``size`` bytes are not taken, or nothing at all now.
        """
        if size is not None and size > self._settings.size_cap:
            raise ImageTooLarge(self._settings.size_cap)
        with self._changes.of(caller, "image.prepare", image_id, rule="upload_image") as change:
            change.read_limits()
            return self._begun(change, caller, image_id, size, terms)

    def _begun(self, change: Change, caller: Caller, image_id: str, size: int | None, terms: Terms) -> UploadSession:
        name = self.named_store(terms.store)
        location = Location(name, f"{image_id}.{secrets.token_hex(8)}")
        upload = Upload(image_id, location, self._running.writer, self._clock() + leases.LEASE_S * 1_000_000, size)
        self._running.add(location)
        try:
            image = change.commit(steps.begun(upload, lambda image: self._claimed(image, terms)))
            writer: ObjectWriter | None = None
            try:
                writer = self._stores[name].begin(location.object_key, size)
                return UploadSession(
                    upload,
                    self.work(caller, image, writer),
                    self,
                    caller=caller,
                    terms=terms,
                    pools=self._pools,
                    cap=self._settings.size_cap,
                )
            except BaseException:
                if writer is None:
                    self._note_failure(caller, image_id, location, terms, discarded_at=None)
                else:
                    writer.abort()
                    self._give_up(caller, image_id, location, terms)
                raise
        except BaseException:
            self._running.discard(location)
            raise

    def work(self, caller: Caller, image: Image, writer: ObjectWriter) -> Work:
        """Return what is done with the bytes of an image's upload."""
        settings = self._settings
        return Work(
            os_hash=hashlib.new(settings.hash_algorithm),
            inspection=Inspection(
                image.disk_format or "raw", settings.inspection, bare=image.container_format == "bare"
            ),
            verification=self._signatures.verification(caller, image),
            writer=writer,
            beside=self._beside(image),
        )

    def _claimed(self, image: Image, terms: Terms) -> Image:
        claimed = self.claimed(image, terms)
        terms.may_come()  # last: what is refused whatever is expected is told as that
        return claimed

    def claimed(self, image: Image, terms: Terms) -> Image:
        """Return the image as it is while its data comes, if it waits for that."""
        saving = image.moved_to(Status.SAVING)
        if terms.needs_formats:
            image.require_formats()
        self._signatures.claim(image)
        return replace(saving, updated_at=self._clock())

    def _after_failure(self, terms: Terms) -> Callable[[Image], Image]:
        return lambda image: replace(image.moved_to(terms.failed), updated_at=self._clock())

    def _note_failure(
        self, caller: Caller, image_id: str, location: Location, terms: Terms, *, discarded_at: int | None
    ) -> bool:
        with self._changes.told(caller, "image.update", image_id, if_moved=True) as change:
            after = self._after_failure(terms)
            return change.commit(steps.abandoned(image_id, location, after, discarded_at=discarded_at))

    # --- What sessions ask of their owner ---------------------------------------------------------

    def grant(self, session: Growing, needed: int) -> int:
        """Return how many bytes may come until this is asked again, ``needed`` or more.

        They are recorded, so that nobody else takes their place. A little more than has come, so that the record is
        not written for each piece; not much more, so that others find the place that is left.

        Raises:
            ProjectOverLimit: So many are more than the image's owner may have.
            UploadLost: The upload was given up meanwhile.
        """
        room = self._changes.room()
        if room is None:
            return self._settings.size_cap
        wished = needed + min(needed // 8, GRANTED_AHEAD)

        def excess(used: Used, owner: str | None) -> int:
            over = room.excess(used, owner, self.resource)
            if over > wished - needed:
                raise room.refusal(owner, self.resource)
            return over

        return self._records.grow_upload(session.image_id, session.location, wished, excess)

    def finish(self, session: UploadSession, finding: Finding) -> Image:
        """Give the durable bytes to the image; see the module."""
        with self._changes.told(session.caller, self.arrives, session.image_id) as change:
            image: Image = change.commit(*self.arrival(session, finding))
        self._running.discard(session.location)
        return image

    def arrival(self, session: UploadSession, finding: Finding) -> list[Step[Any]]:
        """Return the steps that give the durable bytes of ``session`` to its image; the first one returns that."""

        def active(image: Image) -> Image:
            self._signatures.require_same(session.verification, image)
            return replace(
                image.moved_to(Status.ACTIVE),
                size=session.received,
                virtual_size=finding.virtual_size,
                checksum=session.md5.hexdigest(),
                os_hash_algo=self._settings.hash_algorithm,
                os_hash_value=session.os_hash.hexdigest(),
                updated_at=self._clock(),
            )

        more: list[Step[Any]] = [] if session.beside is None else [session.beside.kept]
        return [steps.finished(session.image_id, session.location, active), *more]

    def abandon(self, session: UploadSession) -> None:
        """Let the image wait again (or as the terms say), then remove the bytes.

        In this order: when the catalogue did not answer a ``finish``, only the catalogue knows whose the bytes are.
        """
        self._give_up(session.caller, session.image_id, session.location, session.terms)

    def _give_up(self, caller: Caller, image_id: str, location: Location, terms: Terms) -> None:
        try:
            waits = self._note_failure(caller, image_id, location, terms, discarded_at=self._clock())
            if not waits and self._records.holds(image_id, location):
                return
        finally:
            self._running.discard(location)  # when the catalogue does not work now, ``Leftovers`` do it later
        self._scrubber.remove(location)

    def renew(self) -> None:
        """Say that this process lives; to be called every ``leases.RENEW_EVERY_S`` seconds."""
        if self._running.any():
            self._records.renew_uploads(self._running.writer, self._clock() + leases.LEASE_S * 1_000_000)
