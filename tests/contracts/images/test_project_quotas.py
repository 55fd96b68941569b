"""The limits of projects on every database."""

from __future__ import annotations

from sqlalchemy import Connection

from contracts.images.project_quotas import ProjectQuotasContract
from headwater.database.engine import Database
from headwater.images.catalogue import usage


class TestProjectQuotas(ProjectQuotasContract):
    """On SQLite, PostgreSQL and MariaDB."""


def test_who_counts_for_one_project_does_not_keep_others_waiting(server_catalogue_url: str) -> None:
    database = Database(server_catalogue_url)

    def held(connection: Connection) -> None:
        usage.lock(connection, "p")
        database.write(lambda another: usage.lock(another, "q"))

    for _ in range(2):  # the rows are there the second time
        database.write(held)
    database.close()
