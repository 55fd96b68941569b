"""The images kept in SQL: get, page, create, change, delete, and the books of their bytes.

A change is a pure function from Image to Image, run inside one transaction that holds the row, so two
changes at once follow each other and neither is lost.

The books (``uploads``, ``discarded_objects``; see ``database/tables.py``) make every crash harmless:
whoever finds an entry whose owner is gone completes or undoes the work that it names.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, false, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import Conflict, Gone, Invalid, NotFound
from headwater.images import listing
from headwater.images.model import Image, Status, Visibility


class ImageNotFound(NotFound):
    """There is no such image, or it is not the caller's to see."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"No image found with ID {image_id}")
        self.image_id = image_id


class ImageExists(Conflict):
    """The id is taken, by an image that lives or by one that was deleted."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image ID {image_id} already exists!")
        self.image_id = image_id


class MarkerNotFound(Invalid):
    """A page was asked to begin after an image that is not there."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"No image found with ID {image_id}: the marker must be an image that the list may show")
        self.image_id = image_id


class ImageGone(Gone):
    """The image was deleted while its data was on the way."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image {image_id} was deleted while its data was uploaded; the data is discarded")
        self.image_id = image_id


class UploadLost(Conflict):
    """Somebody else gave this upload up: its writer was silent for too long."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"The upload to image {image_id} was given up because it stood still; upload again")
        self.image_id = image_id


