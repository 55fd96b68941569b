"""Which machine of a cloud has which address, kept in SQL beside the machines: one row of theirs for each address.

Its id is the address, as no machine's can be, its name the machine's id, and it has no document, which is what finds
machines. So whoever asks the cloud is told by the same claims (``rows.py``), and a release that knows machines only
forgets it as one that the cloud does not have.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import cloud_instances

_COLUMNS = cloud_instances.c
_PREFIX: Final = "ip"
_AT_ONCE: Final = 100  # in one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """What the cloud said of one address."""

    instance_id: str
    loaded_at: int  # when it said so, in microseconds since 1970, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAddress:
    """A row."""

    said: At | None  # None: nothing yet
    gone_at: None = None  # an address that no machine has is not kept

    @property
    def loaded_at(self) -> int | None:
        """When the cloud said it; ``None``: nothing yet."""
        return None if self.said is None else self.said.loaded_at

    @property
    def is_readable(self) -> bool:
        """Whether what the cloud said can be told."""
        return self.said is not None


def row_id(address: str) -> str:
    """Return the id of the row of an address: 36 characters at most."""
    parsed = ipaddress.ip_address(address)
    return f"{_PREFIX}{parsed.version}:{parsed.packed.hex()}"


def is_of_address() -> ColumnElement[bool]:
    """Return what the rows of addresses fulfil, and those of machines do not."""
    return _COLUMNS.id.like(f"{_PREFIX}%")


class AddressRows:
    """What is kept of addresses; safe to use from several threads, and by several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, row: str) -> KeptAddress | None:
        """Return what is kept of the address of ``row_id``."""
        query = select(_COLUMNS.name, _COLUMNS.loaded_at).where(_COLUMNS.id == row)
        found = self._database.read(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            return None
        if found.name is None or found.loaded_at is None:
            return KeptAddress(said=None)
        return KeptAddress(said=At(instance_id=found.name, loaded_at=found.loaded_at))

    def write(self, said: Mapping[str, At]) -> None:
        """Keep what the cloud said, by ``row_id``, which ends the claims; what it has said since stays."""
        every = sorted(said.items())
        for start in range(0, len(every), _AT_ONCE):
            part = every[start : start + _AT_ONCE]

            def work(connection: Connection, part: list[tuple[str, At]] = part) -> None:
                for row, at in part:
                    told = {"name": at.instance_id, "loaded_at": at.loaded_at, "confirmed_at": at.loaded_at}
                    there = _COLUMNS.id == row
                    is_older = or_(_COLUMNS.loaded_at.is_(None), _COLUMNS.loaded_at <= at.loaded_at)
                    one = update(cloud_instances).where(there, is_older).values(**told, asked_until=None)
                    if connection.execute(one).rowcount == 0 and not connection.scalar(
                        select(_COLUMNS.id).where(there)
                    ):
                        connection.execute(insert(cloud_instances).values(id=row, **told))

            try:
                self._database.write(work)
            except IntegrityError:  # another process has just begun to ask for one
                self._database.write(work)

    def remove_old(self, before: int, limit: int) -> int:
        """Forget addresses of which the cloud has said nothing since ``before``; return how many, ``limit`` at most."""
        query = select(_COLUMNS.id).where(_COLUMNS.confirmed_at < before, is_of_address()).limit(limit)
        found = self._database.read(lambda connection: list(connection.scalars(query)))
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            old = delete(cloud_instances).where(_COLUMNS.id.in_(part), _COLUMNS.confirmed_at < before)
            self._database.write(lambda connection, old=old: connection.execute(old))  # type: ignore[misc]  # binds this turn's
        return len(found)
