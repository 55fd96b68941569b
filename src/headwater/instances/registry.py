"""The instances of the catalogue, kept in SQL.

A row's document holds the instance and, beside it, what it was before its last change: a guest may
be half-way through reading the older one, and any process must be able to finish that answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.documents import part
from headwater.database.engine import Database
from headwater.database.tables import instance_addresses, instances
from headwater.errors import Unavailable
from headwater.instances.errors import (
    InstanceChanged,
    InstanceExists,
    InstanceNotFound,
    InstanceTooLarge,
)
from headwater.instances.model import USER_DATA_LIMIT, Instance
from headwater.instances.names import is_uuid

T = TypeVar("T")

RECORD_LIMIT = 4 * 1024 * 1024  # bytes of one document; databases refuse statements not much larger
PAGE = 100
PAGE_OF_HEADS = 1000
_ATTEMPTS = 3

_OF_DOCUMENT = ("hostname", "addresses", "image_id", "image_name")
_HEADS = select(
    instances.c.id,
    instances.c.name,
    *(part(instances.c.document, "instance", name).label(name) for name in _OF_DOCUMENT),
).order_by(instances.c.name)

# Asked for every request of every guest, so it is put together once.
_EDITION_AT = (
    select(instances.c.id, instances.c.revision, instances.c.updated_at)
    .join_from(instance_addresses, instances, instances.c.id == instance_addresses.c.instance_id)
    .where(instance_addresses.c.address == bindparam("address"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Which state of which instance: equal editions have equal documents."""

    instance_id: str
    revision: int
    updated_at: int  # microseconds since 1970, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An instance, and what it was before its last change."""

    instance: Instance
    replaced: Instance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a list shows of an instance; user data, which may be large, is no part of it."""

    id: str
    name: str
    hostname: str
    addresses: tuple[str, ...]
    image_id: str | None
    image_name: str | None


class Registry:
    """Keep instances by id, by unique name and by address; safe to use from several threads."""

    def __init__(self, database: Database, *, user_data_limit: int = USER_DATA_LIMIT) -> None:
        """Work on ``database``.

        Args:
            user_data_limit: Largest user data that is taken, in bytes. What is kept already stays readable.
        """
        self._database = database
        self._user_data_limit = user_data_limit

    def add(self, instance: Instance) -> None:
        """Register ``instance`` as it is.

        Raises:
            InstanceExists: Its id, name or one of its addresses is taken.
            UserDataTooLarge: Its user data is beyond the limit.
            InstanceTooLarge: Its whole record is.
        """
        values = self._values(instance, None)

        def work(connection: Connection) -> None:
            _require_free(connection, instance)
            connection.execute(insert(instances).values(id=instance.id, created_at=instance.created_at, **values))
            _write_addresses(connection, instance)

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
        if not _is_storable(value):
            raise InstanceNotFound(id_or_name)
        row = self._database.read(
            lambda connection: connection.execute(select(instances.c.document).where(column == value)).one_or_none()
        )
        if row is None:
            raise InstanceNotFound(id_or_name)
        return _record(row.document)

    def edition_at(self, address: str) -> Edition | None:
        """Return which instance has an address (in its canonical form), in which state; the cheap question."""
        row = self._database.read(
            lambda connection: connection.execute(_EDITION_AT, {"address": address}).one_or_none()
        )
        return None if row is None else Edition(instance_id=row.id, revision=row.revision, updated_at=row.updated_at)

    def by_address(self, address: str) -> Instance | None:
        """Return the instance that has an address (in its canonical form)."""
        query = (
            select(instances.c.document)
            .join_from(instance_addresses, instances, instances.c.id == instance_addresses.c.instance_id)
            .where(instance_addresses.c.address == address)
        )
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else _record(row.document).instance

    def page(self, *, after: str | None = None, limit: int = PAGE) -> list[Instance]:
        """Return up to ``limit`` instances in the order of their names, those after the name ``after``."""
        query = select(instances.c.document).order_by(instances.c.name).limit(limit)
        if after is not None:
            query = query.where(instances.c.name > after)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [_record(row.document).instance for row in rows]

    def heads(self, *, after: str | None = None, limit: int = PAGE_OF_HEADS) -> list[Head]:
        """Return what lists show of up to ``limit`` instances in the order of their names, those after ``after``."""
        query = _HEADS.limit(limit)
        if after is not None:
            query = query.where(instances.c.name > after)

        def work(connection: Connection) -> list[Head]:
            heads = (_head(connection, row) for row in connection.execute(query).all())
            return [head for head in heads if head is not None]

        return self._database.read(work)

    def replace(self, instance: Instance, *, at: int) -> Instance:
        """Put ``instance`` in the place of the revision that it was made from, and return it as it is kept.

        Args:
            instance: Its ``revision`` is the one that is expected to be there.
            at: The time of the change, in microseconds since 1970, UTC.

        Raises:
            InstanceNotFound: It was removed.
            InstanceChanged: Another revision is there.
            InstanceExists: Its new name or one of its new addresses is taken.
            UserDataTooLarge: Its user data is beyond the limit.
            InstanceTooLarge: Its whole record is.
        """
        changed = replace(instance, revision=instance.revision + 1, updated_at=at)

        def work(connection: Connection) -> None:
            revision, document = _locked(connection, instance.id)
            if revision != instance.revision:
                raise InstanceChanged(instance.id, instance.revision, revision)
            _require_free(connection, changed, own=True)
            before = _record(document).instance
            result = connection.execute(
                update(instances)
                .where(instances.c.id == instance.id, instances.c.revision == instance.revision)
                .values(**self._values(changed, before))
            )
            if result.rowcount != 1:
                raise InstanceChanged(instance.id, instance.revision, changed.revision)
            connection.execute(delete(instance_addresses).where(instance_addresses.c.instance_id == instance.id))
            _write_addresses(connection, changed)

        self._write(work)
        return changed

    def remove(self, id_or_name: str) -> Instance:
        """Forget an instance, and return what it was; its name and addresses are free at once.

        Raises:
            InstanceNotFound: There is none.
        """
        wanted = self.get(id_or_name)

        def work(connection: Connection) -> Instance:
            try:
                _, document = _locked(connection, wanted.id)
            except InstanceNotFound as error:  # somebody else removed it: name it as the caller did
                raise InstanceNotFound(id_or_name) from error
            connection.execute(delete(instance_addresses).where(instance_addresses.c.instance_id == wanted.id))
            connection.execute(delete(instances).where(instances.c.id == wanted.id))
            return _record(document).instance

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
    query = (
        select(instance_addresses.c.address, instances.c.id, instances.c.name)
        .join_from(instance_addresses, instances, instances.c.id == instance_addresses.c.instance_id)
        .where(instance_addresses.c.address.in_(instance.addresses), instances.c.id != instance.id)
        .order_by(instance_addresses.c.address)
        .limit(1)
    )
    row = connection.execute(query).one_or_none() if instance.addresses else None
    if row is not None:
        raise InstanceExists("address", row.address, row.id, row.name)


def _write_addresses(connection: Connection, instance: Instance) -> None:
    if instance.addresses:
        rows = [{"address": address, "instance_id": instance.id} for address in sorted(instance.addresses)]
        connection.execute(insert(instance_addresses), rows)


def _locked(connection: Connection, instance_id: str) -> tuple[int, str]:
    """Return revision and document of a row that nobody else changes until the transaction ends."""
    query = select(instances.c.revision, instances.c.document).where(instances.c.id == instance_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise InstanceNotFound(instance_id)
    return row.revision, row.document


def _record(document: str) -> Record:
    kept = msgspec.json.decode(document)
    replaced = kept["replaced"]
    return Record(
        instance=Instance.from_dict(kept["instance"]),
        replaced=None if replaced is None else Instance.from_dict(replaced),
    )


def _head(connection: Connection, row: Any) -> Head | None:
    """Return what a list shows of the instance of a row; ``None`` when it has been removed since the row was read."""
    texts = {name: getattr(row, name) for name in _OF_DOCUMENT}
    if None not in texts.values():
        parts = {name: msgspec.json.decode(text) for name, text in texts.items()}
        return msgspec.convert({"id": row.id, "name": row.name, **parts}, Head)
    query = select(instances.c.document).where(instances.c.id == row.id)
    document = connection.execute(query).scalar_one_or_none()
    if document is None:
        return None
    found = _record(document).instance
    return Head(**{name: getattr(found, name) for name in Head.__slots__})


def _is_storable(value: str) -> bool:
    """Whether a database takes the text at all: not when it holds NUL or half a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
