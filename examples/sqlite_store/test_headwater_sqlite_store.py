"""The store keeps what every store promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from headwater_sqlite_store import SqliteStore

from headwater.testing.object_store import ObjectStoreContract, marked


class TestSqliteStore(ObjectStoreContract):
    @pytest.fixture
    def unmarked_store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore("sqlite", tmp_path / "objects.sqlite")

    @pytest.fixture
    def store(self, unmarked_store: SqliteStore) -> SqliteStore:
        return marked(unmarked_store)
