"""Images as a controller of Juju knows them, kept in SQL: what ``import-metadata`` took, and ``add-image`` named.

Every replica asks the same rows. They are told apart as Juju does it; saving one that is there changes its id only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.database.tables import controller_images
from headwater.streams.lookup.images import FoundImage
from headwater.streams.lookup.search import CUSTOM
from headwater.streams.lookup.search_path import CUSTOM_CLOUD

_KEYS: Final = ("id", "region", "version", "arch", "endpoint", "virt", "root_store", "root_store_size", "stream")
_ATTEMPTS: Final = 5
_PAGE: Final = 500


class ControllerImageRows:
    """The records of one database; safe to use from several threads and processes."""

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database, self._clock = database, clock

    def all(self) -> list[FoundImage]:
        """Return them, the oldest first."""
        found: list[tuple[int, FoundImage]] = []
        after = ""
        while rows := self._database.read(partial(_page, after)):
            found += [(created_at, _record(document)) for _, created_at, document in rows]
            after = rows[-1][0]
        return [record for _, record in sorted(found, key=lambda each: (each[0], each[1].identity))]

    def add(self, images: Sequence[FoundImage]) -> tuple[int, int]:
        """Keep images, all or none; return how many are new, and how many changed the id of a record there was."""
        return self._tried(images, changes=True)

    def add_unknown(self, images: Sequence[FoundImage]) -> int:
        """Keep those images of whose identity there is no record, and return how many."""
        return self._tried(images, changes=False)[0]

    def delete(self, image_id: str) -> int:
        """Remove every record of an image, and return how many there were."""
        gone = [_identity(record) for record in self.all() if record.id == image_id]

        def work(connection: Connection) -> int:
            of_it = controller_images.c.identity.in_(gone)
            return int(connection.execute(delete(controller_images).where(of_it)).rowcount)

        return self._database.write(work) if gone else 0

    def _tried(self, images: Sequence[FoundImage], *, changes: bool) -> tuple[int, int]:
        work = partial(_put, {_identity(image): image for image in images}, self._clock(), changes=changes)
        for last in (*[False] * (_ATTEMPTS - 1), True):
            try:
                return self._database.write(work)
            except IntegrityError:  # somebody else kept one of them first
                if last:
                    raise
        raise AssertionError


def _put(wanted: dict[str, FoundImage], at: int, connection: Connection, *, changes: bool) -> tuple[int, int]:
    new = changed = 0
    for identity in sorted(wanted):  # in one order: two processes never wait for each other
        image, is_it = wanted[identity], controller_images.c.identity == identity
        there = connection.execute(select(controller_images.c.document).where(is_it)).scalar()
        if there is None:
            row = {"identity": identity, "created_at": at, "document": _document(image)}
            connection.execute(insert(controller_images).values(row))
            new += 1
        elif changes and (record := _record(there)).id != image.id:
            document = _document(replace(record, id=image.id))
            connection.execute(update(controller_images).where(is_it).values(document=document))
            changed += 1
    return new, changed


def _page(after: str, connection: Connection) -> Sequence[Any]:
    table = controller_images.c
    query = select(table.identity, table.created_at, table.document).where(table.identity > after)
    return connection.execute(query.order_by(table.identity).limit(_PAGE)).all()


def _identity(image: FoundImage) -> str:
    return hashlib.sha256(json.dumps(image.identity).encode()).hexdigest()


def _document(image: FoundImage) -> str:
    return json.dumps({name: value for name in _KEYS if (value := getattr(image, name))})


def _record(document: str) -> FoundImage:
    facts = json.loads(document)
    known: Iterable[tuple[str, Any]] = ((name, facts[name]) for name in _KEYS if name in facts)
    return FoundImage(**{"region": "", "version": "", "arch": "", **dict(known)}, source=CUSTOM, priority=CUSTOM_CLOUD)
