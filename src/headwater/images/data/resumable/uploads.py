"""Bring an image's data in by several requests, to whichever process each of them comes.

The image is ``saving`` from the first request to the last, also while nobody sends. Its bytes lie in the store from the
beginning, unfinished, and what came of a request that broke off stays. The order of steps is that of
``data/uploads.py``, and each of them may be the last one of a process:

1. The catalogue has the upload, the store nothing: it is resumed at 0.
2. The store has bytes that the client was not told of: they are found when the upload is resumed. There are never fewer
   than it was told of, as the store makes them durable first.
3. The store has the whole object and the image does not: it is taken back when the upload is resumed.

An upload whose client does not come back is cleared as other uploads are, when its time is over. One whose image was
deleted is cleared soon.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from headwater.clock import Clock, now
from headwater.errors import Forbidden, HeadwaterError
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.resumed import resumable_uploads as steps
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUpload, ResumableUploadRows
from headwater.images.catalogue.upload_records import Upload, UploadLost, taken_over
from headwater.images.data.resumable.checked import CheckedWriter
from headwater.images.data.resumable.errors import (
    InconsistentDigest,
    InconsistentLength,
    MoreThanComplete,
    NotResumable,
    OffsetMismatch,
    UploadComplete,
    UploadStateLost,
    UploadUnderWay,
)
from headwater.images.data.resumable.parts import Held, LastPart, Part, Progress, abandon
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Digests, ImageTooLarge, Pools, Terms, UploadSession
from headwater.images.data.uploads import Growing, Uploads
from headwater.images.inspection.inspect import Finding
from headwater.images.model import Image, Location, Status, StatusConflict
from headwater.images.settings import ImagesSettings
from headwater.stores.store import ObjectStore, ResumedWriter, ResumingStore, WriterBusy, resuming

TAKEN_OVER_S = 10  # how long who is taken over from has to let go: it looks every second
_LOOK_S = 0.1

_log = logging.getLogger(__name__)


class ResumableUploading:
    """The use cases; safe to use from several threads and processes."""

    def __init__(
        self,
        uploads: Uploads,
        records: ResumableUploadRows,
        access: Access,
        changes: Changes,
        *,
        scrubber: Scrubber,
        stores: Mapping[str, ObjectStore],
        settings: ImagesSettings,
        pools: Pools,
        clock: Clock = now,
    ) -> None:
        self.settings = settings
        self._uploads = uploads
        self._records = records
        self._access = access
        self._changes = changes
        self._scrubber = scrubber
        self._stores = stores
        self._pools = pools
        self._clock = clock

    @property
    def is_offered(self) -> bool:
        """Whether the store that takes uploads can go on with one."""
        return self.resumes(None)

    def resumes(self, store: str | None) -> bool:
        """Return whether this store can go on with an upload; ``None`` is the one that takes uploads.

        Raises:
            StoreUnknown: There is no such store to put data into.
        """
        found = self._stores.get(self._uploads.named_store(store))
        return found is not None and resuming(found) is not None

    def begin(
        self,
        caller: Caller,
        image_id: str,
        *,
        length: int | None = None,
        digests: Digests = (),
        store: str | None = None,
        name: str | None = None,
    ) -> ResumableUpload:
        """Claim the image for an upload of which no byte has come.

        Args:
            length: How many bytes will come in all, if the client said so.
            digests: What all the data must hash to.
            store: Where the data goes; ``None``: where all uploads go.
            name: Of the file: that of the image, if it has none and the caller may give it one.

        Raises:
            StoreUnknown: There is no such store to put data into.
            NotResumable: The store that takes uploads cannot go on with one.
            UploadUnderWay: Another upload of the image can be gone on with.
            HeadwaterError: As ``Uploads.begin`` says.
        """
        self._require_within_cap(length)
        uploads = self._uploads.for_image(image_id) if store is None else self._uploads
        place = uploads.named_store(store)
        self._resuming(place)
        upload = ResumableUpload(
            id=secrets.token_hex(16),
            image_id=image_id,
            location=Location(place, f"{image_id}.{secrets.token_hex(8)}"),
            expires_at=self._expiry(),
            length=length,
            digests={algorithm: digest.hex() for algorithm, digest in digests},
        )
        may_name = name is not None and self._may_change(caller, image_id)

        def claimed(image: Image) -> Image:
            moved = uploads.claimed(image, Terms())
            return replace(moved, name=name) if may_name and image.name is None else moved

        try:
            with self._changes.of(caller, "image.prepare", image_id, rule="upload_image") as change:
                change.read_limits()
                change.commit(steps.begun(upload, steps.new_claim(), claimed))
        except StatusConflict as conflict:
            # A caller who comes this far may bring the data. The answer that told of the upload may have been lost.
            under_way = self._records.under_way(image_id)
            if under_way is None:
                raise
            raise UploadUnderWay(image_id, under_way) from conflict
        return upload

    def _may_change(self, caller: Caller, image_id: str) -> bool:
        with contextlib.suppress(Forbidden):
            self._access.visible(caller, image_id, "modify_image")
            return True
        return False

    def progress(self, caller: Caller, image_id: str, upload_id: str) -> Progress:
        """Return how far an upload is; whoever works on it is stopped, so that it is so until the next part comes.

        Raises:
            ImageNotFound, Forbidden, UploadNotFound: There is no such upload for the caller.
            UploadStateLost: It was lost by the store.
        """
        upload, image = self._found(caller, image_id, upload_id)
        if upload.is_complete:
            return Progress(upload, upload.received, upload.received, is_complete=True, image=image)
        return self.rest(self._hold(caller, upload), upload.length)

    def cancel(self, caller: Caller, image_id: str, upload_id: str) -> None:
        """Give an upload up: its bytes are removed, and the image waits for data again.

        Raises:
            HeadwaterError: As for ``progress``.
            UploadComplete: It is over, and the image has the data.
        """
        upload, _ = self._found(caller, image_id, upload_id)
        if upload.is_complete:
            raise UploadComplete(upload)
        self.end(self._hold(caller, upload))

    def part(
        self,
        caller: Caller,
        image_id: str,
        upload_id: str,
        *,
        offset: int,
        length: int | None,
        is_last: bool | None,
        end: int | None = None,
        digests: Digests = (),
        checks: Digests = (),
        foreseen: Collection[str] = (),
    ) -> Part | LastPart:
        """Begin a part of the data, whoever worked on an earlier one. Reads what there is before the last part.

        Args:
            offset: Where it begins.
            length: Of all the data, if the client said so now.
            is_last: Whether no more will come; ``None``: it is the last if it ends at the length of all the data.
            end: Where it ends, if the client said so.
            digests: What all the data must hash to, besides what was said before.
            checks: What this part must hash to.
            foreseen: Algorithms by which a digest of this part may follow it.

        Raises:
            HeadwaterError: As for ``progress``.
            OffsetMismatch: It begins somewhere else than where the upload is.
            InconsistentLength: Another length was said before, or more is kept than that.
            InconsistentDigest: Another digest of all the data was said before.
            UploadComplete, MoreThanComplete: All of the data has come already.
        """
        upload, image = self._found(caller, image_id, upload_id)
        if upload.is_complete:
            if offset != upload.received:
                raise OffsetMismatch(offset, upload.received, is_complete=True)
            raise UploadComplete(upload) if end == offset else MoreThanComplete(upload)
        held = self._hold(caller, upload)
        known = upload.length if upload.length is not None else length
        try:
            self._require_consistent(held, offset, known, length)
            held = self._held_to(held, digests)
        except HeadwaterError:
            self.rest(held, upload.length)
            raise
        if checks or foreseen:
            check = CheckedWriter(held.writer, checks, foreseen)
            held = replace(held, writer=check, check=check)
        try:
            if known is not None and upload.length is None:
                self.grant(upload, known)
            if not (is_last or (is_last is None and end is not None and end == known)):
                return Part(held, self, length=known, cap=self.settings.size_cap, pool=self._pools.storing)
            session = self._session(caller, image, held, known)
            session.go_on(held.writer.written())
            return LastPart(held, self, session)
        except BaseException as error:
            abandon(held, self, known, error)
            raise

    def complete(self, caller: Caller, image_id: str, upload_id: str, offset: int) -> Progress:
        """End an upload of which all bytes are there already, as an empty last part does.

        Raises:
            HeadwaterError: As for ``part``, and ``UploadSession.finish``.
        """
        part = self.part(caller, image_id, upload_id, offset=offset, length=None, is_last=True, end=offset)
        try:
            if part.needs_preparation:
                part.prepare()
            return part.finish()
        except BaseException as error:
            part.abandon(error)
            raise

    def _require_consistent(self, held: Held, offset: int, known: int | None, length: int | None) -> None:
        size = held.writer.size
        if offset != size:
            raise OffsetMismatch(offset, size)
        if known is not None and length is not None and length != known:
            raise InconsistentLength(known, length)
        if known is not None and known < size:
            raise InconsistentLength(size, known)
        self._require_within_cap(known)

    def _held_to(self, held: Held, digests: Digests) -> Held:
        """Return the upload with what all its data must hash to, as was said now, which later parts are held to too."""
        said = {name: digest.hex() for name, digest in digests}
        for name in said.keys() & held.upload.digests.keys():
            if said[name] != held.upload.digests[name]:
                raise InconsistentDigest(name)
        if said.keys() <= held.upload.digests.keys():
            return held
        upload = replace(held.upload, digests={**held.upload.digests, **said})
        self._records.hold_to(upload, held.claim)
        return replace(held, upload=upload)

    def _session(self, caller: Caller, image: Image, held: Held, length: int | None) -> UploadSession:
        upload = held.upload
        uploads = self._uploads.of_claimed(image)
        digests = [(name, bytes.fromhex(digest)) for name, digest in upload.digests.items()]
        return UploadSession(
            Upload(upload.image_id, upload.location, held.claim, upload.expires_at, length),
            uploads.work(caller, image, held.writer),
            _Owner(self, uploads, held),
            caller=caller,
            terms=Terms(digests=digests),
            pools=self._pools,
            cap=self.settings.size_cap,
        )

    def _found(self, caller: Caller, image_id: str, upload_id: str) -> tuple[ResumableUpload, Image]:
        image = self._access.visible(caller, image_id, "upload_image")
        return self._records.get(image.id, upload_id), image

    def _hold(self, caller: Caller, upload: ResumableUpload) -> Held:
        """Take the upload over from whoever works on it, and open what the store has of it."""
        store = self._resuming(upload.location.store)
        claim = steps.new_claim()
        self._records.claim(upload, claim, self._expiry())
        held = Held(upload, claim, _opened(store, upload.location.object_key), caller)
        if held.writer.size < upload.received:
            _log.error("a store lost bytes of an upload", extra={"store": store.name, "image": upload.image_id})
            self.end(held)
            raise UploadStateLost(upload)
        return held

    def _resuming(self, name: str) -> ResumingStore:
        store = self._stores.get(name)
        found = resuming(store) if store is not None else None
        if found is None:
            raise NotResumable(name)
        return found

    def _require_within_cap(self, length: int | None) -> None:
        if length is not None and length > self.settings.size_cap:
            raise ImageTooLarge(self.settings.size_cap)

    def _expiry(self) -> int:
        return self._clock() + self.settings.resumable_upload_ttl_h * 3600 * 1_000_000

    # --- What parts ask -----------------------------------------------------------------------------

    def grant(self, part: Growing, needed: int) -> int:
        return self._uploads.grant(part, needed)

    def is_held(self, held: Held) -> bool:
        return self._records.holds(held.upload, held.claim)

    def rest(self, held: Held, length: int | None) -> Progress:
        size = held.writer.suspend()
        expires_at = self._expiry()
        self._records.record(held.upload, held.claim, received=size, length=length, expires_at=expires_at)
        return Progress(replace(held.upload, expires_at=expires_at), size, length, is_complete=False)

    def end(self, held: Held) -> None:
        upload = held.upload
        try:
            with self._changes.told(held.caller, "image.update", upload.image_id, if_moved=True) as change:
                change.commit(steps.ended(upload, held.claim, self._waiting, self._clock()))
        except UploadLost:
            held.writer.suspend()
            raise
        held.writer.abort()
        self._scrubber.remove(upload.location)

    def finish(self, held: Held, session: UploadSession, uploads: Uploads, finding: Finding) -> Image:
        """Give the durable bytes to the image."""
        arrival, *more = uploads.arrival(session, finding)
        with self._changes.told(session.caller, uploads.arrives, held.upload.image_id) as change:
            image: Image = change.commit(steps.finished(held.upload, held.claim, session.received, arrival), *more)
        return image

    def _waiting(self, image: Image) -> Image:
        return replace(image.moved_to(Status.QUEUED), updated_at=self._clock())

    # --- What nobody waits for ----------------------------------------------------------------------

    def clear(self) -> int:
        """End the uploads of images that were deleted, and forget those that are over; return how many were ended."""
        cleared = 0
        for upload in self._records.orphans():
            with self._changes.told(None, "image.update", upload.image_id, if_moved=True) as change:
                cleared += change.commit(taken_over(upload, self._waiting, self._clock()))
        self._records.forget_over(self._clock())
        return cleared


class _Owner:
    """The owner of a session that is the last part of an upload."""

    def __init__(self, uploading: ResumableUploading, uploads: Uploads, held: Held) -> None:
        self._uploading, self._uploads, self._held = uploading, uploads, held

    def grant(self, session: UploadSession, needed: int) -> int:
        return self._uploading.grant(session, needed)

    def finish(self, session: UploadSession, finding: Finding) -> Image:
        return self._uploading.finish(self._held, session, self._uploads, finding)

    def abandon(self, _session: UploadSession) -> None:
        self._uploading.end(self._held)


def _opened(store: ResumingStore, key: str) -> ResumedWriter:
    """Return the writer, once whoever wrote has let go.

    Raises:
        WriterBusy: It does not, for long.
    """
    until = time.monotonic() + TAKEN_OVER_S
    while True:
        try:
            return store.resume(key)
        except WriterBusy:
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_S)
