"""What the suites run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.unheard import UnheardImages, UnheardUploads
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.public import PublicImageRows


@pytest.fixture
def database(catalogue_url: str) -> Iterator[Database]:
    """A database with the newest schema, on SQLite, PostgreSQL and MariaDB in turn."""
    database = Database(catalogue_url)
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> UnheardImages:
    return UnheardImages(database)


@pytest.fixture
def public(database: Database) -> PublicImageRows:
    return PublicImageRows(database)


@pytest.fixture
def records(database: Database) -> UnheardUploads:
    return UnheardUploads(database)


@pytest.fixture
def discarded(database: Database) -> DiscardedObjectRows:
    return DiscardedObjectRows(database)
