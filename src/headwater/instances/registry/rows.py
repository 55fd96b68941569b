"""The instances of the catalogue, kept in SQL.

A row's document holds the instance and, beside it, what it was before its last change: a guest may
be half-way through reading the older one, and any process must be able to finish that answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import instance_addresses, instances
from headwater.errors import HeadwaterError, Unavailable
from headwater.instances.addresses import on_network, parted
from headwater.instances.errors import (
    InstanceChanged,
    InstanceExists,
    InstanceNotFound,
    InstanceTooLarge,
)
from headwater.instances.model import USER_DATA_LIMIT, Instance
from headwater.instances.names import is_uuid
from headwater.instances.registry.editions import COUNTED, Editions
from headwater.instances.registry.macs import write_macs

T = TypeVar("T")

# Hears in the transaction what an instance was (``None``: it is new) and is (``None``: it goes). What it writes is kept
# with the change, and what it raises undoes it; it is called again when the transaction is run again.
Heard = Callable[[Connection, Instance | None, Instance | None], None]

RECORD_LIMIT = 4 * 1024 * 1024  # bytes of one document; databases refuse statements not much larger
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An instance, and what it was before its last change."""

    instance: Instance
    replaced: Instance | None


def nobody(_connection: Connection, _before: Instance | None, _after: Instance | None) -> None:
    """Hear of nothing."""


class _Undone(Exception):
    """Ends a transaction that was only tried."""


class SomeRefused(HeadwaterError):
    """Some of many cannot be kept, so none was; ``refused`` has each with the reason."""

    def __init__(self, refused: list[tuple[Instance, HeadwaterError]]) -> None:
        super().__init__(f"{len(refused)} instances cannot be kept; nothing was changed")
        self.refused = refused


