"""The catalogue of metadata definitions keeps its promises on every database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.metadefs import MetadefsContract
from headwater.database import schema
from headwater.database.engine import Database


class TestMetadefs(MetadefsContract):
    @pytest.fixture
    def database(self, database_url: str) -> Iterator[Database]:
        database = Database(database_url)
        schema.upgrade(database)
        yield database
        database.close()
