"""Uploads on their way, kept in SQL.

The records make every crash harmless: whoever finds one whose writer is gone undoes the work that it names.
See ``data/uploads.py`` for the order of steps, and ``database/tables.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import Conflict, Gone
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.rows import ImageNotFound, Keep, changed, unheard
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


class UploadRecords:
    """The uploads of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_upload(self, upload: Upload, change: Callable[[Image], Image], keep: Keep = unheard) -> Image:
        """Note that bytes will be written, and change the image accordingly, in one step.

        ``keep`` hears of it when both are written.

        Raises:
            ImageNotFound: There is no such image.
        """

        def work(connection: Connection) -> Image:
            changes: list[tuple[Image, Image]] = []
            image = changed(connection, upload.image_id, change, lambda _, *images: changes.append(images))
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
            for before, after in changes:
                keep(connection, before, after)
            return image

        return self._database.write(work)

    def grow_upload(
        self, image_id: str, location: Location, size: int, excess: Callable[[Connection, str | None], int]
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
            room = size - max(0, excess(connection, row.owner))
            if room < size:
                connection.execute(update(table).where(*ours).values(size=room))
            return room

        return self._database.write(work)

    def finish_upload(
        self, image_id: str, location: Location, change: Callable[[Image], Image], keep: Keep = unheard
    ) -> Image:
        """Note that the bytes are durable and the image has them, in one step.

        ``keep`` hears of it when both are written.

        Raises:
            ImageGone: The image was deleted meanwhile.
            UploadLost: The upload was given up meanwhile.
        """

        def work(connection: Connection) -> Image:
            changes: list[tuple[Image, Image]] = []
            ended = _end_upload(connection, location)
            try:
                image = changed(
                    connection, image_id, change if ended else _same, lambda _, *images: changes.append(images)
                )
            except ImageNotFound as error:
                raise ImageGone(image_id) from error
            if not ended:
                raise UploadLost(image_id)
            connection.execute(
                insert(tables.image_locations),
                {
                    "image_id": image_id,
                    "position": 0,
                    "store": location.store,
                    "object_key": location.object_key,
                    "metadata": "{}",
                },
            )
            for before, after in changes:
                keep(connection, before, after)
            return image

        return self._database.write(work)

    def abandon_upload(
        self,
        image_id: str,
        location: Location,
        change: Callable[[Image], Image],
        keep: Keep = unheard,
        *,
        discarded_at: int | None,
    ) -> bool:
        """Note that the bytes will not come; return whether the upload was still recorded.

        ``change`` is made to the image if it is still there; ``keep`` hears of it.

        Args:
            discarded_at: Note the bytes, at this time, as discarded; ``None`` when there are none.
        """

        def work(connection: Connection) -> bool:
            if not _end_upload(connection, location):
                return False
            if discarded_at is not None:
                discard(connection, [location], discarded_at)
            with contextlib.suppress(ImageNotFound):  # deleted meanwhile: nothing to give back
                changed(connection, image_id, change, keep)
            return True

        return self._database.write(work)

    def take_over(self, upload: Upload, change: Callable[[Image], Image], now: int, keep: Keep = unheard) -> bool:
        """End an upload for its writer, which is gone, and note its bytes as discarded, in one step.

        ``keep`` hears of the image's change.

        Whoever removes bytes first takes them over: the writer may only have been slow, and finish now. Return
        ``False`` when it has, or has renewed its lease since ``upload`` was read.
        """

        def work(connection: Connection) -> bool:
            if not _end_upload(connection, upload.location, upload.expires_at):
                return False
            discard(connection, [upload.location], now)
            with contextlib.suppress(ImageNotFound):
                changed(connection, upload.image_id, change, keep)
            return True

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


def _same(image: Image) -> Image:
    return image


def _end_upload(connection: Connection, location: Location, expires_at: int | None = None) -> bool:
    table = tables.uploads
    statement = delete(table).where(table.c.store == location.store, table.c.object_key == location.object_key)
    if expires_at is not None:
        statement = statement.where(table.c.expires_at == expires_at)
    return connection.execute(statement).rowcount == 1
