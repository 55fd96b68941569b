"""Objects that nobody needs any more and that may still lie in a store, kept in SQL until they are removed.

An object is noted here in the transaction that lets go of it, and forgotten when its store has removed it: a
crash between the two leaves a note, which ``data/sweeping.py`` follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.model import Location

_LONGEST = 1024  # characters of a reason


@dataclass(frozen=True, slots=True)
class DiscardedObject:
    """An object that nobody needs and that may still be there."""

    at: Location
    discarded_at: int  # microseconds since 1970
    attempts: int = 0  # how often its store did not remove it
    tried_at: int | None = None
    error: str | None = None  # why it was not removed then


class DiscardedObjectRows:
    """The discarded objects of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def oldest(self, limit: int) -> list[Location]:
        """Return bytes that nobody needs and that may still be there, oldest first."""
        table = tables.discarded_objects
        query = select(table.c.store, table.c.object_key).order_by(table.c.discarded_at).limit(limit)
        return self._database.read(lambda c: [Location(*row) for row in c.execute(query)])

    def of_store(self, store: str, after: str, limit: int) -> list[Location]:
        """Return bytes of one store that nobody needs and that may still be there, in the order of their keys.

        Args:
            after: Only those whose keys come after this one; empty: all.
        """
        table = tables.discarded_objects
        query = select(table.c.object_key).where(table.c.store == store, table.c.object_key > after)
        query = query.order_by(table.c.object_key).limit(limit)
        return self._database.read(lambda c: [Location(store, key) for key in c.scalars(query)])

    def page(self, limit: int, after: Location | None = None) -> list[DiscardedObject]:
        """Return what is known of objects, in the order of their stores and keys.

        Args:
            after: Only those that come after this one.
        """
        table = tables.discarded_objects.c
        columns = (table.store, table.object_key, table.discarded_at, table.attempts, table.tried_at, table.error)
        query = select(*columns).order_by(table.store, table.object_key).limit(limit)
        if after is not None:
            # Said in two steps, as no index is used for the second alone.
            beyond = or_(table.store > after.store, table.object_key > after.object_key)
            query = query.where(table.store >= after.store, beyond)
        return self._database.read(
            lambda c: [DiscardedObject(Location(row[0], row[1]), *row[2:]) for row in c.execute(query)]
        )

    def count(self) -> dict[str, int]:
        """Return for each store how many objects nobody needs that may still be there."""
        table = tables.discarded_objects
        query = select(table.c.store, func.count()).group_by(table.c.store)
        return self._database.read(lambda c: {row[0]: row[1] for row in c.execute(query)})

    def stays(self, location: Location, reason: str, now: int) -> None:
        """Note that the store did not remove these bytes, and why."""
        table = tables.discarded_objects
        statement = update(table).where(table.c.store == location.store, table.c.object_key == location.object_key)
        known = {"attempts": table.c.attempts + 1, "tried_at": now, "error": reason[:_LONGEST]}
        self._database.write(lambda connection: connection.execute(statement.values(known)))

    def forget(self, location: Location) -> None:
        """Note that these bytes are removed."""
        table = tables.discarded_objects
        statement = delete(table).where(table.c.store == location.store, table.c.object_key == location.object_key)
        self._database.write(lambda connection: connection.execute(statement))


def discard(connection: Connection, locations: Iterable[Location], now: int) -> None:
    """Note bytes that nobody needs any more; those of others are theirs to keep."""
    rows = [
        {"store": at.store, "object_key": at.object_key, "discarded_at": now} for at in locations if not at.is_external
    ]
    if rows:
        connection.execute(insert(tables.discarded_objects), rows)


def discard_import_objects(
    connection: Connection, image_id: str, now: int, *, task_id: str | None = None
) -> list[Location]:
    """Discard what is staged or imported for an image, or what one task imports, and return it."""
    table = tables.import_objects
    which = table.c.image_id == image_id
    if task_id is not None:
        which = and_(which, table.c.task_id == task_id)
    left = [Location(*row) for row in connection.execute(select(table.c.store, table.c.object_key).where(which))]
    if left:
        discard(connection, left, now)
        connection.execute(delete(table).where(which))
    return left
