"""An operator makes SQLite's file shorter while the service runs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection

from headwater.database import sqlite_file
from headwater.database.engine import Database
from headwater.errors import Unavailable


@pytest.fixture(autouse=True)
def _each_read_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_LATELY_S", -1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


@pytest.fixture
def database(file: Path) -> Database:
    database = Database(f"sqlite:///{file}")
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE much (bytes BLOB)"))
    database.write(lambda c: c.exec_driver_sql("INSERT INTO much VALUES (zeroblob(4000000))"))
    database.write(lambda c: c.exec_driver_sql("DELETE FROM much"))
    _checkpoint(file)
    assert database.read(_count) == 0
    return database


def test_a_file_that_vacuum_made_shorter_is_whole(file: Path, database: Database) -> None:
    before = file.stat().st_size
    with sqlite3.connect(file) as other:
        other.execute("VACUUM")
    other.close()
    _checkpoint(file)
    assert file.stat().st_size < before // 10
    assert database.read(_count) == 0
    database.write(lambda c: c.exec_driver_sql("INSERT INTO much VALUES (NULL)"))
    assert database.read(_count) == 1
    database.close()


def test_a_file_that_was_cut_is_not_read(file: Path, database: Database) -> None:
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size - 4096)
    with pytest.raises(Unavailable, match="was cut short"):
        database.read(_count)
    database.close()


def _count(connection: Connection) -> int | None:
    found: int | None = connection.exec_driver_sql("SELECT count(*) FROM much").scalar()
    return found


def _checkpoint(file: Path) -> None:
    other = sqlite3.connect(file)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    other.close()
