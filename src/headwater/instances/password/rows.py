"""The passwords that guests have posted, kept in SQL."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.database.tables import cloud_instances, cloud_passwords, instance_passwords, instances
from headwater.instances.errors import InstanceNotFound
from headwater.instances.password.posting import PasswordSet


@dataclass(frozen=True, slots=True)
class Of:
    """Whose passwords: where they are kept, and the machines with which they go."""

    passwords: Table
    machines: Table


REGISTERED = Of(instance_passwords, instances)
OF_CLOUD = Of(cloud_passwords, cloud_instances)


class PasswordRows:
    """One password for each instance at most; safe to use from several threads."""

    def __init__(self, database: Database, clock: Clock = now, *, of: Of = REGISTERED) -> None:
        self._database, self._clock, self._of = database, clock, of

    def get(self, instance_id: str) -> str | None:
        """Return what the guest has posted; ``None``: nothing."""
        return self._database.read(lambda connection: self._value(connection, instance_id))

    def put(self, instance_id: str, value: str) -> None:
        """Keep what a guest posts; the same again is no change.

        Raises:
            PasswordSet: There is another one.
            InstanceNotFound: The instance was removed.
        """
        at = self._clock()

        def work(connection: Connection) -> None:
            found = self._value(connection, instance_id)
            if found is None:
                machines, row = self._of.machines, {"instance_id": instance_id, "posted_at": at, "value": value}
                known = select(machines.c.id).where(machines.c.id == instance_id)
                if connection.execute(known).one_or_none() is None:
                    raise InstanceNotFound(instance_id)
                connection.execute(insert(self._of.passwords).values(row))
            elif found != value:
                raise PasswordSet

        try:
            self._database.write(work)
        except IntegrityError:  # another request was quicker, or removed the instance
            self._database.write(work)

    def clear(self, instance_id: str) -> bool:
        """Forget the password, so that the guest may post another; return whether there was one."""
        passwords = self._of.passwords
        query = delete(passwords).where(passwords.c.instance_id == instance_id)
        return self._database.write(lambda connection: bool(connection.execute(query).rowcount))

    def _value(self, connection: Connection, instance_id: str) -> str | None:
        columns = self._of.passwords.c
        query = select(columns.value).where(columns.instance_id == instance_id)
        value: str | None = connection.execute(query).scalar_one_or_none()
        return value
