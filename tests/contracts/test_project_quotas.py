"""The limits of projects on every database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from contracts.project_quotas import ProjectQuotasContract
from headwater.database import schema
from headwater.database.engine import Database
from headwater.images.catalogue import usage


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the newest schema."""
    opened = Database(database_url)
    schema.upgrade(opened)
    yield opened
    opened.close()


class TestProjectQuotas(ProjectQuotasContract):
    """On SQLite, PostgreSQL and MariaDB."""


def test_who_counts_for_one_project_does_not_keep_others_waiting(server_url: str) -> None:
    database = Database(server_url)
    schema.upgrade(database)

    def held(connection: Connection) -> None:
        usage.lock(connection, "p")
        database.write(lambda another: usage.lock(another, "q"))

    for _ in range(2):  # the rows are there the second time
        database.write(held)
    database.close()
