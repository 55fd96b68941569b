"""What can be done with an image's metadata: create, show, list, change, delete, tag, (de)activate."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Forbidden, Invalid, NotFound
from headwater.identity.caller import Caller
from headwater.images import attributes
from headwater.images.access import Access
from headwater.images.catalogue import locations as held_locations
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.deletions.pending_deletes import Deletion
from headwater.images.catalogue.images import changed, created, deleted
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.transaction import Step
from headwater.images.data.scrubber import Scrubber
from headwater.images.locations.known_stores import ONE_STORE, KnownStores, StoreFault
from headwater.images.locations.rules import without_store
from headwater.images.locations.service import Locations, Relocate
from headwater.images.model import Held, Image, Status, Visibility
from headwater.images.names import is_reachable
from headwater.images.properties.guard import PropertyGuard
from headwater.images.schemas import ImageSchemas
from headwater.images.settings import ImagesSettings

Also = Callable[[Image], Sequence[Step[Any]]]  # what is entered beside a new image


def _nothing(_image: Image) -> tuple[()]:
    return ()


# Source: Glance asks for these besides the rule of the call.
_PUBLISHING = {Visibility.PUBLIC: "publicize_image", Visibility.COMMUNITY: "communitize_image"}


class TagNotFound(NotFound):
    """The image does not have this tag."""

    def __init__(self, image_id: str, tag: str) -> None:
        super().__init__(f"Image {image_id} has no tag {tag[:80]!r}")
        self.image_id, self.tag = image_id, tag


class BadTag(Invalid):
    """Not something that can be a tag."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"Tag {tag[:40]!r} is not 1 to 255 characters without NUL, or is one or two dots")


class ActionRefused(Forbidden):
    """Deactivate and reactivate work on active and deactivated images only."""

    def __init__(self, action: str, image: Image) -> None:
        super().__init__(f"Not allowed to {action} image in status '{image.status}' (image {image.id})")
        self.action, self.image_id = action, image.id