@dataclass(frozen=True, slots=True)
class Location:
    """Where an image's bytes lie."""

    store: str
    object_key: str


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes on their way, and who brings them."""

    image_id: str
    location: Location
    writer: str
    expires_at: int  # microseconds since 1970


class ImageCatalogue:
    """All images of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- Reading ---------------------------------------------------------------------------------

    def get(self, image_id: str) -> Image:
        """Return one image or raise ``ImageNotFound``."""
        row = self._database.read(lambda connection: connection.execute(_GET, {"id": image_id}).first())
        if row is None:
            raise ImageNotFound(image_id)
        return _image(row)

    def get_for(self, image_id: str, project_id: str | None) -> tuple[Image, bool]:
        """Return one image, and whether it is shared with ``project_id``; or raise ``ImageNotFound``.

        One question whatever the answer, so that its time tells nothing.
        """
        if project_id is None:
            return self.get(image_id), False
        row = self._database.read(
            lambda connection: connection.execute(_GET_FOR, {"id": image_id, "project_id": project_id}).first()
        )
        if row is None:
            raise ImageNotFound(image_id)
        return _image(row[:-1]), row[-1] is not None

    def page(self, query: listing.Query) -> list[Image]:
        """Return the images that ``query`` asks for, in its order.

        Raises:
            MarkerNotFound: There is no image with the marker's id.
        """

        def work(connection: Connection) -> list[Image]:
            marker = None
            if query.marker is not None:
                marker = connection.execute(_GET, {"id": query.marker}).first()
                if marker is None:
                    raise MarkerNotFound(query.marker)
            found = [_page(connection, query, source, marker) for source in listing.sources(query)]
            if len(found) == 1:
                return found[0]
            return listing.in_order([image for part in found for image in part], query)[: query.limit]

        return self._database.read(work)

    def location(self, image_id: str) -> Location | None:
        """Return where the image's bytes lie; ``None`` when it has none."""
        rows = self._database.read(lambda c: c.execute(_LOCATIONS, {"id": image_id}).all())
        return Location(*rows[0]) if rows else None

    def revision(self) -> int:
        """Return a number that grows with each change of an image that is or was public."""
        return self._database.read(lambda c: c.execute(_PUBLIC_REVISION).scalar()) or 0

    def public_images(self) -> list[Image]:
        """Return every image that everybody may boot: public, active and not hidden; oldest first."""
        query = (
            select(tables.images)
            .where(
                tables.images.c.os_hidden == false(),  # "IS false" would use no index of MySQL
                tables.images.c.visibility == Visibility.PUBLIC,
                tables.images.c.status == Status.ACTIVE,
            )
            .order_by(tables.images.c.created_at, tables.images.c.id)
        )
        return self._database.read(lambda connection: [_image(row) for row in connection.execute(query)])

    # --- Writing ---------------------------------------------------------------------------------

    def create(self, image: Image, *, fresh_id: bool) -> None:
        """Keep a new image.

        Args:
            fresh_id: The id was made at random just now, so it cannot be one that was used before.

        Raises:
            ImageExists: An image has the id, or had it before it was deleted.
        """

        def work(connection: Connection) -> None:
            connection.execute(insert(tables.images), _row(image))
            _index(connection, image)
            if not fresh_id and connection.execute(_DELETED, {"id": image.id}).first() is not None:
                raise ImageExists(image.id)
            _count_public(connection, image)

        try:
            self._database.write(work)
        except IntegrityError as error:
            raise ImageExists(image.id) from error

    def change(self, image_id: str, change: Callable[[Image], Image]) -> Image:
        """Replace one image by ``change`` of it and return the new one.

        Raises:
            ImageNotFound: There is no such image.
        """
        return self._database.write(lambda connection: _changed(connection, image_id, change))

    def delete(self, image_id: str, allowed: Callable[[Image], None], now: int) -> list[Location]:
        """Forget the image, remember its id, and return what bytes it leaves to discard.

        Args:
            allowed: Raises when this image may not be deleted.

        Raises:
            ImageNotFound: There is no such image.
        """

        def work(connection: Connection) -> list[Location]:
            image = _locked(connection, image_id)
            allowed(image)
            locations = [Location(*row) for row in connection.execute(_LOCATIONS, {"id": image_id})]
            _discard(connection, locations, now)
            connection.execute(insert(tables.deleted_images), {"id": image_id, "owner": image.owner, "deleted_at": now})
            connection.execute(delete(tables.images).where(tables.images.c.id == image_id))
            _count_public(connection, image)
            return locations

        return self._database.write(work)

    # --- The books of bytes ----------------------------------------------------------------------

    def begin_upload(self, upload: Upload, change: Callable[[Image], Image]) -> Image:
        """Note that bytes will be written, and change the image accordingly, in one step.

        Raises:
            ImageNotFound: There is no such image.
        """

        def work(connection: Connection) -> Image:
            image = _changed(connection, upload.image_id, change)
            # A row that an upload of a former life of this image left behind makes way; its bytes do not.
            left = connection.execute(
                select(tables.uploads.c.store, tables.uploads.c.object_key).where(
                    tables.uploads.c.image_id == upload.image_id
                )
            ).all()
            if left:
                _discard(connection, [Location(*row) for row in left], upload.expires_at)
                connection.execute(delete(tables.uploads).where(tables.uploads.c.image_id == upload.image_id))
            connection.execute(
                insert(tables.uploads),
                {
                    "image_id": upload.image_id,
                    "store": upload.location.store,
                    "object_key": upload.location.object_key,
                    "writer": upload.writer,
                    "expires_at": upload.expires_at,
                },
            )
            return image

        return self._database.write(work)

    def finish_upload(self, image_id: str, location: Location, change: Callable[[Image], Image]) -> Image:
        """Note that the bytes are durable and the image has them, in one step.

        Raises:
            ImageGone: The image was deleted meanwhile.
            UploadLost: The upload was given up meanwhile.
        """

        def work(connection: Connection) -> Image:
            ended = _end_upload(connection, location)
            try:
                image = _changed(connection, image_id, change if ended else _same)
            except ImageNotFound as error:
                raise ImageGone(image_id) from error
            if not ended:
                raise UploadLost(image_id)
            connection.execute(
                insert(tables.image_locations),
                {"image_id": image_id, "store": location.store, "object_key": location.object_key},
            )
            return image

        return self._database.write(work)

    def abandon_upload(
        self,
        image_id: str,
        location: Location,
        change: Callable[[Image], Image],
        *,
        discarded_at: int | None,
    ) -> bool:
        """Note that the bytes will not come; return whether the upload was still in the books.

        ``change`` is made to the image if it is still there.

        Args:
            discarded_at: Note the bytes, at this time, as discarded; ``None`` when there are none.
        """

        def work(connection: Connection) -> bool:
            if not _end_upload(connection, location):
                return False
            if discarded_at is not None:
                _discard(connection, [location], discarded_at)
            with contextlib.suppress(ImageNotFound):  # deleted meanwhile: nothing to give back
                _changed(connection, image_id, change)
            return True

        return self._database.write(work)

    def take_over(self, upload: Upload, change: Callable[[Image], Image], now: int) -> bool:
        """End an upload for its writer, which is gone, and note its bytes as discarded, in one step.

        Whoever removes bytes first takes them over: the writer may only have been slow, and finish now. Return
        ``False`` when it has, or has renewed its lease since ``upload`` was read.
        """

        def work(connection: Connection) -> bool:
            if not _end_upload(connection, upload.location, upload.expires_at):
                return False
            _discard(connection, [upload.location], now)
            with contextlib.suppress(ImageNotFound):
                _changed(connection, upload.image_id, change)
            return True

        return self._database.write(work)

    def renew_uploads(self, writer: str, expires_at: int) -> None:
        """Say that ``writer`` is alive."""
        statement = update(tables.uploads).where(tables.uploads.c.writer == writer).values(expires_at=expires_at)
        self._database.write(lambda connection: connection.execute(statement))

    def uploads(self) -> list[Upload]:
        """Return every upload in the books."""
        table = tables.uploads
        query = select(table.c.image_id, table.c.store, table.c.object_key, table.c.writer, table.c.expires_at)
        return self._database.read(
            lambda c: [Upload(row[0], Location(row[1], row[2]), row[3], row[4]) for row in c.execute(query)]
        )

    def discarded(self, limit: int) -> list[Location]:
        """Return bytes that nobody needs and that may still be there, oldest first."""
        table = tables.discarded_objects
        query = select(table.c.store, table.c.object_key).order_by(table.c.discarded_at).limit(limit)
        return self._database.read(lambda c: [Location(*row) for row in c.execute(query)])

    def forget_discarded(self, location: Location) -> None:
        """Note that these bytes are removed."""
        table = tables.discarded_objects
        statement = delete(table).where(table.c.store == location.store, table.c.object_key == location.object_key)
        self._database.write(lambda connection: connection.execute(statement))


