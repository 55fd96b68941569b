"""Uploads that outlive their connection, kept in SQL.

While its bytes are on their way, such an upload has two rows: one in ``uploads``, as every upload has, which counts for
quotas and is cleared as others are when its time is over; and one of its own, for what a client is told.

Whoever works on it claims it first: the ``writer`` of the row in ``uploads`` becomes a word that nobody else knows. For
an older claim nothing is written any more, so a worker that was thought to be gone does no harm when it goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, select, update

from headwater.database.engine import Database
from headwater.database.tables import images, resumable_uploads, uploads
from headwater.errors import NotFound
from headwater.images.catalogue import upload_records
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.catalogue.upload_records import Upload, UploadLost
from headwater.images.model import Image, Location


class UploadNotFound(NotFound):
    """There is no such upload, or its time is over."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"There is no upload {upload_id[:64]!r} that could be resumed: it is over, or was never begun")
        self.upload_id = upload_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumableUpload:
    """One upload, as its client knows it."""

    id: str
    image_id: str
    location: Location
    expires_at: int  # microseconds since 1970
    length: int | None = None  # of all the data, in bytes, once the client has said so
    received: int = 0  # bytes that the client was told to be kept
    digests: Mapping[str, str] = field(default_factory=dict)  # what all the data must hash to, hex by hashlib's names
    is_complete: bool = False


def new_claim() -> str:
    """Return the word of a new claim. No process is named so, and so only its time ends it."""
    return f"resumable/{secrets.token_hex(16)}"


