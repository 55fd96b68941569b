"""What guests fetched, kept in SQL: a row holds what one worker has seen of one instance within a moment.

Instances that are registered and those that a cloud knows have tables of their own, so that each row goes with its
machine.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from cachetools import LRUCache
from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import cloud_instances, cloud_visits, instance_visits, instances
from headwater.instances.boot_log.entries import Entry, decoded, encoded

KEPT = 600  # entries of one instance: some 20 boots, or 5 with all that cloud-init reports
_SLACK = KEPT // 4  # so many more before the oldest are removed
_AT_ONCE = 250  # instances in one statement; databases take 999 values and more
_TABLES = ((instances, instance_visits), (cloud_instances, cloud_visits))  # in this order a machine is looked for


class VisitRows:
    """The newest entries of each instance; safe to use from several threads, and by several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # How many entries of each instance were added since its oldest were removed last.
        self._added: LRUCache[str, int] = LRUCache(65536)

    def add(self, entries: Mapping[str, Sequence[Entry]]) -> None:
        """Keep entries by the id of their instance; those of instances that are gone are not."""
        rows: list[dict[str, str | int]] = [
            {
                "id": str(uuid.uuid4()),
                "instance_id": instance_id,
                "at": min(entry.at for entry in each),
                "entries": len(each),
                "document": encoded(each),
            }
            for instance_id, each in entries.items()
        ]
        visits: dict[str, Table] = {}
        for start in range(0, len(rows), _AT_ONCE):
            insertion = partial(_insert, rows[start : start + _AT_ONCE])
            try:
                visits |= self._database.write(insertion)
            except IntegrityError:  # one was removed meanwhile: the next look finds it gone
                visits |= self._database.write(insertion)
        for instance_id, table in visits.items():
            self._shrink(table, instance_id, len(entries[instance_id]))

    def of(self, instance_id: str, *, in_cloud: bool = False) -> list[Entry]:
        """Return the newest entries of an instance, the oldest first.

        Args:
            in_cloud: Whether a cloud knows it and nobody registered it.
        """
        columns = (cloud_visits if in_cloud else instance_visits).c
        query = (
            select(columns.document)
            .where(columns.instance_id == instance_id)
            .order_by(columns.at.desc(), columns.id)
            .limit(KEPT)
        )
        texts = self._database.read(lambda connection: connection.execute(query).scalars().all())
        entries = [entry for text in texts for entry in decoded(text)]
        return sorted(entries, key=lambda entry: entry.at)[-KEPT:]

    def _shrink(self, visits: Table, instance_id: str, added: int) -> None:
        count = self._added.get(instance_id, 0) + added
        if count < _SLACK:
            self._added[instance_id] = count
            return
        self._added[instance_id] = 0
        query = (
            select(visits.c.id, visits.c.entries)
            .where(visits.c.instance_id == instance_id)
            .order_by(visits.c.at.desc(), visits.c.id)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        total, old = 0, []
        for row in rows:
            if total >= KEPT:
                old.append(row.id)
            total += row.entries
        for start in range(0, len(old), _AT_ONCE):
            self._database.write(partial(_remove, visits, old[start : start + _AT_ONCE]))


def _insert(rows: Sequence[Mapping[str, str | int]], connection: Connection) -> dict[str, Table]:
    """Keep the rows of machines that are there; return where those of each are."""
    found: dict[str, Table] = {}
    for machines, visits in _TABLES:
        wanted = [row for row in rows if row["instance_id"] not in found]
        if not wanted:
            break
        known = select(machines.c.id).where(machines.c.id.in_([row["instance_id"] for row in wanted]))
        there = set(connection.execute(known).scalars())
        if kept := [row for row in wanted if row["instance_id"] in there]:
            connection.execute(insert(visits), kept)
            found |= dict.fromkeys(there, visits)
    return found


def _remove(visits: Table, ids: Sequence[str], connection: Connection) -> None:
    connection.execute(delete(visits).where(visits.c.id.in_(ids)))
