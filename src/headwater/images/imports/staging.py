"""Take an image's data before anybody says where it goes: ``PUT /v2/images/{id}/stage``.

It is an upload whose end is another: the bytes lie in a store, hashed and inspected, under a key like that of any other
object, and wait there. Where they are is a row, so any replica can import them, and an import to that store moves no
byte.

What is wrong with the data is noted here and told by the import, as clients expect. A signature is verified by
the import too: until then the image may be given another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from headwater.errors import HeadwaterError, NotFound
from headwater.identity.caller import Caller
from headwater.images.catalogue.imports import import_objects
from headwater.images.catalogue.imports.import_objects import StagedObject
from headwater.images.catalogue.transaction import Step
from headwater.images.data.session import USUAL, ImageTooLarge, Terms, UploadSession, Work
from headwater.images.data.uploads import Uploads
from headwater.images.imports.checking import Facts
from headwater.images.imports.service import Imports
from headwater.images.inspection.inspect import Finding, Inspection
from headwater.images.model import Image, Status
from headwater.stores.store import ObjectWriter


class StagingOff(NotFound):
    """Nothing can be staged here."""

    def __init__(self) -> None:
        super().__init__("Data cannot be staged: the import method glance-direct is not offered here.")


class Staging(Uploads):
    """The use case; safe to use from several threads."""

    resource = "image_stage_total"
    arrives = "image.stage"

    @property
    def usual_store(self) -> str | None:
        """The store of the settings that takes staged data."""
        return self._settings.staging_store or self._settings.store

    def begin(self, caller: Caller, image_id: str, size: int | None = None, terms: Terms = USUAL) -> UploadSession:
        """Claim the image for data that will be staged; of two at once one wins.

        Args:
            size: How many bytes will come, if the client said so.

        Raises:
            StagingOff: The method of import that it is for is not offered.
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not bring data.
            StatusConflict: The image does not wait for data.
            PreconditionFailed: The terms expect something else than an image without data.
            ImageTooLarge, ProjectOverLimit, StoreFull: ``size`` bytes are not taken, or nothing at all now.
        """
        settings = self._settings
        if "glance-direct" not in settings.import_methods:
            raise StagingOff
        if size is not None and size > settings.size_cap:
            raise ImageTooLarge(settings.size_cap)
        with self._changes.of(caller, "image.stage", image_id, rule="modify_image") as change:
            change.read_limits()
            return self._begun(change, caller, image_id, size, replace(terms, store=self.usual_store))

    def arrival(self, session: UploadSession, finding: Finding) -> list[Step[Any]]:
        """Return the step that notes the durable bytes as staged."""
        return [self._staged(session, finding, lambda image: image)]

    def _staged(self, session: UploadSession, finding: Finding, after: Callable[[Image], Image]) -> Step[Image]:
        inspection = session.inspection
        assert isinstance(inspection, _Noting)
        facts = Facts(
            size=session.received,
            virtual_size=finding.virtual_size,
            checksum=session.md5.hexdigest(),
            os_hash_algo=self._settings.hash_algorithm,
            os_hash_value=session.os_hash.hexdigest(),
            formats=inspection.formats,
            refused=inspection.refused,
        )

        def waiting(image: Image) -> Image:
            return after(replace(image, size=session.received, updated_at=max(self._clock(), image.updated_at + 1)))

        found = StagedObject(session.location, session.received, asdict(facts))
        return import_objects.staged(session.image_id, found, waiting)

    def claimed(self, image: Image, terms: Terms) -> Image:
        """Return the image as it is while its data is staged, if it waits for that."""
        return replace(image.moved_to(Status.UPLOADING), updated_at=max(self._clock(), image.updated_at + 1))

    def work(self, caller: Caller, image: Image, writer: ObjectWriter) -> Work:
        """Return what is done with the bytes that are staged."""
        work = super().work(caller, replace(image, properties={}), writer)
        return replace(work, inspection=_Noting(work.inspection, (image.disk_format, image.container_format)))


class ImportedUploads(Staging):
    """Uploads that are staged and imported at once, so that plugins work on their data.

    The answer to an upload comes when the data is staged; the image is then ``importing``. What is wrong with the data
    is told at once, as of other uploads.
    """

    resource = "image_size_total"

    def __init__(self, *uses: Any, imports: Imports, **more: Any) -> None:
        super().__init__(*uses, **more)
        self._imports = imports

    def begin(self, caller: Caller, image_id: str, size: int | None = None, terms: Terms = USUAL) -> UploadSession:
        """Claim the image as ``Uploads`` do."""
        return Uploads.begin(self, caller, image_id, size, replace(terms, store=self.usual_store))

    def arrival(self, session: UploadSession, finding: Finding) -> list[Step[Any]]:
        """Return the steps that note the durable bytes as staged, and begin the import."""
        importing, steps = self._imports.of_upload(session.caller, session.image_id)
        return [self._staged(session, finding, importing), *steps]

    def claimed(self, image: Image, terms: Terms) -> Image:
        """Return the image as it is while its data comes, if it waits for that."""
        image.require_formats()
        return super().claimed(image, terms)

    def work(self, caller: Caller, image: Image, writer: ObjectWriter) -> Work:
        """Return what is done with the bytes."""
        work = super().work(caller, image, writer)
        assert isinstance(work.inspection, _Noting)
        work.inspection.refuses = True
        return work


class ChosenUploads(Uploads):
    """Uploads of which those of some images are imported."""

    def __init__(self, *uses: Any, imported: ImportedUploads, is_imported: Callable[[str], bool], **more: Any) -> None:
        """Take what uploads take, and more.

        Args:
            is_imported: Returns whether the upload of the image with this id is one of those.
        """
        super().__init__(*uses, **more)
        self._imported, self._is_imported = imported, is_imported

    def begin(self, caller: Caller, image_id: str, size: int | None = None, terms: Terms = USUAL) -> UploadSession:
        """Claim the image for an upload of its kind."""
        if terms == USUAL and self._is_imported(image_id):
            return self._imported.begin(caller, image_id, size, terms)
        return super().begin(caller, image_id, size, terms)

    def for_image(self, image_id: str) -> Uploads:
        """Return those that import, if the upload of this image is one of those."""
        return self._imported if self._is_imported(image_id) else self

    def of_claimed(self, image: Image) -> Uploads:
        """Return those that import, if they claimed the image."""
        return self._imported if image.status is Status.UPLOADING else self


class _Noting(Inspection):
    """An inspection that refuses nothing: what it would have said is noted."""

    refuses = False  # unless it is told to

    def __init__(self, inspection: Inspection, formats: tuple[str | None, str | None]) -> None:
        self.formats = formats
        self.refused: str | None = None
        self._inspection = inspection

    def feed(self, piece: memoryview) -> None:
        if self.refused is None:
            try:
                self._inspection.feed(piece)
            except HeadwaterError as error:
                if self.refuses:
                    raise
                self.refused = error.told

    def finish(self) -> Finding:
        if self.refused is None:
            try:
                return self._inspection.finish()
            except HeadwaterError as error:
                if self.refuses:
                    raise
                self.refused = error.told
        return Finding("", None)
