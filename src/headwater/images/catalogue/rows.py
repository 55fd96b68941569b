"""Images as rows: an Image to its row and back, and the change of one inside a transaction.

An image is changed while its row is held, so two changes at once follow each other and neither is lost. Whatever
becomes of it, its transaction hears of it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, insert, literal_column, or_, select, update

from headwater.database import tables
from headwater.database.documents import known
from headwater.errors import NotFound
from headwater.images.catalogue.lists import audience
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.model import Image, Status, Visibility

T = TypeVar("T")


class ImageNotFound(NotFound):
    """There is no such image, or it is not the caller's to see."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"No image found with ID {image_id}")
        self.image_id = image_id


def digest(value: str) -> str:
    """Return what ``image_properties`` keeps of a value: enough to decide equality, short enough to index."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]


GET = select(tables.images).where(tables.images.c.id == bindparam("id"))
GET_FOR = (
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
# Whom nobody sees gives no row, like one that is not there: then no step after it can tell them apart by its time.
# The words stand in the statement: a list of parameters is written into it anew for each question.
GET_SEEN = GET_FOR.where(
    or_(
        tables.images.c.visibility == literal_column(f"'{Visibility.PUBLIC}'"),
        tables.images.c.visibility == literal_column(f"'{Visibility.COMMUNITY}'"),
        tables.images.c.owner == bindparam("project_id"),
        and_(
            tables.images.c.visibility == literal_column(f"'{Visibility.SHARED}'"),
            tables.image_members.c.member.is_not(None),
        ),
    )
)
GET_LOCKED = GET.with_for_update()

_INSERT_IMAGE = insert(tables.images)
_INSERT_PROPERTY = insert(tables.image_properties)
_INSERT_TAG = insert(tables.image_tags)
_STATUS = {status.value: status for status in Status}
_VISIBILITY = {visibility.value: visibility for visibility in Visibility}
_NO_TAGS, _NO_PROPERTIES = "[]", "{}"
_decode_tags = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_properties = msgspec.json.Decoder(dict[str, str]).decode


def image_of(row: Any) -> Image:
    """Return the image of one row of ``tables.images``."""
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
        _audience,
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


def row_of(image: Image) -> dict[str, Any]:
    """Return the row of ``tables.images`` that keeps ``image``."""
    row = {field.name: getattr(image, field.name) for field in fields(image)}
    row["tags"] = msgspec.json.encode(image.tags).decode()
    row["properties"] = msgspec.json.encode(image.properties).decode()
    row["status"], row["visibility"] = image.status.value, image.visibility.value
    row["audience"] = audience.of(image)
    return row


def property_rows(image: Image) -> list[dict[str, Any]]:
    """Return the rows of ``tables.image_properties`` by which the image is found."""
    same = {"image_id": image.id, "created_at": image.created_at, "audience": audience.of(image)}
    return [{"name": name, "value_digest": digest(value), **same} for name, value in image.properties.items()]


def tag_rows(image: Image) -> list[dict[str, Any]]:
    """Return the rows of ``tables.image_tags`` by which the image is found."""
    same = {"image_id": image.id, "created_at": image.created_at, "audience": audience.of(image)}
    return [{"tag": tag, **same} for tag in image.tags]


def locked(transaction: Transaction, image_id: str) -> Image:
    """Return one image, which nobody else changes until the transaction ends.

    Raises:
        ImageNotFound: There is no such image.
        Forbidden: It is not the caller's to change (so), as it is by now.
    """
    row = transaction.connection.execute(GET_LOCKED, {"id": image_id}).first()
    if row is None:
        raise ImageNotFound(image_id)
    image = image_of(row)
    transaction.judge(image)
    return image


def inserted(transaction: Transaction, image: Image, before: Image | None = None) -> None:
    """Keep a new image.

    Args:
        before: What was there of it already: an image that was deleted and is restored.
    """
    connection = transaction.connection
    connection.execute(_INSERT_IMAGE, row_of(image))
    _enter(connection, property_rows(image), tag_rows(image))
    _count_public(connection, image)
    transaction.heard(before, image)


def replaced(transaction: Transaction, before: Image, after: Image) -> Image:
    """Put ``after`` in the place of an image that is locked, and return it as it is kept."""
    if after == before:
        return before
    connection, image_id = transaction.connection, before.id
    after = replace(after, revision=before.revision + 1)
    row = row_of(after)
    old = row_of(before)
    different = {name: value for name, value in row.items() if value != old[name]}
    connection.execute(update(tables.images).where(tables.images.c.id == image_id).values(different))
    _reindex(connection, before, after)
    if after.owner != before.owner:
        moved = update(tables.uploads).where(tables.uploads.c.image_id == image_id)
        connection.execute(moved.values(owner=after.owner))
    _count_public(connection, before, after)
    transaction.heard(before, after)
    return after


def removed(transaction: Transaction, image: Image, now: int) -> None:
    """Take the image out of all lists; what it was is kept among the deleted ones until it is purged."""
    connection = transaction.connection
    members: list[str] = []  # who else saw it: a page that they have may end with it
    if image.visibility is Visibility.SHARED:
        table = tables.image_members
        members = list(connection.scalars(select(table.c.member).where(table.c.image_id == image.id)))
    document = msgspec.json.encode({**row_of(image), "members": members}).decode()
    row = {"id": image.id, "owner": image.owner, "deleted_at": now, "created_at": image.created_at}
    row["document"] = document
    connection.execute(insert(tables.deleted_images), row)
    connection.execute(delete(tables.images).where(tables.images.c.id == image.id))
    _count_public(connection, image)
    transaction.heard(image, None)


def if_there(step: Step[T]) -> Step[T | None]:
    """Do as ``step``, or nothing when there is no such image."""

    def step_if_there(transaction: Transaction) -> T | None:
        with contextlib.suppress(ImageNotFound):
            return step(transaction)
        return None

    return step_if_there


def deleted_of(document: str) -> Image:
    """Return the image as ``removed`` kept it, maybe that of another release."""
    row = known(Image, msgspec.json.decode(document))
    row["status"], row["visibility"] = _STATUS[row["status"]], _VISIBILITY[row["visibility"]]
    row["tags"], row["properties"] = _decode_tags(row["tags"]), _decode_properties(row["properties"])
    return Image(**row)


def members_of_deleted(document: str) -> list[str]:
    """Return the projects that the image was shared with; those of images deleted by an older release are forgotten."""
    members: list[str] = msgspec.json.decode(document).get("members", [])
    return members


def _enter(connection: Connection, properties: Sequence[Mapping[str, Any]], tags: Sequence[Mapping[str, Any]]) -> None:
    if properties:
        connection.execute(_INSERT_PROPERTY, properties)
    if tags:
        connection.execute(_INSERT_TAG, tags)


def _reindex(connection: Connection, before: Image, after: Image) -> None:
    """Let the image be found as it is now: what is no more goes, what is new is entered."""
    properties, tags = tables.image_properties, tables.image_tags
    if names := [name for name, value in before.properties.items() if after.properties.get(name) != value]:
        connection.execute(delete(properties).where(properties.c.image_id == before.id, properties.c.name.in_(names)))
    if gone := [tag for tag in before.tags if tag not in after.tags]:
        connection.execute(delete(tags).where(tags.c.image_id == before.id, tags.c.tag.in_(gone)))
    if audience.of(after) != audience.of(before):
        for table in (properties, tags):
            connection.execute(update(table).where(table.c.image_id == before.id).values(audience=audience.of(after)))
    if after.properties != before.properties or after.tags != before.tags:
        known = before.properties
        _enter(
            connection,
            [row for row in property_rows(after) if known.get(row["name"]) != after.properties[row["name"]]],
            [row for row in tag_rows(after) if row["tag"] not in before.tags],
        )


def _count_public(connection: Connection, *images: Image) -> None:
    """Note the change of one image, as it was and as it is, when everybody saw it or sees it."""
    if any(image.visibility is Visibility.PUBLIC for image in images):
        note_public(connection, images[0].id)


def note_public(connection: Connection, image_id: str) -> None:
    """Note that what feeds say of a public image has changed."""
    connection.execute(_NEXT_PUBLIC)
    connection.execute(_NOTE_PUBLIC, {"id": image_id})


_PUBLIC = tables.catalogue_revisions.c.scope == "public"
# Who has made the number grow holds its row until the end, so changes are seen by others in the order of their numbers.
_NEXT_PUBLIC = (
    update(tables.catalogue_revisions).where(_PUBLIC).values(revision=tables.catalogue_revisions.c.revision + 1)
)
_NOTE_PUBLIC = insert(tables.public_changes).from_select(
    ["revision", "image_id"],
    select(tables.catalogue_revisions.c.revision, bindparam("id", type_=tables.images.c.id.type)).where(_PUBLIC),
)
