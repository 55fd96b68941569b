"""Whom lists show an image, and its members, on every database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.image_visibility import ImageVisibilityContract
from headwater.database import schema
from headwater.database.engine import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the newest schema."""
    opened = Database(database_url)
    schema.upgrade(opened)
    yield opened
    opened.close()


class TestImageVisibility(ImageVisibilityContract):
    """On SQLite, PostgreSQL and MariaDB."""