class InstanceRows:
    """Keep instances by id, by unique name and by address; safe to use from several threads."""

    def __init__(self, database: Database, *, user_data_limit: int = USER_DATA_LIMIT) -> None:
        """Work on ``database``.

        Args:
            user_data_limit: Largest user data that is taken, in bytes. What is kept already stays readable.
        """
        self.editions = Editions(database)
        self._database = database
        self._user_data_limit = user_data_limit

    def add(self, instance: Instance, *, heard: Heard = nobody) -> None:
        """Register ``instance`` as it is.

        Raises:
            InstanceExists: Its id, name, serial or one of its addresses is taken.
            UserDataTooLarge: Its user data is beyond the limit.
            InstanceTooLarge: Its whole record is.
        """
        values = self._values(instance, None)

        def work(connection: Connection) -> None:
            _require_free(connection, instance)
            connection.execute(insert(instances).values(id=instance.id, created_at=instance.created_at, **values))
            _write_addresses(connection, instance)
            heard(connection, None, instance)
            connection.execute(COUNTED)

        self._write(work)

    def get(self, id_or_name: str) -> Instance:
        """Return one instance by its id or its name.

        Raises:
            InstanceNotFound: There is none.
        """
        return self.record(id_or_name).instance

    def record(self, id_or_name: str) -> Record:
        """Return one instance, by its id or its name, with what it was before its last change.

        Raises:
            InstanceNotFound: There is none.
        """
        lowered = id_or_name.lower()
        column, value = (instances.c.id, lowered) if is_uuid(lowered) else (instances.c.name, id_or_name)
        if not is_storable(value):
            raise InstanceNotFound(id_or_name)
        row = self._database.read(
            lambda connection: connection.execute(select(instances.c.document).where(column == value)).one_or_none()
        )
        if row is None:
            raise InstanceNotFound(id_or_name)
        return record_of(row.document)

    def by_address(self, address: str) -> Instance | None:
        """Return the instance that has an address (in its canonical form)."""
        network, plain = parted(address)
        query = (
            select(instances.c.document)
            .join_from(instance_addresses, instances, instances.c.id == instance_addresses.c.instance_id)
            .where(instance_addresses.c.address == plain, instance_addresses.c.network == network)
        )
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else record_of(row.document).instance

    def replace(self, instance: Instance, *, at: int, heard: Heard = nobody) -> Instance:
        """Put ``instance`` in the place of the revision that it was made from, and return it as it is kept.

        Args:
            instance: Its ``revision`` is the one that is expected to be there.
            at: The time of the change, in microseconds since 1970, UTC.

        Raises:
            InstanceNotFound: It was removed.
            InstanceChanged: Another revision is there.
            InstanceExists: Its new name, its serial or one of its new addresses is taken.
            UserDataTooLarge: Its user data is beyond the limit.
            InstanceTooLarge: Its whole record is.
        """
        changed = replace(instance, revision=instance.revision + 1, updated_at=at)

        def work(connection: Connection) -> None:
            revision, document = locked(connection, instance.id)
            if revision != instance.revision:
                raise InstanceChanged(instance.id, instance.revision, revision)
            _require_free(connection, changed, own=True)
            before = record_of(document).instance
            result = connection.execute(
                update(instances)
                .where(instances.c.id == instance.id, instances.c.revision == instance.revision)
                .values(**self._values(changed, before))
            )
            if result.rowcount != 1:
                raise InstanceChanged(instance.id, instance.revision, changed.revision)
            connection.execute(delete(instance_addresses).where(instance_addresses.c.instance_id == instance.id))
            _write_addresses(connection, changed)
            heard(connection, before, changed)
            connection.execute(COUNTED)

        self._write(work)
        return changed

    def write_all(
        self, added: Sequence[Instance], changed: Sequence[Instance], *, at: int, dry_run: bool = False
    ) -> list[Instance]:
        """Do what ``add`` and ``replace`` do for many, all or none; return the changed as they are kept.

        Args:
            dry_run: Look whether it could be done, and undo it.

        Raises:
            SomeRefused: Some cannot be kept.
        """
        after = [replace(each, revision=each.revision + 1, updated_at=at) for each in changed]

        def work(connection: Connection) -> None:
            refused: list[tuple[Instance, HeadwaterError]] = []
            befores: dict[str, Instance] = {}
            for each in after:  # addresses may move from one to another
                try:
                    revision, document = locked(connection, each.id)
                except InstanceNotFound as error:
                    refused.append((each, error))
                    continue
                if revision != each.revision - 1:
                    refused.append((each, InstanceChanged(each.id, each.revision - 1, revision)))
                befores[each.id] = record_of(document).instance
                connection.execute(delete(instance_addresses).where(instance_addresses.c.instance_id == each.id))
            for each in (*after, *added):
                is_there = each.id in befores
                try:
                    values = self._values(each, befores.get(each.id))
                    _require_free(connection, each, own=is_there)
                except HeadwaterError as error:
                    refused.append((each, error))
                    continue
                if is_there:
                    connection.execute(update(instances).where(instances.c.id == each.id).values(**values))
                else:
                    made = {"id": each.id, "created_at": each.created_at, **values}
                    connection.execute(insert(instances).values(made))
                _write_addresses(connection, each)
            if refused:
                raise SomeRefused(refused)
            if dry_run:
                raise _Undone
            connection.execute(COUNTED)

        with contextlib.suppress(_Undone):
            self._write(work)
        return after

    def remove(self, id_or_name: str, *, revision: int | None = None, heard: Heard = nobody) -> Instance:
        """Forget an instance, and return what it was; its name and addresses are free at once.

        Args:
            revision: The one that must be there; ``None``: whatever is.

        Raises:
            InstanceNotFound: There is none.
            InstanceChanged: Another revision is there.
        """
        wanted = self.get(id_or_name)

        def work(connection: Connection) -> Instance:
            try:
                there, document = locked(connection, wanted.id)
            except InstanceNotFound as error:  # somebody else removed it: name it as the caller did
                raise InstanceNotFound(id_or_name) from error
            if revision is not None and revision != there:
                raise InstanceChanged(wanted.id, revision, there)
            connection.execute(delete(instance_addresses).where(instance_addresses.c.instance_id == wanted.id))
            connection.execute(delete(instances).where(instances.c.id == wanted.id))
            removed = record_of(document).instance
            heard(connection, removed, None)
            connection.execute(COUNTED)
            return removed

        return self._database.write(work)

    def _values(self, instance: Instance, replaced: Instance | None) -> dict[str, Any]:
        instance.require_user_data_within(self._user_data_limit)
        document = msgspec.json.encode(
            {"instance": instance.to_dict(), "replaced": None if replaced is None else replaced.to_dict()}
        )
        if len(document) > RECORD_LIMIT:
            raise InstanceTooLarge(instance.name, len(document), RECORD_LIMIT)
        return {
            "name": instance.name,
            "updated_at": instance.updated_at,
            "revision": instance.revision,
            "document": document.decode(),
            # Of the document again, for lists.
            "project_id": instance.project_id,
            "image_id": instance.image_id,
            "serial": instance.serial,
        }

    def _write(self, work: Callable[[Connection], T]) -> T:
        for _ in range(_ATTEMPTS):
            try:
                return self._database.write(work)
            except IntegrityError:
                # Another writer took a name or an address between our look and our write. The next
                # look finds it and says whose it is.
                continue
        raise Unavailable("other changes of the same instance keep coming in between; try again")


