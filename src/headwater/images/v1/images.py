"""Images as callers of the API v1 create, change and list them.

Beside ``service.py``, whose rules for who may do what hold here too. A v1 request brings an image's description and
its data at once; when that data does not come, the image is killed, not queued: a v1 client makes another one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge, Unavailable
from headwater.identity.caller import Caller
from headwater.images import attributes
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.images import ImageRows, changed, created
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Condition, Query
from headwater.images.catalogue.locations import given
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.transaction import Step
from headwater.images.data.session import Digests, ImageTooLarge, SizeMismatch, Terms, UploadSession
from headwater.images.data.uploads import StoreUnknown, Uploads
from headwater.images.imports.web_copy import Order, WebCopy
from headwater.images.locations.rules import Found
from headwater.images.locations.service import Web
from headwater.images.model import Image, ImageLocation, Status, Visibility
from headwater.images.properties.guard import PropertyGuard
from headwater.images.service import Images
from headwater.images.v1 import attributes as attributes_v1
from headwater.images.v1 import deleted
from headwater.images.v1.attributes import Description
from headwater.images.v1.deleted import Shown


class NotQueued(Conflict):
    """The image has its data, or somebody else brings it."""

    def __init__(self, image_id: str, status: str) -> None:
        super().__init__(f"Cannot upload to an unqueued image: {image_id} is {status}")
        self.image_id = image_id


class SourceFixed(Invalid):
    """Where an image's data comes from is said once."""

    def __init__(self, image_id: str, status: str) -> None:
        super().__init__(
            f"Attempted to update Location field for an image not in queued status: {image_id} is {status}"
        )
        self.image_id = image_id


class DeletedImage(Forbidden):
    """An admin sees it, and nobody changes it any more."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Forbidden to update deleted image {image_id}.")
        self.image_id = image_id


class DeletionPending(Forbidden):
    """It is deleted already, though its data is still there."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Forbidden to delete a pending_delete image ({image_id}).")
        self.image_id = image_id


class NotActive(NotFound):
    """The image has no data to give."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image {image_id} is not active")
        self.image_id = image_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which images a list shows."""

    query: Query  # filters, order and length; its viewer, marker and visibility do not count
    is_public: bool | None = None  # None: public or not
    of_all: bool = False  # an admin wants every project's images, and not only what its own project sees
    changes_since: int | None = None  # microseconds since 1970; with it the deleted ones are listed too
    deleted: bool | None = None  # only deleted or only living ones; None: living ones, unless ``changes_since``


