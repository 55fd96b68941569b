"""The passwords that guests have posted, kept in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.database.tables import instance_passwords, instances
from headwater.instances.errors import InstanceNotFound
from headwater.instances.password.posting import PasswordSet

_COLUMNS = instance_passwords.c


class PasswordRows:
    """One password for each instance at most; safe to use from several threads."""

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database, self._clock = database, clock

    def get(self, instance_id: str) -> str | None:
        """Return what the guest has posted; ``None``: nothing."""
        return self._database.read(lambda connection: _value(connection, instance_id))

    def put(self, instance_id: str, value: str) -> None:
        """Keep what a guest posts; the same again is no change.

        Raises:
            PasswordSet: There is another one.
            InstanceNotFound: The instance was removed.
        """
        at = self._clock()

        def work(connection: Connection) -> None:
            found = _value(connection, instance_id)
            if found is None:
                known = select(instances.c.id).where(instances.c.id == instance_id)
                if connection.execute(known).one_or_none() is None:
                    raise InstanceNotFound(instance_id)
                connection.execute(
                    insert(instance_passwords).values(instance_id=instance_id, posted_at=at, value=value)
                )
            elif found != value:
                raise PasswordSet

        try:
            self._database.write(work)
        except IntegrityError:  # another request was quicker, or removed the instance
            self._database.write(work)

    def clear(self, instance_id: str) -> bool:
        """Forget the password, so that the guest may post another; return whether there was one."""
        query = delete(instance_passwords).where(_COLUMNS.instance_id == instance_id)
        return self._database.write(lambda connection: bool(connection.execute(query).rowcount))


def _value(connection: Connection, instance_id: str) -> str | None:
    query = select(_COLUMNS.value).where(_COLUMNS.instance_id == instance_id)
    value: str | None = connection.execute(query).scalar_one_or_none()
    return value
