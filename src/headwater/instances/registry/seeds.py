"""The secret paths of instances, kept in SQL by their digests."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert

from headwater.database.engine import Database
from headwater.database.tables import instance_seeds
from headwater.instances.registry.editions import COUNTED
from headwater.instances.registry.rows import locked


class SeedRows:
    """Paths of instances, any number for each; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, instance_id: str, digest: str, at: int) -> None:
        """Let an instance be known by a secret path, by its digest, beside those that it has.

        Raises:
            InstanceNotFound: It was removed.
        """

        def work(connection: Connection) -> None:
            locked(connection, instance_id)
            values = {"digest": digest, "instance_id": instance_id, "made_at": at}
            connection.execute(insert(instance_seeds).values(values))
            connection.execute(COUNTED)

        self._database.write(work)

    def revoke(self, instance_id: str) -> int:
        """Let no secret path lead to an instance any more; return how many did."""

        def work(connection: Connection) -> int:
            query = delete(instance_seeds).where(instance_seeds.c.instance_id == instance_id)
            revoked = connection.execute(query).rowcount
            connection.execute(COUNTED)
            return revoked

        return self._database.write(work)