def digest(value: str) -> str:
    """Return what ``image_properties`` keeps of a value: enough to decide equality, short enough to index."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]


_GET = select(tables.images).where(tables.images.c.id == bindparam("id"))
_GET_FOR = (
    select(tables.images, tables.image_members.c.member)
    .select_from(
        tables.images.outerjoin(
            tables.image_members,
            and_(
                tables.image_members.c.image_id == tables.images.c.id,
                tables.image_members.c.member == bindparam("project_id"),
            ),
        )
    )
    .where(tables.images.c.id == bindparam("id"))
)
_GET_LOCKED = _GET.with_for_update()
_LOCATIONS = (
    select(tables.image_locations.c.store, tables.image_locations.c.object_key)
    .where(tables.image_locations.c.image_id == bindparam("id"))
    .order_by(tables.image_locations.c.store)
)
_DELETED = select(tables.deleted_images.c.id).where(tables.deleted_images.c.id == bindparam("id"))
_PUBLIC_REVISION = select(tables.catalogue_revisions.c.revision).where(tables.catalogue_revisions.c.scope == "public")
_STATUS = {status.value: status for status in Status}
_VISIBILITY = {visibility.value: visibility for visibility in Visibility}
_NO_TAGS, _NO_PROPERTIES = "[]", "{}"
_decode_tags = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_properties = msgspec.json.Decoder(dict[str, str]).decode


def _page(connection: Connection, query: listing.Query, source: listing.Source, marker: Any) -> list[Image]:
    """Return the page of one source."""
    found: list[Image] = []
    selects = (
        listing.first_steps(query, source, digest) if marker is None else listing.steps(query, source, digest, marker)
    )
    for select_ in selects:
        found += [_image(row) for row in connection.execute(select_).all()]
        if len(found) >= query.limit:
            break
    return found[: query.limit]


def _same(image: Image) -> Image:
    return image


def _image(row: Any) -> Image:
    # Taken apart by place, in the order of the table: a list makes thousands of these in a second.
    (
        image_id,
        name,
        status,
        visibility,
        os_hidden,
        protected,
        owner,
        disk_format,
        container_format,
        size,
        virtual_size,
        checksum,
        os_hash_algo,
        os_hash_value,
        min_ram,
        min_disk,
        created_at,
        updated_at,
        revision,
        properties,
        tags,
    ) = row
    return Image(
        id=image_id,
        created_at=created_at,
        updated_at=updated_at,
        name=name,
        status=_STATUS[status],
        visibility=_VISIBILITY[visibility],
        os_hidden=os_hidden,
        protected=protected,
        owner=owner,
        disk_format=disk_format,
        container_format=container_format,
        size=size,
        virtual_size=virtual_size,
        checksum=checksum,
        os_hash_algo=os_hash_algo,
        os_hash_value=os_hash_value,
        min_ram=min_ram,
        min_disk=min_disk,
        tags=() if tags == _NO_TAGS else _decode_tags(tags),
        properties={} if properties == _NO_PROPERTIES else _decode_properties(properties),
        revision=revision,
    )


def _row(image: Image) -> dict[str, Any]:
    row = {field.name: getattr(image, field.name) for field in fields(image)}
    row["tags"] = msgspec.json.encode(image.tags).decode()
    row["properties"] = msgspec.json.encode(image.properties).decode()
    row["status"], row["visibility"] = image.status.value, image.visibility.value
    return row


def _locked(connection: Connection, image_id: str) -> Image:
    row = connection.execute(_GET_LOCKED, {"id": image_id}).first()
    if row is None:
        raise ImageNotFound(image_id)
    return _image(row)


def _changed(connection: Connection, image_id: str, change: Callable[[Image], Image]) -> Image:
    before = _locked(connection, image_id)
    after = change(before)
    if after == before:
        return before
    after = replace(after, revision=before.revision + 1)
    row = _row(after)
    old = _row(before)
    different = {name: value for name, value in row.items() if value != old[name]}
    connection.execute(update(tables.images).where(tables.images.c.id == image_id).values(different))
    if after.properties != before.properties or after.tags != before.tags:
        _unindex(connection, before, after)
        _index(connection, after, besides=before)
    _count_public(connection, before, after)
    return after


def _index(connection: Connection, image: Image, besides: Image | None = None) -> None:
    """Enter what can be searched for and is not yet there: all of it, or what ``besides`` has not."""
    known = dict(besides.properties) if besides else {}
    new = [(name, value) for name, value in image.properties.items() if known.get(name) != value]
    if new:
        connection.execute(
            insert(tables.image_properties),
            [
                {"image_id": image.id, "name": name, "value_digest": digest(value), "created_at": image.created_at}
                for name, value in new
            ],
        )
    tags = [tag for tag in image.tags if besides is None or tag not in besides.tags]
    if tags:
        connection.execute(
            insert(tables.image_tags),
            [{"image_id": image.id, "tag": tag, "created_at": image.created_at} for tag in tags],
        )


def _unindex(connection: Connection, before: Image, after: Image) -> None:
    names = [name for name, value in before.properties.items() if after.properties.get(name) != value]
    if names:
        table = tables.image_properties
        connection.execute(delete(table).where(table.c.image_id == before.id, table.c.name.in_(names)))
    tags = [tag for tag in before.tags if tag not in after.tags]
    if tags:
        connection.execute(
            delete(tables.image_tags).where(
                tables.image_tags.c.image_id == before.id, tables.image_tags.c.tag.in_(tags)
            )
        )


def _count_public(connection: Connection, *images: Image) -> None:
    if not any(image.visibility is Visibility.PUBLIC for image in images):
        return
    table = tables.catalogue_revisions
    connection.execute(update(table).where(table.c.scope == "public").values(revision=table.c.revision + 1))


def _discard(connection: Connection, locations: Iterable[Location], now: int) -> None:
    rows = [{"store": at.store, "object_key": at.object_key, "discarded_at": now} for at in locations]
    if rows:
        connection.execute(insert(tables.discarded_objects), rows)


def _end_upload(connection: Connection, location: Location, expires_at: int | None = None) -> bool:
    table = tables.uploads
    statement = delete(table).where(table.c.store == location.store, table.c.object_key == location.object_key)
    if expires_at is not None:
        statement = statement.where(table.c.expires_at == expires_at)
    return connection.execute(statement).rowcount == 1