class ResumableUploadRows:
    """The uploads of one database that can be resumed; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, image_id: str, upload_id: str) -> ResumableUpload:
        """Return one upload or raise ``UploadNotFound``."""
        table = resumable_uploads
        query = select(table).where(table.c.id == upload_id, table.c.image_id == image_id)
        row = self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise UploadNotFound(upload_id)
        return ResumableUpload(
            id=row.id,
            image_id=row.image_id,
            location=Location(row.store, row.object_key),
            expires_at=row.expires_at,
            length=row.length,
            received=row.received,
            digests=msgspec.json.decode(row.digests),
            is_complete=row.is_complete,
        )

    def under_way(self, image_id: str) -> str | None:
        """Return the id of the upload that brings the data of an image; ``None``: it has none that can be resumed."""
        query = (
            select(resumable_uploads.c.id)
            .join(uploads, _same_place())
            .where(resumable_uploads.c.image_id == image_id, resumable_uploads.c.is_complete.is_(False))
        )
        found: str | None = self._database.read(lambda connection: connection.scalar(query))
        return found

    def claim(self, upload: ResumableUpload, claim: str, expires_at: int) -> None:
        """Take the upload over from whoever works on it.

        Raises:
            UploadNotFound: It is over.
        """

        def work(connection: Connection) -> None:
            ours = update(uploads).where(*_lies_at(upload.location)).values(writer=claim, expires_at=expires_at)
            if connection.execute(ours).rowcount != 1:
                raise UploadNotFound(upload.id)
            _changed(connection, upload, expires_at=expires_at)

        self._database.write(work)

    def holds(self, upload: ResumableUpload, claim: str) -> bool:
        """Return whether nobody has claimed or ended the upload since."""
        query = select(uploads.c.image_id).where(*_lies_at(upload.location), uploads.c.writer == claim)
        return self._database.read(lambda connection: connection.execute(query).first()) is not None

    def record(
        self, upload: ResumableUpload, claim: str, *, received: int, length: int | None, expires_at: int
    ) -> None:
        """Note what is known of the upload now.

        Raises:
            UploadLost: Somebody else has claimed or ended it.
        """

        def work(connection: Connection) -> None:
            ours = update(uploads).where(*_lies_at(upload.location), uploads.c.writer == claim)
            if connection.execute(ours.values(expires_at=expires_at)).rowcount != 1:
                raise UploadLost(upload.image_id)
            _changed(connection, upload, received=received, length=length, expires_at=expires_at)

        self._database.write(work)

    def hold_to(self, upload: ResumableUpload, claim: str) -> None:
        """Note what all the data must hash to.

        Raises:
            UploadLost: Somebody else has claimed or ended it.
        """

        def work(connection: Connection) -> None:
            _require_held(connection, upload, claim)
            _changed(connection, upload, digests=msgspec.json.encode(upload.digests).decode())

        self._database.write(work)

    def orphans(self) -> list[Upload]:
        """Return those whose image was deleted."""
        query = (
            select(uploads.c.image_id, uploads.c.store, uploads.c.object_key, uploads.c.writer, uploads.c.expires_at)
            .select_from(resumable_uploads)
            .join(uploads, _same_place())
            .where(~exists().where(images.c.id == uploads.c.image_id))
        )
        return self._database.read(
            lambda c: [Upload(row[0], Location(row[1], row[2]), *row[3:]) for row in c.execute(query)]
        )

    def forget_over(self, now: int) -> int:
        """Forget those whose time is over, and those that were ended without their client; return how many."""
        table = resumable_uploads
        ended = and_(table.c.is_complete.is_(False), ~exists().where(_same_place()))
        over = select(table.c.id).where((table.c.expires_at < now) | ended)

        def work(connection: Connection) -> int:
            ids = list(connection.scalars(over))
            return connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount if ids else 0

        return self._database.write(work)


# --- Steps of changes -----------------------------------------------------------------------------


def begun(upload: ResumableUpload, claim: str, change: Callable[[Image], Image]) -> Step[Image]:
    """Note that bytes will come, and change the image accordingly."""

    def step(transaction: Transaction) -> Image:
        record = Upload(upload.image_id, upload.location, claim, upload.expires_at, upload.length)
        image = upload_records.begun(record, change)(transaction)
        transaction.connection.execute(
            insert(resumable_uploads),
            {
                "id": upload.id,
                "image_id": upload.image_id,
                "store": upload.location.store,
                "object_key": upload.location.object_key,
                "length": upload.length,
                "received": upload.received,
                "digests": msgspec.json.encode(upload.digests).decode(),
                "is_complete": upload.is_complete,
                "expires_at": upload.expires_at,
            },
        )
        return image

    return step


def finished(upload: ResumableUpload, claim: str, size: int, arrival: Step[Image]) -> Step[Image]:
    """Note that all bytes are durable, and let them arrive; its client can still ask.

    Raises:
        UploadLost: Somebody else has claimed or ended it.
        ImageGone: The image was deleted meanwhile.
    """

    def step(transaction: Transaction) -> Image:
        _require_held(transaction.connection, upload, claim)
        _changed(transaction.connection, upload, received=size, length=size, is_complete=True)
        return arrival(transaction)

    return step


def ended(upload: ResumableUpload, claim: str, change: Callable[[Image], Image], now: int) -> Step[bool]:
    """Note that no more bytes will come, and that those which came are discarded; change the image if it is there.

    Raises:
        UploadLost: Somebody else has claimed or ended it.
    """

    def step(transaction: Transaction) -> bool:
        _require_held(transaction.connection, upload, claim)
        transaction.connection.execute(delete(resumable_uploads).where(resumable_uploads.c.id == upload.id))
        return upload_records.abandoned(upload.image_id, upload.location, change, discarded_at=now)(transaction)

    return step


def _require_held(connection: Connection, upload: ResumableUpload, claim: str) -> None:
    held = select(uploads.c.image_id).where(*_lies_at(upload.location), uploads.c.writer == claim)
    if connection.execute(held.with_for_update()).first() is None:
        raise UploadLost(upload.image_id)


def _changed(connection: Connection, upload: ResumableUpload, **values: object) -> None:
    connection.execute(update(resumable_uploads).where(resumable_uploads.c.id == upload.id).values(values))


def _lies_at(location: Location) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return uploads.c.store == location.store, uploads.c.object_key == location.object_key


def _same_place() -> ColumnElement[bool]:
    return and_(
        uploads.c.image_id == resumable_uploads.c.image_id,
        uploads.c.store == resumable_uploads.c.store,
        uploads.c.object_key == resumable_uploads.c.object_key,
    )
