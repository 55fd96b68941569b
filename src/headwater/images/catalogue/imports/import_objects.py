"""The objects of imports, kept in SQL: what is staged, and what an import writes until it is the image's.

A row is there before the first byte of its object, and goes in the transaction that gives the object to the image or
discards it; so a crash leaves a row, and whoever ends the import finds it. What an import writes belongs to its task:
the next run of the task discards what the run before left, or takes it over. What is staged belongs to the image, and
goes with it.

What a run says in its rows is its own: one that was taken over, and is not dead but slow, finds other words there, and
has lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import discard_import_objects
from headwater.images.catalogue.rows import locked, replaced
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.catalogue.upload_records import UploadLost, ended_upload
from headwater.images.catalogue.usage import Used
from headwater.images.model import Image, Location
from headwater.images.task import TaskStatus, TaskStatusConflict

_TABLE = tables.import_objects
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StagedObject:
    """Bytes that wait for their import, or that it has begun to write, and what is known of them."""

    location: Location
    size: int
    facts: Mapping[str, Any] = field(default_factory=dict)


class ImportObjectRows:
    """Those of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def staged(self, image_id: str) -> StagedObject | None:
        """Return what is staged for the image."""
        query = select(_TABLE).where(_TABLE.c.image_id == image_id, _TABLE.c.task_id.is_(None))
        row = self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            return None
        return StagedObject(Location(row.store, row.object_key), row.size, msgspec.json.decode(row.document))

    def taken_over(self, image_id: str, task_id: str, run: str) -> StagedObject | None:
        """Return the one object that an import has begun and said something of; from now on it is that of ``run``.

        Args:
            run: A word that no other run has; the object's ``facts`` have it as ``run``.
        """
        mine = and_(_TABLE.c.image_id == image_id, _TABLE.c.task_id == task_id)
        query = select(_TABLE).where(mine)
        if self._database.read(lambda connection: connection.execute(query).first()) is None:
            return None  # the usual answer, and it takes no lock

        def work(connection: Connection) -> StagedObject | None:
            rows = connection.execute(query.with_for_update()).all()
            said = msgspec.json.decode(rows[0].document) if len(rows) == 1 else {}
            if not said:
                return None
            said["run"] = run
            connection.execute(update(_TABLE).where(mine).values(document=_encoded(said)))
            return StagedObject(Location(rows[0].store, rows[0].object_key), rows[0].size, said)

        return self._database.write(work)

    def advanced(
        self,
        image_id: str,
        task_id: str,
        targets: Sequence[Location],
        done: int,
        total: int | None,
        *,
        said: Mapping[str, Any] = NOTHING,
        require_room: Callable[[Used], None],
    ) -> None:
        """Note how many bytes an import has moved, of how many, and that each target takes as many.

        Args:
            said: As of ``begun``.
            require_room: Raises when that is more than the image's owner may have.

        Raises:
            TaskStatusConflict: The import was ended by others.
            UploadLost: Others have taken a target away: the image is deleted, or the import runs elsewhere.
        """
        table = tables.tasks
        goes_on = and_(table.c.id == task_id, table.c.status == TaskStatus.PROCESSING.value)

        def work(connection: Connection) -> None:
            moved = update(table).where(goes_on).values(bytes_done=done, bytes_total=total)
            if connection.execute(moved).rowcount == 0:
                raise TaskStatusConflict(task_id, "its end", TaskStatus.PROCESSING)
            for target in targets:
                grown = update(_TABLE).where(_is(target), _TABLE.c.task_id == task_id, _says(said))
                if connection.execute(grown.values(size=max(done, total or 0))).rowcount == 0:
                    raise UploadLost(image_id)
            require_room(Used(connection))

        self._database.write(work)


# --- Steps of changes -----------------------------------------------------------------------------


def staged(image_id: str, found: StagedObject, change: Callable[[Image], Image]) -> Step[Image]:
    """Note that the bytes of an upload are durable and wait for their import.

    Raises:
        ImageGone: The image was deleted meanwhile.
        UploadLost: The upload was given up meanwhile.
    """

    def step(transaction: Transaction) -> Image:
        before = ended_upload(transaction, image_id, found.location)
        transaction.connection.execute(insert(_TABLE), _row(image_id, None, found.location, found.size, found.facts))
        return replaced(transaction, before, change(before))

    return step


def begun(
    image_id: str,
    task_id: str,
    targets: Sequence[Location],
    size: int | None,
    now: int,
    *,
    said: Mapping[str, Any] = NOTHING,
) -> Step[list[Location]]:
    """Note where a run of an import will write; what a run before it left is discarded, and returned.

    Args:
        said: What a later run has to know to take the objects over; see ``ImportObjectRows.taken_over``.

    Raises:
        ImageNotFound: There is no such image.
    """

    def step(transaction: Transaction) -> list[Location]:
        image = locked(transaction, image_id)
        left = discard_import_objects(transaction.connection, image_id, now, task_id=task_id)
        if targets:
            rows = [_row(image_id, task_id, target, size, said) for target in targets]
            transaction.connection.execute(insert(_TABLE), rows)
            transaction.grew(image.owner, "image_size_total")
        return left

    return step


def held(image_id: str, location: Location, said: Mapping[str, Any]) -> Step[list[Location]]:
    """Return, as ``begun`` does for objects of its own, nothing when a run still has what it has taken over.

    Raises:
        ImageNotFound: There is no such image.
        UploadLost: Others have taken it away.
    """

    def step(transaction: Transaction) -> list[Location]:
        locked(transaction, image_id)
        query = select(_TABLE.c.image_id).where(_is(location), _TABLE.c.image_id == image_id, _says(said))
        if transaction.connection.execute(query).first() is None:
            raise UploadLost(image_id)
        return []

    return step


def ended(
    image_id: str, given: Sequence[Location], now: int, *, said: Mapping[str, Any] = NOTHING
) -> Step[list[Location]]:
    """End the import of an image: of its objects, these are the image's from now on, and all others are discarded.

    Return the discarded. To be followed by what gives ``given`` to the image.

    Args:
        said: As of ``begun``.

    Raises:
        UploadLost: One of ``given`` is no object of the import any more.
    """

    def step(transaction: Transaction) -> list[Location]:
        connection = transaction.connection
        for location in given:
            is_ours = or_(_TABLE.c.task_id.is_(None), _says(said))
            statement = delete(_TABLE).where(_is(location), _TABLE.c.image_id == image_id, is_ours)
            if connection.execute(statement).rowcount == 0:
                raise UploadLost(image_id)
        return discard_import_objects(connection, image_id, now)

    return step


def failed(image_id: str, task_id: str, now: int) -> Step[list[Location]]:
    """Discard, and return, what an import has written; what is staged for the image waits for another import."""

    def step(transaction: Transaction) -> list[Location]:
        return discard_import_objects(transaction.connection, image_id, now, task_id=task_id)

    return step


def _is(location: Location) -> ColumnElement[bool]:
    return and_(_TABLE.c.store == location.store, _TABLE.c.object_key == location.object_key)


def _says(said: Mapping[str, Any]) -> ColumnElement[bool]:
    return _TABLE.c.document == _encoded(said)


def _encoded(said: Mapping[str, Any]) -> str:
    return msgspec.json.encode(dict(said), order="sorted").decode()


def _row(
    image_id: str, task_id: str | None, location: Location, size: int | None, facts: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "store": location.store,
        "object_key": location.object_key,
        "image_id": image_id,
        "task_id": task_id,
        "size": size,
        "document": _encoded(facts),
    }
