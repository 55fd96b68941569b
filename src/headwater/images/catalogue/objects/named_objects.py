"""Which objects rows name: those of images, those on their way, and those that wait for their removal.

Every key of ours begins with the id of its image, so both directions go by indexes: from a store's keys to the rows,
and from the rows to what a store should have, page after page. A catalogue of any size is compared in little memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, or_, select

from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.deletions.pending_deletes import objects_of
from headwater.images.model import Location

PAGE = 500

_objects = tables.import_objects.c
_locations = tables.image_locations.c
_STAGED = (
    select(_objects.image_id, _objects.object_key, _objects.size)
    .where(_objects.task_id.is_(None))
    .order_by(_objects.object_key)
)
_HELD_FROM = tables.image_locations.join(tables.images, tables.images.c.id == _locations.image_id)
_HELD = (
    select(_locations.image_id, _locations.position, _locations.object_key, tables.images.c.size, _locations.verdict)
    .select_from(_HELD_FROM)
    .order_by(_locations.image_id, _locations.position)
)

_KEY = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[0-9a-f]{16}")


def image_of(object_key: str) -> str | None:
    """Return the id of the image that an object was made for; ``None``: nobody gives objects such keys."""
    found = _KEY.fullmatch(object_key)
    return found[1] if found is not None else None


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object that should be whole in its store, because an image has it or an import waits for it."""

    image_id: str
    at: Location
    size: int | None  # bytes; ``None``: no row says
    is_staged: bool = False
    verdict: str | None = None  # as of an ``ImageLocation``


class NamedObjects:
    """Those of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def named(self, store: str, keys: Sequence[str]) -> set[str]:
        """Return which of these keys of a store some row names."""
        ids = {image_id for key in keys if (image_id := image_of(key)) is not None}
        others = [key for key in keys if image_of(key) is None]

        def work(connection: Connection) -> set[str]:
            found: set[str] = set()
            looks: tuple[tuple[Table, ColumnElement[bool]], ...] = (
                (tables.uploads, tables.uploads.c.image_id.in_(ids)),
                (tables.resumable_uploads, tables.resumable_uploads.c.image_id.in_(ids)),
                (tables.import_objects, tables.import_objects.c.object_key.in_(keys)),
                (tables.image_locations, tables.image_locations.c.image_id.in_(ids)),
                (tables.pending_deletes, tables.pending_deletes.c.image_id.in_(ids)),
                (tables.image_locations, tables.image_locations.c.image_id.in_(ids)),  # what was restored meanwhile
                (tables.discarded_objects, tables.discarded_objects.c.object_key.in_(keys)),
            )
            # In the order in which an object goes from table to table, so that none slips through between two looks.
            for table, here in looks:
                if table is tables.pending_deletes:
                    found.update(objects_of(connection, store, here))
                    continue
                found.update(connection.scalars(select(table.c.object_key).where(table.c.store == store, here)))
            if others:  # no index helps, and no release has given such keys
                here = tables.image_locations.c.object_key.in_(others)
                query = select(_locations.object_key).where(_locations.store == store, here)
                found.update(connection.scalars(query))
            return found.intersection(keys)

        return self._database.read(work)

    def known_images(self, ids: Iterable[str]) -> set[str]:
        """Return which of these images there are, or ever were."""
        wanted = list(ids)
        once = (tables.images, tables.deleted_images, tables.purged_images)
        queries = [select(table.c.id).where(table.c.id.in_(wanted)) for table in once]
        return self._database.read(lambda connection: {each for query in queries for each in connection.scalars(query)})

    def of_store(self, store: str) -> Iterator[NamedObject]:
        """Yield what should be whole in a store, first what is staged, then what images have."""
        after_key = ""
        while rows := self._page(_STAGED.where(_objects.store == store, _objects.object_key > after_key)):
            for image_id, key, size in rows:
                yield NamedObject(image_id, Location(store, key), size, is_staged=True)
            after_key = rows[-1].object_key
        after = ("", -1)
        while rows := self._page(_HELD.where(_locations.store == store, _comes_after(*after))):
            for image_id, _position, key, size, verdict in rows:
                at = Location(store, key)
                if not at.is_external:
                    yield NamedObject(image_id, at, size, verdict=verdict)
            after = (rows[-1].image_id, rows[-1].position)

    def total(self, store: str) -> int:
        """Return how many bytes the images have in a store."""
        query = select(func.coalesce(func.sum(tables.images.c.size), 0)).select_from(_HELD_FROM)
        return self._database.read(lambda c: int(c.scalar(query.where(_locations.store == store)) or 0))

    def still_names(self, named: NamedObject) -> bool:
        """Return whether its row is there now."""
        if named.is_staged:
            query = _STAGED.where(_objects.store == named.at.store, _objects.object_key == named.at.object_key)
        else:
            of_image = and_(_locations.image_id == named.image_id, _locations.store == named.at.store)
            query = _HELD.where(of_image, _locations.object_key == named.at.object_key)
        return bool(self._page(query))

    def _page(self, query: Select[Any]) -> Sequence[Any]:
        return self._database.read(lambda connection: connection.execute(query.limit(PAGE)).all())


def _comes_after(image_id: str, position: int) -> ColumnElement[bool]:
    # The first half says nothing new; with it alone every database begins at that row of the index.
    return and_(_locations.image_id >= image_id, or_(_locations.image_id > image_id, _locations.position > position))
