"""By which mark each store is known, kept in SQL; see ``data/admission.py``."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headwater.database import tables
from headwater.database.engine import Database


class StoreMarkRows:
    """The marks of the stores of one database; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, name: str) -> str | None:
        """Return the mark of the store of this name; ``None`` when it has none yet."""
        query = select(tables.stores.c.identity).where(tables.stores.c.name == name)
        return self._database.read(lambda connection: connection.scalar(query))

    def keep(self, name: str, identity: str, now: int) -> str:
        """Keep the mark of a store that has none; return the one that is kept."""
        row = _row(name, identity, now)
        try:
            self._database.write(lambda connection: connection.execute(insert(tables.stores), row))
        except IntegrityError:
            return self.of(name) or identity  # of another process that starts now
        return identity

    def replace(self, name: str, identity: str, now: int) -> None:
        """Know the store of this name by another mark."""

        def work(connection: Connection) -> None:
            connection.execute(delete(tables.stores).where(tables.stores.c.name == name))
            connection.execute(insert(tables.stores), _row(name, identity, now))

        self._database.write(work)

    def sample(self, name: str, limit: int) -> list[str]:
        """Return the keys of some objects that lie in a store; by the ids of their images, which are random."""
        table = tables.image_locations
        query = select(table.c.object_key).where(table.c.store == name).order_by(table.c.image_id).limit(limit)
        return self._database.read(lambda connection: list(connection.scalars(query)))

    def is_catalogue_unused(self) -> bool:
        """Return whether there never was an image."""
        once = (tables.images, tables.deleted_images, tables.purged_images)
        queries = [select(table.c.id).limit(1) for table in once]
        return self._database.read(lambda connection: not any(map(connection.scalar, queries)))


def _row(name: str, identity: str, now: int) -> dict[str, object]:
    return {"name": name, "identity": identity, "admitted_at": now}
