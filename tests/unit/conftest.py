"""What many tests need, on a catalogue of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.database.engine import Database
from headwater.images.catalogue.images import ImageCatalogue
from templates import sqlite_catalogue
from unit.clock import Clock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database file with the newest schema, ``catalogue.db`` in the directory of the test."""
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> ImageCatalogue:
    """The images in ``database``."""
    return ImageCatalogue(database)


@pytest.fixture
def clock() -> Clock:
    """Time that the test moves, from ``NOON``."""
    return Clock()
