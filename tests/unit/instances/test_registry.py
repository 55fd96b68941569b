from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.registry import RegistryContract
from headwater.database import schema
from headwater.database.engine import Database


class TestRegistryOnSqlite(RegistryContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
        schema.upgrade(database)
        yield database
        database.close()
