"""What can be done with an image's metadata: create, show, list, change, delete, tag, (de)activate."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from headwater.errors import Forbidden, HeadwaterError, Invalid, NotFound
from headwater.images import attributes
from headwater.images.catalogue import ImageCatalogue, Location
from headwater.images.listing import Query
from headwater.images.model import Image, Status
from headwater.images.schemas import UUID, ImageSchemas, SchemaViolation
from headwater.images.settings import ImagesSettings
from headwater.stores.store import ObjectStore

_log = logging.getLogger(__name__)

Clock = Callable[[], int]


def now() -> int:
    """Return the present time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


class TagNotFound(NotFound):
    """The image does not have this tag."""

    def __init__(self, image_id: str, tag: str) -> None:
        super().__init__(f"Image {image_id} has no tag {tag[:80]!r}")
        self.image_id, self.tag = image_id, tag


class BadTag(Invalid):
    """Not something that can be a tag."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"Tag {tag[:40]!r} is not 1 to 255 characters without NUL")


class ActionRefused(Forbidden):
    """Deactivate and reactivate work on active and deactivated images only."""

    def __init__(self, action: str, image: Image) -> None:
        super().__init__(f"Not allowed to {action} image in status '{image.status}' (image {image.id})")
        self.action, self.image_id = action, image.id


class Images:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        catalogue: ImageCatalogue,
        stores: Mapping[str, ObjectStore],
        settings: ImagesSettings,
        clock: Clock = now,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.settings = settings
        self.schemas = ImageSchemas(settings)
        self._catalogue = catalogue
        self._stores = stores
        self._clock = clock
        self._new_id = new_id

    def create(self, document: Mapping[str, Any]) -> Image:
        """Enter a new image into the catalogue, queued for its data.

        Args:
            document: The flat object of the API; all keys are optional.

        Raises:
            SchemaViolation, ReadOnlyAttribute, ReservedAttribute: A key or value that cannot be set.
            QuotaExceeded: More properties or tags than one image may have.
            ImageExists: The id is or was another image's.
        """
        self.schemas.require_image({k: v for k, v in document.items() if k not in ("size", "virtual_size")})
        for name in document:
            if name == "locations":
                raise attributes.ReservedAttribute(name)
            attributes.require_free(name)
        at = self._clock()
        given = document.get("id")
        blank = Image(id=given.lower() if given else self._new_id(), created_at=at, updated_at=at)
        image = attributes.with_writable(blank, document)
        self._require_quotas(None, image)
        self._catalogue.create(image, fresh_id=given is None)
        return image

    def get(self, image_id: str) -> Image:
        """Return one image or raise ``ImageNotFound``."""
        return self._catalogue.get(image_id)

    def page(self, query: Query) -> list[Image]:
        """Return one page of images; see ``ImageCatalogue.page``."""
        return self._catalogue.page(query)

    def patch(self, image_id: str, operations: Sequence[attributes.Operation]) -> Image:
        """Carry out all operations in their order, or none of them, and return the image.

        Raises:
            ImageNotFound: There is no such image.
            SchemaViolation: The result is not what an image may be.
            HeadwaterError: As ``attributes.patched`` says.
        """

        def change(image: Image) -> Image:
            document = attributes.writable(image)
            for operation in operations:
                attributes.patched(image, document, operation)
            self.schemas.require_image(document)
            after = attributes.with_writable(image, document)
            self._require_quotas(image, after)
            return self._touched(image, after)

        return self._catalogue.change(image_id, change)

    def delete(self, image_id: str) -> None:
        """Forget an image and remove its bytes.

        Raises:
            ImageNotFound, ImageProtected: It is not there, or may not be deleted.
        """
        for location in self._catalogue.delete(image_id, Image.require_deletable, self._clock()):
            self._remove(location)

    def add_tag(self, image_id: str, tag: str) -> None:
        """Give the image a tag; one that it has already is fine."""
        if not 0 < len(tag) <= 255 or "\x00" in tag:
            raise BadTag(tag)

        def change(image: Image) -> Image:
            if tag in image.tags:
                return image
            after = replace(image, tags=(*image.tags, tag))
            self._require_quotas(image, after)
            return self._touched(image, after)

        self._catalogue.change(image_id, change)

    def remove_tag(self, image_id: str, tag: str) -> None:
        """Take a tag off the image or raise ``TagNotFound``."""

        def change(image: Image) -> Image:
            if tag not in image.tags:
                raise TagNotFound(image_id, tag)
            return self._touched(image, replace(image, tags=tuple(each for each in image.tags if each != tag)))

        self._catalogue.change(image_id, change)

    def deactivate(self, image_id: str) -> None:
        """Keep the image's data from being used, until ``reactivate``."""
        self._move(image_id, "deactivate", Status.ACTIVE, Status.DEACTIVATED)

    def reactivate(self, image_id: str) -> None:
        """Let the image's data be used again."""
        self._move(image_id, "reactivate", Status.DEACTIVATED, Status.ACTIVE)

    def _move(self, image_id: str, action: str, before: Status, after: Status) -> None:
        def change(image: Image) -> Image:
            if image.status is after:
                return image
            if image.status is not before:
                raise ActionRefused(action, image)
            return self._touched(image, image.moved_to(after))

        self._catalogue.change(image_id, change)

    def _touched(self, before: Image, after: Image) -> Image:
        return after if after == before else replace(after, updated_at=max(self._clock(), before.updated_at + 1))

    def _require_quotas(self, before: Image | None, after: Image) -> None:
        limits = self.settings
        attributes.require_quotas(before, after, properties=limits.property_quota, tags=limits.tag_quota)

    def _remove(self, location: Location) -> None:
        """Remove bytes that the catalogue has let go of; what fails is tried again by the sweep."""
        try:
            self._stores[location.store].delete(location.object_key)
            self._catalogue.forget_discarded(location)
        except (HeadwaterError, KeyError) as error:
            _log.warning("bytes are left for the sweep", extra={"store": location.store, "error": str(error)})


__all__ = ["UUID", "Images", "SchemaViolation", "now"]
