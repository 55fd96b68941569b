"""Uploads on their way, kept in SQL, and the steps of changes that begin and end them.

The records make every crash harmless: whoever finds one whose writer is gone undoes the work that it names.
See ``data/uploads.py`` for the order of steps, and ``database/tables.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import Conflict, Gone
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.images import changed
from headwater.images.catalogue.rows import ImageNotFound, if_there, locked, replaced
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.catalogue.usage import Used
from headwater.images.model import Image, Location


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
class Upload:
    """Bytes on their way, and who brings them."""

    image_id: str
    location: Location
    writer: str
    expires_at: int  # microseconds since 1970
    size: int | None = None  # bytes, as far as the client said


class UploadRows:
    """The uploads of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def grow_upload(
        self, image_id: str, location: Location, size: int, excess: Callable[[Used, str | None], int]
    ) -> int:
        """Note that ``size`` bytes come; return how many of them there is room for.

        Args:
            excess: Returns for the owner of the bytes how many of them are too many, when they are noted.

        Raises:
            UploadLost: The upload was given up meanwhile.
        """
        table = tables.uploads
        ours = (table.c.store == location.store, table.c.object_key == location.object_key)

        def work(connection: Connection) -> int:
            row = connection.execute(select(table.c.owner).where(*ours).with_for_update()).first()
            if row is None:
                raise UploadLost(image_id)
            connection.execute(update(table).where(*ours).values(size=size))
            room = size - max(0, excess(Used(connection), row.owner))
            if room < size:
                connection.execute(update(table).where(*ours).values(size=room))
            return room

        return self._database.write(work)

    def holds(self, image_id: str, location: Location) -> bool:
        """Return whether the bytes are the image's."""
        table = tables.image_locations
        query = select(table.c.position).where(
            table.c.image_id == image_id, table.c.store == location.store, table.c.object_key == location.object_key
        )
        return self._database.read(lambda connection: connection.execute(query).first()) is not None

    def renew_uploads(self, writer: str, expires_at: int) -> None:
        """Say that ``writer`` is alive."""
        statement = update(tables.uploads).where(tables.uploads.c.writer == writer).values(expires_at=expires_at)
        self._database.write(lambda connection: connection.execute(statement))

    def uploads(self) -> list[Upload]:
        """Return every upload that is recorded."""
        table = tables.uploads
        query = select(
            table.c.image_id, table.c.store, table.c.object_key, table.c.writer, table.c.expires_at, table.c.size
        )
        return self._database.read(
            lambda c: [Upload(row[0], Location(row[1], row[2]), *row[3:]) for row in c.execute(query)]
        )


# --- Steps of changes -----------------------------------------------------------------------------


def begun(upload: Upload, change: Callable[[Image], Image]) -> Step[Image]:
    """Note that bytes will be written, and change the image accordingly.

    Raises:
        ImageNotFound: There is no such image.
    """

    def step(transaction: Transaction) -> Image:
        connection = transaction.connection
        image = changed(upload.image_id, change)(transaction)
        # A row that an upload of a former life of this image left behind makes way; its bytes do not.
        left = connection.execute(
            select(tables.uploads.c.store, tables.uploads.c.object_key).where(
                tables.uploads.c.image_id == upload.image_id
            )
        ).all()
        if left:
            discard(connection, [Location(*row) for row in left], upload.expires_at)
            connection.execute(delete(tables.uploads).where(tables.uploads.c.image_id == upload.image_id))
        connection.execute(
            insert(tables.uploads),
            {
                "image_id": upload.image_id,
                "store": upload.location.store,
                "object_key": upload.location.object_key,
                "writer": upload.writer,
                "expires_at": upload.expires_at,
                "size": upload.size,
                "owner": image.owner,
            },
        )
        return image

    return step


def finished(image_id: str, location: Location, change: Callable[[Image], Image]) -> Step[Image]:
    """Note that the bytes are durable and the image has them.

    Raises:
        ImageGone: The image was deleted meanwhile.
        UploadLost: The upload was given up meanwhile.
    """

    def step(transaction: Transaction) -> Image:
        before = ended_upload(transaction, image_id, location)
        image = replaced(transaction, before, change(before))
        transaction.connection.execute(
            insert(tables.image_locations),
            {
                "image_id": image_id,
                "position": 0,
                "store": location.store,
                "object_key": location.object_key,
                "metadata": "{}",
            },
        )
        return image

    return step


def ended_upload(transaction: Transaction, image_id: str, location: Location) -> Image:
    """Drop the note of an upload whose bytes are durable, and return the image, locked.

    Raises:
        ImageGone: The image was deleted meanwhile.
        UploadLost: The upload was given up meanwhile.
    """
    is_ours = _end_upload(transaction.connection, location)
    try:
        image = locked(transaction, image_id)
    except ImageNotFound as error:
        raise ImageGone(image_id) from error
    if not is_ours:
        raise UploadLost(image_id)
    return image


def abandoned(
    image_id: str, location: Location, change: Callable[[Image], Image], *, discarded_at: int | None
) -> Step[bool]:
    """Note that the bytes will not come; return whether the upload was still recorded.

    ``change`` is made to the image if it is still there.

    Args:
        discarded_at: Note the bytes, at this time, as discarded; ``None`` when there are none.
    """

    def step(transaction: Transaction) -> bool:
        if not _end_upload(transaction.connection, location):
            return False
        if discarded_at is not None:
            discard(transaction.connection, [location], discarded_at)
        if_there(changed(image_id, change))(transaction)
        return True

    return step


def taken_over(upload: Upload, change: Callable[[Image], Image], now: int) -> Step[bool]:
    """End an upload for its writer, which is gone, and note its bytes as discarded.

    Whoever removes bytes first takes them over: the writer may only have been slow, and finish now. Return
    ``False`` when it has, or has renewed its lease since ``upload`` was read.
    """

    def step(transaction: Transaction) -> bool:
        if not _end_upload(transaction.connection, upload.location, upload.expires_at):
            return False
        discard(transaction.connection, [upload.location], now)
        if_there(changed(upload.image_id, change))(transaction)
        return True

    return step


def _end_upload(connection: Connection, location: Location, expires_at: int | None = None) -> bool:
    table = tables.uploads
    statement = delete(table).where(table.c.store == location.store, table.c.object_key == location.object_key)
    if expires_at is not None:
        statement = statement.where(table.c.expires_at == expires_at)
    return connection.execute(statement).rowcount == 1