class ImagesV1:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        catalogue: ImageRows,
        access: Access,
        changes: Changes,
        images: Images,
        uploads: Uploads,
        *,
        web_copy: WebCopy,
        web: Web,
        guard: PropertyGuard | None = None,
        clock: Clock = now,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.settings = images.settings
        self._catalogue = catalogue
        self._access = access
        self._changes = changes
        self._images = images
        self._uploads = uploads
        self._web_copy = web_copy
        self._web = web
        self._guard = guard  # None: no property is protected
        self._clock = clock
        self._new_id = new_id

    # --- Reading ---------------------------------------------------------------------------------

    def show(self, caller: Caller, image_id: str) -> Shown:
        """Return one image, to an admin also a deleted one, or raise ``ImageNotFound``."""
        found = self._find(caller, image_id)
        return replace(found, image=self.shown(caller, found.image))

    def shown(self, caller: Caller, image: Image) -> Image:
        """Return an image as the caller may see it."""
        return image if self._guard is None else self._guard.shown(caller, image)

    def page(self, caller: Caller, wanted: Wanted) -> list[Shown]:
        """Return one page of the images that the caller sees.

        Raises:
            Forbidden: The caller may not list images.
            MarkerNotFound: The marker is no image that the list could show.
        """
        query = wanted.query
        if self._guard is not None and not self._guard.may_read(caller, [name for name, _ in query.properties]):
            wanted = replace(wanted, query=replace(query, limit=0))  # as if no image had such a property
        return [replace(each, image=self.shown(caller, each.image)) for each in self._page(caller, wanted)]

    def _page(self, caller: Caller, wanted: Wanted) -> list[Shown]:
        is_admin = self._access.is_admin(caller)
        if not is_admin:
            wanted = replace(wanted, deleted=None)  # Source: Glance hears only admins on this.
        query, as_project = self._query(caller, wanted, is_admin=is_admin)
        with_deleted = wanted.changes_since is not None if wanted.deleted is None else wanted.deleted
        if not with_deleted or not (is_admin or caller.project_id is not None):
            return [Shown(image) for image in self._access.page(caller, query, as_project=as_project)]
        after = self._marker(caller, query.marker)
        # What a list asks of its caller is judged also where no living image is shown.
        living = query if wanted.deleted is not True else replace(query, limit=0)
        page = self._living(caller, living, after, as_project=as_project)
        shown = [Shown(image) for image in page]
        gone = deleted.page(
            self._catalogue,
            query,
            since=wanted.changes_since or 0,
            owner=None if is_admin and not as_project else caller.project_id,
            after=None if after is None else after.image,
        )
        line = deleted.in_line(shown + gone, query)
        # After the last of a page that was cut, living images come that are not in it.
        return line[: line.index(shown[-1]) + 1] if page.is_cut and shown[-1] in line else line

    def _living(self, caller: Caller, query: Query, after: Shown | None, *, as_project: bool) -> Listed[Image]:
        """Return the page of living images after ``after``, which may be a deleted one."""
        if after is None or after.deleted_at is None:
            return self._access.page(caller, query, as_project=as_project)
        return self._access.page(caller, replace(query, marker=None, after=after.image), as_project=as_project)

    def _marker(self, caller: Caller, marker: str | None) -> Shown | None:
        if marker is None:
            return None
        image, deleted_at = self._access.marked(caller, marker)
        return Shown(image) if deleted_at is None else deleted.as_deleted(image, deleted_at)

    def _query(self, caller: Caller, wanted: Wanted, *, is_admin: bool) -> tuple[Query, bool]:
        """Return the query of a list, and whether an admin gets what its project sees."""
        conditions = list(wanted.query.conditions)
        if wanted.changes_since is not None:
            conditions.append(Condition("updated_at", "gt", wanted.changes_since))
        hides_killed = wanted.deleted is False or (wanted.deleted is None and wanted.changes_since is None)
        if hides_killed and not any(condition.column == "status" for condition in conditions):
            conditions.append(Condition("status", "neq", Status.KILLED.value))
        if wanted.is_public is False:
            conditions.append(Condition("visibility", "neq", Visibility.PUBLIC.value))
        # Source: to an admin is_public=True, the default, means "as if I were none, and my own ones" in Glance. Who is
        # of no project has no own ones: it is shown the public ones on that word, and everything without it.
        as_project = is_admin and wanted.is_public is not False and not wanted.of_all
        if as_project and caller.project_id is None:
            as_project = False
            if wanted.is_public:
                conditions.append(Condition("visibility", "eq", Visibility.PUBLIC.value))
        # What is shared is seen at once; nobody has to accept. Source: OSSN-0005.
        query = replace(wanted.query, conditions=tuple(conditions), visibility=None, member_status="all")
        return query, as_project

    # --- Writing ---------------------------------------------------------------------------------

    def create(self, caller: Caller, said: Description, *, brings: bool, length: int | None = None) -> Image:
        """Enter a new image, and begin to copy or register its data if ``said`` names a source.

        Args:
            brings: The request brings the data too; ``begin`` takes it.
            length: How many bytes it brings, if that is known.

        Raises:
            Forbidden: The caller may not create this image.
            Invalid: It cannot be so; nothing was entered.
            ImageExists: The id is or was another image's.
        """
        said.require_one_source(has_data=brings)
        at = self._clock()
        wanted_id = said.fields.get("id")
        blank = Image(
            id=wanted_id.lower() if wanted_id else self._new_id(), created_at=at, updated_at=at, owner=caller.project_id
        )
        with self._changes.told(caller, "image.create") as change:
            if self._guard is not None:
                self._guard.require_creatable(caller, said.properties)
            image = attributes_v1.created(blank, said, is_admin=self._access.is_admin(caller))
            self._images.schemas.require_image({**attributes.writable(image), "id": image.id})
            change.entry.image_id = blank.id  # not before it is known to be an id
            self._access.require("add_image", caller, image)
            self._require_public(caller, image)
            attributes.require_quotas(
                None, image, properties=self.settings.property_quota, tags=self.settings.tag_quota
            )
            has_source = brings or said.location is not None or said.copy_from is not None
            if has_source and said.size != 0:
                image.require_formats()
            if has_source:
                self._access.require("upload_image", caller, image)
            self._require_takeable(said, length)
            found = self._found(caller, image, said)
            if found is not None:
                image = replace(image.moved_to(Status.ACTIVE), size=found.size)

            change.read_limits()
            change.commit(created(image, fresh_id=wanted_id is None), *self._source(caller, image.id, said, found))
            return self.shown(caller, image)

    def update(
        self, caller: Caller, image_id: str, said: Description, *, brings: bool, purge: bool, length: int | None = None
    ) -> Image:
        """Change an image, and begin to copy or register its data if ``said`` names a source.

        Args:
            brings: The request brings data too; ``begin`` takes it.
            purge: Take away the properties that ``said`` does not name.
            length: How many bytes it brings, if that is known.

        Raises:
            ImageNotFound, Forbidden: The image is not there for the caller, or not its to change (so).
            NotQueued, SourceFixed: There is data already.
        """
        said.require_one_source(has_data=brings)
        has_source = said.location is not None or said.copy_from is not None
        with self._changes.of(caller, "image.update", image_id, rule="modify_image", seen=self._visible) as change:
            if brings or has_source:
                change.require("upload_image")
            self._require_takeable(said, length)
            found = self._found(caller, change.image, said)

            def updated(image: Image) -> Image:
                after = self._changed(caller, image, said, purge=purge)
                if brings and image.status is not Status.QUEUED:
                    raise NotQueued(image_id, image.status)
                if has_source and image.status is not Status.QUEUED:
                    raise SourceFixed(image_id, image.status)
                if (brings or has_source) and said.size != 0:
                    after.require_formats()
                self._images.schemas.require_image(attributes.writable(after))
                if after.visibility is not image.visibility:
                    self._require_public(caller, after)
                attributes.require_quotas(
                    image, after, properties=self.settings.property_quota, tags=self.settings.tag_quota
                )
                if found is not None:
                    after = replace(after.moved_to(Status.ACTIVE), size=found.size)
                if after == image and said.copy_from is None:  # the order of a copy is a change
                    return image
                return replace(after, updated_at=max(self._clock(), image.updated_at + 1))

            change.read_limits()
            after = change.commit(changed(image_id, updated), *self._source(caller, image_id, said, found))
            return self.shown(caller, after)

    def _changed(self, caller: Caller, image: Image, said: Description, *, purge: bool) -> Image:
        seen, is_admin = self.shown(caller, image), self._access.is_admin(caller)
        after = attributes_v1.changed(seen, said, purge=purge, is_admin=is_admin)
        if self._guard is None:
            return after
        return replace(after, properties=self._guard.replaced(caller, image.properties, after.properties))

    def begin(
        self,
        caller: Caller,
        image: Image,
        said: Description,
        length: int | None,
        *,
        digests: Digests = (),
        foreseen: Collection[str] = (),
    ) -> UploadSession:
        """Claim an image for the data that its request brings; see ``Uploads.begin``.

        What was announced, now or when the image was created, must come. If it does not, the image is killed.
        """
        terms = Terms(
            checksum=image.checksum,
            digests=digests,
            foreseen=foreseen,
            store=said.fields.get("store"),
            needs_formats=image.size != 0,
            failed=Status.KILLED,
        )
        try:
            return self._uploads.begin(caller, image.id, length if image.size is None else image.size, terms)
        except (TooLarge, Unavailable):
            with self._changes.told(caller, "image.update", image.id) as change:
                change.commit(changed(image.id, self._killed))
            raise

    def delete(self, caller: Caller, image_id: str) -> None:
        """Forget an image and remove its bytes; see ``Images.delete``."""
        if self._find(caller, image_id).image.status is Status.PENDING_DELETE:
            raise DeletionPending(image_id)
        self._images.delete(caller, image_id)

    def _find(self, caller: Caller, image_id: str) -> Shown:
        try:
            return Shown(self._access.visible(caller, image_id))
        except ImageNotFound:
            if not self._access.is_admin(caller):
                raise
            return deleted.as_deleted(*self._catalogue.find_deleted(image_id))

    def _visible(self, caller: Caller, image_id: str) -> Image:
        found = self._find(caller, image_id)
        if found.deleted_at is not None:
            raise DeletedImage(image_id)
        return found.image

    def _killed(self, image: Image) -> Image:
        if image.status is not Status.QUEUED:
            return image
        return replace(image, status=Status.KILLED, updated_at=max(self._clock(), image.updated_at + 1))

    def _require_public(self, caller: Caller, image: Image) -> None:
        if image.visibility is Visibility.PUBLIC:
            self._access.require("publicize_image", caller, image)

    def _require_takeable(self, said: Description, length: int | None) -> None:
        for size in (said.size, length):
            if size is not None and size > self.settings.size_cap:
                raise ImageTooLarge(self.settings.size_cap)
        store = said.fields.get("store")
        if store is not None and store not in self._uploads.store_names:
            raise StoreUnknown(store, self._uploads.store_names)

    def _found(self, caller: Caller, image: Image, said: Description) -> Found | None:
        """Return what lies at the location that a request names; judge the URL that it wants copied.

        Raises:
            Forbidden: The caller may not have Headwater fetch, or not say where data lies.
            Invalid: The URL is none of a kind that is taken, or there is nothing.
        """
        if said.copy_from is not None:
            self._access.require_rule("copy_from", caller)
            self._web_copy.require(said.copy_from)
        if said.location is None:
            return None
        self._access.require("set_image_location", caller, image)
        found = self._web.found(said.location)
        announced = image.size if said.size is None else said.size
        if announced is not None and announced != found.size:
            raise SizeMismatch(announced, found.size)
        return found

    def _source(self, caller: Caller, image_id: str, said: Description, found: Found | None) -> Iterator[Step[Any]]:
        """Yield what is kept, with the image, of where its data comes from."""
        if found is not None:
            yield given(image_id, (ImageLocation(at=found.at),))
        if said.copy_from is not None:
            order = Order(image_id=image_id, url=said.copy_from, caller=caller, store=said.fields.get("store"))
            yield self._web_copy.entered(order)
