"""The machines of a cloud that have asked, kept in SQL: one row each, with what the cloud said of it.

A row also says who asks the cloud at the moment, so that all processes ask once: whoever has written ``asked_until``
asks, and the others wait for what it writes. Passwords and visits of these machines end with their row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from headwater.database.engine import Database
from headwater.database.tables import cloud_instances, cloud_visits
from headwater.instances.errors import InstanceInvalid
from headwater.instances.names import is_uuid
from headwater.instances.registry.rows import RECORD_LIMIT, is_storable
from headwater.instances.sealing import NO_SEAL, Seal, SealUnknown
from headwater.instances.sources.openstack.address_rows import AddressRows, is_of_address
from headwater.instances.sources.openstack.told import Told

_COLUMNS = cloud_instances.c
_AT_ONCE: Final = 100  # in one transaction
_SHOWN: Final = (_COLUMNS.id, _COLUMNS.name, _COLUMNS.project_id, _COLUMNS.has_user_data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A row."""

    told: Told | None  # None: nothing yet, or nothing that can be read here
    loaded_at: int | None  # when the cloud said it; None: nothing yet
    gone_at: int | None  # since when the cloud says that there is no such machine; microseconds since 1970, UTC

    @property
    def is_readable(self) -> bool:
        """Whether what the cloud said can be told."""
        return self.told is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What tells a machine of the cloud from others, and what its boot log is judged by."""

    id: str
    name: str
    project_id: str | None
    has_user_data: bool


class CloudRows:
    """What is kept of the machines of one cloud; safe to use from several threads, and by several processes at once.

    All times are microseconds since 1970, UTC. What is claimed, released and missed may be the row of an address too.
    """

    def __init__(self, database: Database, *, seal: Seal = NO_SEAL) -> None:
        """Work on ``database``.

        Args:
            seal: Encrypts what the cloud says, if it has a key; who only finds machines needs none.
        """
        self._database, self._seal = database, seal
        self.addresses = AddressRows(database)

    def get(self, instance_id: str) -> Kept | None:
        """Return what is kept of a machine."""
        query = select(_COLUMNS.document, _COLUMNS.loaded_at, _COLUMNS.gone_at).where(_COLUMNS.id == instance_id)
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        told = self._told(row.document, row.loaded_at)
        return Kept(told=told, loaded_at=row.loaded_at, gone_at=row.gone_at)

    def claim(self, instance_id: str, *, at: int, until: int, older_than: int) -> bool:
        """Return whether the caller is the one to ask the cloud for a machine, until ``until`` at most.

        Args:
            older_than: It is asked only if what it said is not newer, or was that there is none.
        """
        is_free = or_(_COLUMNS.asked_until.is_(None), _COLUMNS.asked_until <= at)
        is_old = or_(_COLUMNS.loaded_at.is_(None), _COLUMNS.loaded_at <= older_than, _COLUMNS.gone_at.is_not(None))
        taken = update(cloud_instances).where(_COLUMNS.id == instance_id, is_free, is_old).values(asked_until=until)
        there = select(_COLUMNS.id).where(_COLUMNS.id == instance_id)
        new = insert(cloud_instances).values(id=instance_id, confirmed_at=at, asked_until=until)

        def work(connection: Connection) -> bool:
            if connection.execute(taken).rowcount == 1:
                return True
            if connection.execute(there).one_or_none() is not None:
                return False
            connection.execute(new)
            return True

        try:
            return self._database.write(work)
        except IntegrityError:  # another process was quicker
            return False

    def release(self, instance_id: str, until: int) -> None:
        """Let others ask for a machine that was claimed until ``until``, and of which nothing was told."""
        query = update(cloud_instances).where(_COLUMNS.id == instance_id, _COLUMNS.asked_until == until)
        self._database.write(lambda connection: connection.execute(query.values(asked_until=None)))

    def write(self, told: Sequence[tuple[Told, bool]]) -> None:
        """Keep what the cloud said, which ends the claims.

        Args:
            told: Each with whether it is another than what is kept.
        """
        every = sorted(told, key=lambda each: each[0].instance.id)
        for start in range(0, len(every), _AT_ONCE):
            writing = partial(self._write, every[start : start + _AT_ONCE])
            try:
                self._database.write(writing)
            except IntegrityError:  # another process has just begun to ask for one
                self._database.write(writing)

    def confirm(self, instance_id: str, at: int) -> None:
        """Note that the cloud still has a machine, which ends a claim."""
        values = {"confirmed_at": at, "gone_at": None, "asked_until": None}
        query = update(cloud_instances).where(_COLUMNS.id == instance_id).values(**values)
        self._database.write(lambda connection: connection.execute(query))

    def miss(self, instance_id: str, at: int) -> None:
        """Note that the cloud has no such machine, which ends a claim; one that it never had is forgotten."""
        unknown = delete(cloud_instances).where(_COLUMNS.id == instance_id, _COLUMNS.document.is_(None))
        one = update(cloud_instances).where(_COLUMNS.id == instance_id)

        def work(connection: Connection) -> None:
            if connection.execute(unknown).rowcount == 0:
                connection.execute(one.where(_COLUMNS.gone_at.is_(None)).values(gone_at=at))
                connection.execute(one.values(asked_until=None))

        self._database.write(work)

    def find(self, id_or_name: str, *, project_id: str | None = None, limit: int = 10) -> list[Machine]:
        """Return the machines of an id or a name, by id.

        Args:
            project_id: Only those of this project; ``None``: of any.
        """
        lowered = id_or_name.lower()
        column, value = (_COLUMNS.id, lowered) if is_uuid(lowered) else (_COLUMNS.name, id_or_name)
        if not is_storable(value) or (project_id is not None and not is_storable(project_id)):
            return []
        query = select(*_SHOWN).where(column == value, _COLUMNS.document.is_not(None)).order_by(_COLUMNS.id)
        if project_id is not None:
            query = query.where(_COLUMNS.project_id == project_id)
        rows = self._database.read(lambda connection: connection.execute(query.limit(limit)).all())
        return [
            Machine(id=row.id, name=row.name, project_id=row.project_id, has_user_data=row.has_user_data)
            for row in rows
        ]

    def page(
        self, *, name: str | None = None, project_id: str | None = None, after: str | None = None, limit: int
    ) -> tuple[list[Told], str | None]:
        """Return what the cloud said of up to ``limit`` machines by id, those after the id ``after``.

        It is a range of the primary key, or of the index of names. What cannot be read here is passed over, and so is
        what the cloud says it has not.

        Args:
            project_id: Goes with a name: no index has it alone.

        Returns:
            The machines, and the id that the next page begins after; ``None``: there is no further one.
        """
        if not all(is_storable(each) for each in (name, project_id, after) if each is not None):
            return [], None
        # Ids alone, for a database that has to sort them: many machines may have one name, and documents are large.
        query = select(_COLUMNS.id).where(~is_of_address()).order_by(_COLUMNS.id).limit(limit + 1)
        for column, value in ((_COLUMNS.name, name), (_COLUMNS.project_id, project_id)):
            if value is not None:
                query = query.where(column == value)
        if after is not None:
            query = query.where(_COLUMNS.id > after.lower())
        whole = select(_COLUMNS.document, _COLUMNS.loaded_at, _COLUMNS.gone_at).order_by(_COLUMNS.id)

        def work(connection: Connection) -> tuple[Sequence[str], Sequence[Any]]:
            ids = connection.execute(query).scalars().all()
            return ids, connection.execute(whole.where(_COLUMNS.id.in_(ids[:limit]))).all()

        ids, rows = self._database.read(work, plans_anew=name is not None)
        found = (self._told(row.document, row.loaded_at) for row in rows if row.gone_at is None)
        return [each for each in found if each is not None], ids[limit - 1] if len(ids) > limit else None

    def unconfirmed(self, before: int, limit: int) -> list[str]:
        """Return ids of machines of which the cloud has not said since ``before`` that it has them, the oldest first.

        Those that it says it has not are left out.
        """
        is_machine = ~is_of_address()
        query = select(_COLUMNS.id).where(_COLUMNS.confirmed_at < before, _COLUMNS.gone_at.is_(None), is_machine)
        return self._ids(query.order_by(_COLUMNS.confirmed_at, _COLUMNS.id).limit(limit))

    def gone(self, before: int, limit: int) -> list[str]:
        """Return ids of machines of which the cloud has said since before ``before`` that it has none."""
        query = select(_COLUMNS.id).where(_COLUMNS.gone_at < before).order_by(_COLUMNS.gone_at, _COLUMNS.id)
        return self._ids(query.limit(limit))

    def remove(self, instance_id: str) -> None:
        """Forget a machine, with its password and what it fetched."""
        query = delete(cloud_instances).where(_COLUMNS.id == instance_id)
        self._database.write(lambda connection: connection.execute(query))

    def remove_unconfirmed(self, before: int, limit: int) -> int:
        """Forget machines that the cloud has not confirmed since ``before``; return how many."""
        query = select(_COLUMNS.id).where(_COLUMNS.confirmed_at < before).order_by(_COLUMNS.confirmed_at).limit(limit)
        found = self._ids(query)
        for start in range(0, len(found), _AT_ONCE):
            ids = found[start : start + _AT_ONCE]
            old = delete(cloud_instances).where(_COLUMNS.id.in_(ids), _COLUMNS.confirmed_at < before)
            self._database.write(partial(_execute, old))
        return len(found)

    def remove_visits(self, before: int, limit: int) -> int:
        """Forget what machines fetched before ``before``; return how many rows that were, ``limit`` at most."""
        found = self._ids(select(cloud_visits.c.id).where(cloud_visits.c.at < before).limit(limit))
        for start in range(0, len(found), _AT_ONCE):
            old = delete(cloud_visits).where(cloud_visits.c.id.in_(found[start : start + _AT_ONCE]))
            self._database.write(partial(_execute, old))
        return len(found)

    def _told(self, document: str | None, loaded_at: int | None) -> Told | None:
        """Return what a row holds; ``None`` for what cannot be read: the cloud is asked again then."""
        if document is None or loaded_at is None:
            return None
        try:
            opened = self._seal.opened(document, "what the cloud said of a machine")
            return Told.decoded(document if opened is None else opened.decode(), loaded_at)
        except (InstanceInvalid, SealUnknown):  # of a newer release, or of another key
            return None

    def _write(self, every: Sequence[tuple[Told, bool]], connection: Connection) -> None:
        for told, is_changed in every:
            one = update(cloud_instances).where(_COLUMNS.id == told.instance.id)
            now = {"loaded_at": told.loaded_at, "confirmed_at": told.loaded_at, "gone_at": None, "asked_until": None}
            if not is_changed and connection.execute(one.where(_COLUMNS.document.is_not(None)).values(now)).rowcount:
                continue
            document = told.encoded()
            if self._seal:
                document = self._seal.closed(document.encode())
            if len(document) > RECORD_LIMIT or not is_storable(told.instance.project_id or ""):
                connection.execute(one.values(confirmed_at=told.loaded_at, asked_until=None))
                continue
            what = {
                "document": document,
                "name": told.instance.name,
                "project_id": told.instance.project_id,
                "has_user_data": told.instance.user_data is not None,
            }
            if connection.execute(one.values(now | what)).rowcount == 0:
                connection.execute(insert(cloud_instances).values(id=told.instance.id, **now, **what))

    def _ids(self, query: Any) -> list[str]:
        return self._database.read(lambda connection: list(connection.execute(query).scalars()))


def _execute(statement: Any, connection: Connection) -> None:
    connection.execute(statement)
