"""What the suites run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.database.engine import Database


@pytest.fixture
def database(catalogue_url: str) -> Iterator[Database]:
    """A database with the newest schema, on SQLite, PostgreSQL and MariaDB in turn."""
    database = Database(catalogue_url)
    yield database
    database.close()
