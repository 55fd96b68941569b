"""What guests fetched, kept in SQL: a row holds what one worker has seen of one instance within a moment."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from cachetools import LRUCache
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import instance_visits, instances
from headwater.instances.boot_log.entries import Entry, decoded, encoded

KEPT = 600  # entries of one instance: some 20 boots, or 5 with all that cloud-init reports
_SLACK = KEPT // 4  # so many more before the oldest are removed
_AT_ONCE = 250  # instances in one statement; databases take 999 values and more
_COLUMNS = instance_visits.c


class VisitRows:
    """The newest entries of each instance; safe to use from several threads, and by several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # How many entries of each instance were added since its oldest were removed last.
        self._added: LRUCache[str, int] = LRUCache(65536)

    def add(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Keep entries by the id of their instance; those of instances that are gone are not."""
        rows = [
            {
                "id": str(uuid.uuid4()),
                "instance_id": instance_id,
                "at": min(entry.at for entry in each),
                "entries": len(each),
                "document": encoded(each),
            }
            for instance_id, each in entries.items()
        ]
        for start in range(0, len(rows), _AT_ONCE):
            insertion = partial(_insert, rows[start : start + _AT_ONCE])
            try:
                self._database.write(insertion)
            except IntegrityError:  # one was removed meanwhile: the next look finds it gone
                self._database.write(insertion)
        for instance_id, each in entries.items():
            self._shrink(instance_id, len(each))

    def of(self, instance_id: str) -> list[Entry]:
        """Return the newest entries of an instance, the oldest first."""
        query = (
            select(_COLUMNS.document)
            .where(_COLUMNS.instance_id == instance_id)
            .order_by(_COLUMNS.at.desc(), _COLUMNS.id)
            .limit(KEPT)
        )
        texts = self._database.read(lambda connection: connection.execute(query).scalars().all())
        entries = [entry for text in texts for entry in decoded(text)]
        return sorted(entries, key=lambda entry: entry.at)[-KEPT:]

    def _shrink(self, instance_id: str, added: int) -> None:
        count = self._added.get(instance_id, 0) + added
        if count < _SLACK:
            self._added[instance_id] = count
            return
        self._added[instance_id] = 0
        query = (
            select(_COLUMNS.id, _COLUMNS.entries)
            .where(_COLUMNS.instance_id == instance_id)
            .order_by(_COLUMNS.at.desc(), _COLUMNS.id)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        total, old = 0, []
        for row in rows:
            if total >= KEPT:
                old.append(row.id)
            total += row.entries
        for start in range(0, len(old), _AT_ONCE):
            self._database.write(partial(_remove, old[start : start + _AT_ONCE]))


def _insert(rows: Sequence[Mapping[str, object]], connection: Connection) -> None:
    known = select(instances.c.id).where(instances.c.id.in_([row["instance_id"] for row in rows]))
    there = set(connection.execute(known).scalars())
    if kept := [row for row in rows if row["instance_id"] in there]:
        connection.execute(insert(instance_visits), kept)


def _remove(ids: Sequence[str], connection: Connection) -> None:
    connection.execute(delete(instance_visits).where(_COLUMNS.id.in_(ids)))
