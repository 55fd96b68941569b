"""Which state of which instance is current: the cheap questions that are asked for each answer, in SQL.

What an instance is known by (an address, a secret path, what its hardware says) leads to its edition, and only a new
edition to its record. One number tells whether anything has changed at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from headwater.database.engine import Database
from headwater.database.tables import catalogue_revisions, instance_addresses, instance_seeds, instances
from headwater.instances.addresses import on_network, parted
from headwater.instances.registry.hardware import Identifier
from headwater.instances.registry.macs import EDITION_BY

_IDS_AT_ONCE: Final = 500  # in one statement; SQLite took 999 values for long

_REVISION = select(catalogue_revisions.c.revision).where(catalogue_revisions.c.scope == "instances")
# What every change of an instance executes, and of what one is known by.
COUNTED: Final = (
    update(catalogue_revisions)
    .where(catalogue_revisions.c.scope == "instances")
    .values(revision=catalogue_revisions.c.revision + 1)
)

# Asked for guests again and again, so it is put together once.
_AT = (
    select(instance_addresses.c.address, instances.c.id, instances.c.revision, instances.c.updated_at)
    .join_from(instance_addresses, instances, instances.c.id == instance_addresses.c.instance_id)
    .where(
        instance_addresses.c.address.in_(bindparam("addresses", expanding=True)),
        instance_addresses.c.network == bindparam("network"),
    )
)
_OF = select(instances.c.id, instances.c.revision, instances.c.updated_at).where(instances.c.id == bindparam("id"))
_OF_SEED = (
    select(instances.c.id, instances.c.revision, instances.c.updated_at)
    .join_from(instance_seeds, instances, instances.c.id == instance_seeds.c.instance_id)
    .where(instance_seeds.c.digest == bindparam("digest"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Which state of which instance: equal editions have equal documents."""

    instance_id: str
    revision: int
    updated_at: int  # microseconds since 1970, UTC


class Editions:
    """What is current; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """Return what is another number after each change of an instance, and of what one is known by."""
        return int(self._database.read(lambda connection: connection.execute(_REVISION).scalar_one()))

    def revisions(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """Return the revision of each of these instances that there is."""
        found: dict[str, int] = {}
        for start in range(0, len(instance_ids), _IDS_AT_ONCE):
            found |= self._database.read(partial(_revisions, instance_ids[start : start + _IDS_AT_ONCE]))
        return found

    def at(self, addresses: Iterable[str]) -> dict[str, Edition]:
        """Return which instances have these addresses, in which state: one cheap question for those of one network.

        Args:
            addresses: In their canonical form; one that nobody has is left out of the answer.
        """
        of_networks: dict[str, list[str]] = {}
        for address in addresses:
            network, plain = parted(address)
            of_networks.setdefault(network, []).append(plain)
        found: dict[str, Edition] = {}
        for network, plains in of_networks.items():
            for start in range(0, len(plains), _IDS_AT_ONCE):
                found |= self._database.read(partial(_found_at, network, plains[start : start + _IDS_AT_ONCE]))
        return found

    def of(self, instance_id: str) -> Edition | None:
        """Return in which state an instance is."""
        return self._one(_OF, {"id": instance_id})

    def of_seed(self, digest: str) -> Edition | None:
        """Return which instance has a secret path, in which state."""
        return self._one(_OF_SEED, {"digest": digest})

    def known_by(self, identifier: Identifier) -> Edition | None:
        """Return in which state the one instance is that an identifier means; ``None``: it means none, or several."""
        query, of = EDITION_BY[identifier.kind], {"values": list(identifier.values)}
        rows = self._database.read(lambda connection: connection.execute(query, of).all())
        if len(rows) != 1:
            return None
        return _edition(rows[0])

    def _one(self, query: Select[Any], of: dict[str, str]) -> Edition | None:
        row = self._database.read(lambda connection: connection.execute(query, of).one_or_none())
        return None if row is None else _edition(row)


def _edition(row: Row[*tuple[Any, ...]]) -> Edition:
    return Edition(instance_id=row.id, revision=row.revision, updated_at=row.updated_at)


def _found_at(network: str, addresses: Sequence[str], connection: Connection) -> dict[str, Edition]:
    rows = connection.execute(_AT, {"addresses": addresses, "network": network})
    return {on_network(network, row.address): _edition(row) for row in rows}


def _revisions(instance_ids: Sequence[str], connection: Connection) -> dict[str, int]:
    query = select(instances.c.id, instances.c.revision).where(instances.c.id.in_(instance_ids))
    return {row.id: row.revision for row in connection.execute(query)}