class Images:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        access: Access,
        changes: Changes,
        scrubber: Scrubber,
        settings: ImagesSettings,
        *,
        locations: Locations | None = None,
        guard: PropertyGuard | None = None,
        known: KnownStores = ONE_STORE,
        store_faults: Callable[[], Mapping[str, StoreFault]] = dict,
        forget: Callable[[str], None] = lambda _: None,
        feeds: FeedFiles = FeedFiles(),  # noqa: B008 - frozen
        clock: Clock = now,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """Take what the use cases work with.

        Args:
            forget: Removes copies of a deleted image from this machine.
            feeds: Of which deleted images feeds go on giving files, and for how long.
        """
        self.settings = settings
        self.schemas = ImageSchemas(settings)
        self._access = access
        self._changes = changes
        self._scrubber = scrubber
        self._locations = locations
        self.known_stores = known
        self._store_faults = store_faults
        self._forget = forget
        self._feeds = feeds
        self._guard = guard  # None: no property is protected
        self._clock = clock
        self._new_id = new_id

    def create(self, caller: Caller, document: Mapping[str, Any], *, also: Also = _nothing) -> Image:
        """Enter a new image into the catalogue, queued for its data.

        Args:
            document: The flat object of the API; all keys are optional. The owner is the caller's project
                unless it says otherwise.
            also: Returns what is entered beside the image, in the same transaction.

        Raises:
            Forbidden: The caller may not create this image.
            SchemaViolation, ReadOnlyAttribute, ReservedAttribute: A key or value that cannot be set.
            QuotaExceeded: More properties or tags than one image may have.
            ProjectOverLimit: The owner may not have another image.
            ImageExists: The id is or was another image's.
        """
        at = self._clock()
        given = document.get("id")
        blank = Image(id=given.lower() if isinstance(given, str) else self._new_id(), created_at=at, updated_at=at)
        with self._changes.told(caller, "image.create") as change:
            self.schemas.require_image({k: v for k, v in document.items() if k not in ("size", "virtual_size")})
            change.entry.image_id = blank.id  # not before it is known to be an id
            for name in document:
                if name == "locations":
                    raise attributes.ReservedAttribute(name)
                attributes.require_free(name)
            if self._guard is not None:
                self._guard.require_creatable(caller, filter(attributes.is_property, document))
            image = attributes.with_writable(replace(blank, owner=caller.project_id), document)
            self._access.require("add_image", caller, image)
            self._require_visibility(caller, image)
            self._require_tags_and_quotas(None, image)

            change.read_limits()
            return self._shown(caller, change.commit(created(image, fresh_id=given is None), *also(image)))

    def get(self, caller: Caller, image_id: str) -> Image:
        """Return one image or raise ``ImageNotFound``."""
        return self._shown(caller, self._access.visible(caller, image_id))

    def location_attributes(self, caller: Caller, images: Sequence[Image]) -> Mapping[str, dict[str, Any]]:
        """Return, by image, what there is to add to it of where its data lies; see ``Locations.shown``."""
        return self._locations.shown(caller, images) if self._locations is not None else {}

    def show(self, caller: Caller, image_id: str) -> tuple[Image, Mapping[str, Any]]:
        """Return one image, and what there is to add to it of where its data lies; or raise ``ImageNotFound``."""
        image = self.get(caller, image_id)
        return image, self._locations.shown_alone(caller, image) if self._locations is not None else {}

    def page(self, caller: Caller, query: Query) -> Listed[Image]:
        """Return one page of the images that the caller sees; see ``ImageRows.page``.

        Raises:
            Forbidden: The caller may not list images.
            MarkerNotFound: The marker is no image that the caller sees.
        """
        if self._guard is None:
            return self._access.page(caller, query)
        if not self._guard.may_read(caller, [name for name, _ in query.properties]):
            query = replace(query, limit=0)  # as if no image had such a property
        found = self._access.page(caller, query)
        return Listed((self._shown(caller, image) for image in found), is_cut=found.is_cut)

    def patch(self, caller: Caller, image_id: str, operations: Sequence[attributes.Operation]) -> Image:
        """Carry out all operations in their order, or none of them, and return the image.

        Raises:
            ImageNotFound: There is no such image for the caller.
            Forbidden: The caller may not change it, or not in this way.
            SchemaViolation: The result is not what an image may be.
            ProjectOverLimit: A new owner may not have this image as well.
            HeadwaterError: As ``attributes.patched`` says.
        """

        with self._changes.of(caller, "image.update", image_id, rule="modify_image") as change:
            relocate = self._locations.patch(caller, change.image, operations) if self._locations is not None else None
            if relocate is not None or any(operation.name == "owner" for operation in operations):
                change.read_limits()
            if relocate is None:
                step = changed(image_id, lambda image: self._patched(caller, image, operations))
                return self._shown(caller, change.commit(step))
            relocated = partial(self._relocated, caller, operations, relocate)
            after, left = change.commit(held_locations.changed(image_id, relocated, self._clock()))
        for location in left:
            self._scrubber.remove(location)
        return self._shown(caller, after)

    def _patched(self, caller: Caller, image: Image, operations: Sequence[attributes.Operation]) -> Image:
        document = self._document(caller, image, operations)
        after = self._judged(caller, image, attributes.with_writable(image, document))
        return self._touched(image, after)

    def _relocated(
        self, caller: Caller, operations: Sequence[attributes.Operation], relocate: Relocate, image: Image, held: Held
    ) -> tuple[Image, Held]:
        """Return the image and its locations after all operations; those on locations are for ``relocate``."""
        document = self._document(caller, image, [each for each in operations if each.name != "locations"])
        after, held_after = image, held
        for operation in operations:
            if operation.name == "locations":
                after, held_after = relocate(after, held_after, operation)
        after = self._judged(caller, image, attributes.with_writable(after, document))
        return self._touched(image, after, also=held_after != held), held_after

    def _document(self, caller: Caller, image: Image, operations: Sequence[attributes.Operation]) -> dict[str, Any]:
        """Return what the API writes of an image, after operations on it."""
        document = attributes.writable(image)
        if self._guard is not None:
            document = self._guard.patched(caller, image, document, operations)
        else:
            for operation in operations:
                attributes.patched(image, document, operation)
        self.schemas.require_image(document)
        return document

    def _judged(self, caller: Caller, before: Image, after: Image) -> Image:
        """Return what a patch makes of an image, if the caller may make that of it and an image may be so."""
        if after.status is not before.status:
            after.require_formats()
        if after.owner != before.owner:
            self._access.require_admin(caller, "the owner of an image")
        if after.visibility is not before.visibility:
            self._require_visibility(caller, after)
        self._require_tags_and_quotas(before, after)
        return after

    def delete(self, caller: Caller, image_id: str) -> None:
        """Forget an image and remove its bytes, or keep what it was where settings say so: for the trash, or for feeds.

        Raises:
            ImageNotFound, Forbidden, ImageProtected: It is not there, or may not be deleted.
            ImageInUse: Volumes were cloned from it, and its bytes would have to go now.
        """
        with self._changes.of(caller, "image.delete", image_id, rule="delete_image") as change:
            change.image.require_deletable()
            if self._locations is not None and not self.settings.delayed_delete_s:
                self._locations.require_unused(image_id)
            left = change.commit(deleted(image_id, Image.require_deletable, self._deletion(caller), self._feeds))
        for location in left:
            self._scrubber.remove(location)
        self._forget(image_id)

    def _deletion(self, caller: Caller) -> Deletion:
        """Return what is noted of a deletion by the caller, where the data of the image is kept."""
        at = self._clock()
        scrub_at = at + self.settings.delayed_delete_s * 1_000_000
        return Deletion(at=at, scrub_at=scrub_at, user_id=caller.user_id, project_id=caller.project_id)

    # --- Stores ----------------------------------------------------------------------------------

    def stores(self) -> list[dict[str, Any]]:
        """Return what every caller may know of the stores; raise ``SingleStore`` where there is one."""
        self.known_stores.require_several()
        return self.known_stores.documents()

    def stores_in_detail(self, caller: Caller) -> list[dict[str, Any]]:
        """Return how the stores are set up.

        Raises:
            SingleStore: There is one.
            Forbidden: The caller may not know.
        """
        self.known_stores.require_several()
        self._access.require_rule("stores_info_detail", caller)
        return self.known_stores.details(self._store_faults())

    def remove_copy(self, caller: Caller, image_id: str, store: str) -> None:
        """Let a store hold an image no more that lies in others too, and remove its bytes there.

        Raises:
            SingleStore, NoSuchStore: There is no other store, or not this one.
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not do this.
            LocationsFixed, OnlyCopy, NotInStore: The image is not active, lies nowhere else, or not there.
            ImageInUse: Volumes were cloned from what the store holds.
        """
        self.known_stores.require(store)

        def removed(image: Image, held: Held) -> tuple[Image, Held]:
            return self._touched(image, image, also=True), without_store(image, held, store)

        with self._changes.of(caller, "image.update", image_id, rule="delete_image_location") as change:
            if self._locations is not None:
                self._locations.require_unused(image_id, store)
            _, left = change.commit(held_locations.changed(image_id, removed, self._clock()))
        for location in left:
            self._scrubber.remove(location)

    # --- Tags and states ---------------------------------------------------------------------------

    def add_tag(self, caller: Caller, image_id: str, tag: str) -> None:
        """Give the image a tag; one that it has already is fine."""
        if not 0 < len(tag) <= 255 or "\x00" in tag:
            raise BadTag(tag)

        def tagged(image: Image) -> Image:
            if tag in image.tags:
                return image
            after = replace(image, tags=(*image.tags, tag))
            self._require_tags_and_quotas(image, after)
            return self._touched(image, after)

        with self._changes.of(caller, "image.update", image_id, rule="modify_image") as change:
            change.commit(changed(image_id, tagged))

    def remove_tag(self, caller: Caller, image_id: str, tag: str) -> None:
        """Take a tag off the image or raise ``TagNotFound``."""

        def untagged(image: Image) -> Image:
            if tag not in image.tags:
                raise TagNotFound(image_id, tag)
            return self._touched(image, replace(image, tags=tuple(each for each in image.tags if each != tag)))

        with self._changes.of(caller, "image.update", image_id, rule="modify_image") as change:
            change.commit(changed(image_id, untagged))

    def deactivate(self, caller: Caller, image_id: str) -> None:
        """Keep the image's data from being used, until ``reactivate``."""
        self._move(caller, image_id, "deactivate", Status.ACTIVE, Status.DEACTIVATED)

    def reactivate(self, caller: Caller, image_id: str) -> None:
        """Let the image's data be used again."""
        self._move(caller, image_id, "reactivate", Status.DEACTIVATED, Status.ACTIVE)

    def _move(self, caller: Caller, image_id: str, action: str, before: Status, after: Status) -> None:
        def moved(image: Image) -> Image:
            if image.status is after:
                return image
            if image.status is not before:
                raise ActionRefused(action, image)
            return self._touched(image, image.moved_to(after))

        with self._changes.of(caller, f"image.{action}", image_id, rule=action) as change:
            change.commit(changed(image_id, moved))

    def _shown(self, caller: Caller, image: Image) -> Image:
        """Return the image without what the caller may not read."""
        return image if self._guard is None else self._guard.shown(caller, image)

    def _require_visibility(self, caller: Caller, image: Image) -> None:
        """Raise ``Forbidden`` when the caller may not make an image as visible as this one."""
        rule = _PUBLISHING.get(image.visibility)
        if rule is not None:
            self._access.require(rule, caller, image)

    def _touched(self, before: Image, after: Image, *, also: bool = False) -> Image:
        return (
            after
            if after == before and not also
            else replace(after, updated_at=max(self._clock(), before.updated_at + 1))
        )

    def _require_tags_and_quotas(self, before: Image | None, after: Image) -> None:
        for tag in after.tags:
            if not is_reachable(tag) and (before is None or tag not in before.tags):
                raise BadTag(tag)
        limits = self.settings
        attributes.require_quotas(before, after, properties=limits.property_quota, tags=limits.tag_quota)