def _require_free(connection: Connection, instance: Instance, *, own: bool = False) -> None:
    if not own:
        row = connection.execute(select(instances.c.name).where(instances.c.id == instance.id)).one_or_none()
        if row is not None:
            raise InstanceExists("id", instance.id, instance.id, row.name)
    row = connection.execute(select(instances.c.id).where(instances.c.name == instance.name)).one_or_none()
    if row is not None and row.id != instance.id:
        raise InstanceExists("name", instance.name, row.id, instance.name)
    if instance.serial is not None:
        taken = select(instances.c.id, instances.c.name).where(instances.c.serial == instance.serial)
        row = connection.execute(taken).one_or_none()
        if row is not None and row.id != instance.id:
            raise InstanceExists("serial", instance.serial, row.id, row.name)
    query = (
        select(instance_addresses.c.network, instance_addresses.c.address, instances.c.id, instances.c.name)
        .join_from(instance_addresses, instances, instances.c.id == instance_addresses.c.instance_id)
        .where(
            # By itself, for the index: SQLite would look through all for pairs.
            instance_addresses.c.address.in_([parted(address)[1] for address in instance.addresses]),
            tuple_(instance_addresses.c.network, instance_addresses.c.address).in_(
                [parted(address) for address in instance.addresses]
            ),
            instances.c.id != instance.id,
        )
        .order_by(instance_addresses.c.network, instance_addresses.c.address)
        .limit(1)
    )
    row = connection.execute(query).one_or_none() if instance.addresses else None
    if row is not None:
        raise InstanceExists("address", on_network(row.network, row.address), row.id, row.name)


def _write_addresses(connection: Connection, instance: Instance) -> None:
    write_macs(connection, instance)
    if instance.addresses:
        places = sorted(parted(address) for address in instance.addresses)
        rows = [{"network": network, "address": plain, "instance_id": instance.id} for network, plain in places]
        connection.execute(insert(instance_addresses), rows)


def locked(connection: Connection, instance_id: str) -> tuple[int, str]:
    """Return revision and document of a row that nobody else changes until the transaction ends."""
    query = select(instances.c.revision, instances.c.document).where(instances.c.id == instance_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise InstanceNotFound(instance_id)
    return row.revision, row.document


def record_of(document: str) -> Record:
    """Return what a row's document holds."""
    kept = msgspec.json.decode(document)
    replaced = kept["replaced"]
    return Record(
        instance=Instance.from_dict(kept["instance"]),
        replaced=None if replaced is None else Instance.from_dict(replaced),
    )


def is_storable(value: str) -> bool:
    """Return whether a database takes the text at all: not when it holds NUL or half a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
