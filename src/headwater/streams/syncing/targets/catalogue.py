"""The catalogue of this program, through the use cases that the API calls: what is done is told and limited as ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from headwater.clock import timestamp
from headwater.identity.caller import OPERATOR, Caller
from headwater.images.assembly.service import ImageService
from headwater.images.attributes import Operation
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.creation import CreatedAndGone, KeyOfAnother
from headwater.images.data.gathering import bring
from headwater.images.data.session import Terms
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image
from headwater.images.retention.retention import UsesUnknown
from headwater.images.task import TaskStatus
from headwater.stores.store import StoreUnavailable
from headwater.streams.syncing.targets.target import Document, ImageVanished, Pieces, UseUnknown

_PAGE: Final = 500
USER: Final = "headwater-sync"  # as audit records and notifications call it


class CatalogueTarget:
    """The images of one project."""

    def __init__(self, service: ImageService, project: str | None) -> None:
        """Take the use cases, and whose the images are."""
        self.place = "the catalogue"
        self._service, self._project = service, project
        self._caller = Caller(user_id=USER, project_id=project, roles=OPERATOR.roles)

    def images_of(self, content_id: str) -> Iterator[Document]:
        for os_hidden in (False, True):
            after: Image | None = None
            while True:
                query = Query(properties=(("content_id", content_id),), os_hidden=os_hidden, limit=_PAGE, after=after)
                page = self._service.catalogue.page(query)
                yield from (document_of(each) for each in page if each.owner == self._project)
                if len(page) < _PAGE:
                    break
                after = page[-1]

    def get(self, image_id: str) -> Document | None:
        try:
            return document_of(self._service.catalogue.get(image_id))
        except ImageNotFound:
            return None

    def create(self, document: Document, key: str) -> Document:
        creation = self._service.creation
        try:
            return document_of(creation.create(self._caller, document, key))
        except (KeyOfAnother, CreatedAndGone, ImageExists):
            return document_of(creation.create(self._caller, document))

    def upload(self, image_id: str, size: int, hashes: Mapping[str, str], pieces: Pieces) -> None:
        terms = Terms(digests=[(name, bytes.fromhex(value)) for name, value in hashes.items() if name != "md5"])
        self._send(self._service.uploads.for_image(image_id), image_id, size, terms, pieces)

    def stage(self, image_id: str, size: int, pieces: Pieces) -> None:
        self._send(self._service.staging, image_id, size, Terms(), pieces)

    def _send(self, uploads: Uploads, image_id: str, size: int, terms: Terms, pieces: Pieces) -> None:
        try:
            data = uploads.begin(self._caller, image_id, size, terms)
        except ImageNotFound as error:
            raise ImageVanished(image_id) from error
        bring(pieces(), data)

    def begin_import(self, image_id: str, method: Document) -> None:
        self._service.imports.begin(self._caller, image_id, {"method": method})

    def why_failed(self, image_id: str) -> str | None:
        failed = [each for each in self._service.image_tasks.of_image(image_id) if each.status is TaskStatus.FAILURE]
        return max(failed, key=lambda each: each.created_at).message if failed else None

    def methods(self) -> Sequence[str]:
        return self._service.imports.methods

    def verifies_fetches(self) -> bool:
        return True

    def change(self, image_id: str, operations: Sequence[Document]) -> Document:
        asked = [Operation(each["op"], _name(each["path"]), each.get("value")) for each in operations]
        try:
            return document_of(self._service.images.patch(self._caller, image_id, asked))
        except ImageNotFound as error:
            raise ImageVanished(image_id) from error

    def deactivate(self, image_id: str) -> None:
        self._service.images.deactivate(self._caller, image_id)

    def delete(self, image_id: str) -> None:
        try:
            self._service.images.delete(self._caller, image_id)
        except ImageNotFound:
            return

    def user_of(self, image: Document, used_days: int) -> str | None:
        try:
            return self._service.retention.user_of(image["id"], used_days)
        except (UsesUnknown, StoreUnavailable) as error:
            raise UseUnknown(str(error)) from error


def document_of(image: Image) -> Document:
    """Return an image as the API shows it, as far as a sync looks at it."""
    own: dict[str, Any] = {
        name: getattr(image, name)
        for name in (
            *("id", "name", "os_hidden", "protected", "owner", "size", "checksum", "os_hash_algo", "os_hash_value"),
            *("disk_format", "container_format"),
        )
    }
    return {
        **image.properties,
        **own,
        "status": image.status.value,
        "visibility": image.visibility.value,
        "created_at": timestamp(image.created_at),
        "updated_at": timestamp(image.updated_at),
    }


def _name(path: str) -> str:
    return path.removeprefix("/").replace("~1", "/").replace("~0", "~")
