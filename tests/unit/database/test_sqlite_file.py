"""What happens to the file of a catalogue under a running service is noticed, and nothing is written into nowhere."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from headwater.database import schema, sqlite_file
from headwater.database.engine import Database
from headwater.database.faults import DatabaseFull, DatabaseUnavailable
from headwater.database.sqlite_file import DatabaseFileChanged
from templates import sqlite_catalogue


@pytest.fixture(autouse=True)
def _each_read_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_LATELY_S", -1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    """A catalogue in use."""
    database = Database(sqlite_catalogue(file))
    database.write(insert)
    yield database
    database.close()


def insert(connection: Connection) -> None:
    connection.execute(text("INSERT INTO project_locks SELECT 'p' || count(*) FROM project_locks"))


def count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM project_locks")).scalar() or 0)


def removed(file: Path) -> None:
    file.unlink()


def replaced_by_a_copy(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".copy"))
    file.with_suffix(".copy").rename(file)


def replaced_by_an_empty_one(file: Path) -> None:
    file.unlink()
    sqlite3.connect(file).close()
    file.touch()


def cut_to_nothing(file: Path) -> None:
    os.truncate(file, 0)


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def out_of_reach(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


CHANGES = [removed, replaced_by_a_copy, replaced_by_an_empty_one, cut_to_nothing, cut_in_half, out_of_reach]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_the_one_any_more_is_unavailable_to_all(
    database: Database, file: Path, change: Callable[[Path], None]
) -> None:
    # As much as the service has by now seen of the file.
    database.engine.dispose()
    database.read(count)
    change(file)
    for use in (lambda: database.read(count), lambda: database.write(insert), database.require_healthy):
        with pytest.raises(DatabaseFileChanged, match=r"catalogue\.db (was|cannot).*put it back"):
            use()


def test_a_file_that_goes_while_a_write_is_carried_out_was_not_written(database: Database, file: Path) -> None:
    def work(connection: Connection) -> None:
        insert(connection)
        file.unlink()

    with pytest.raises(DatabaseFileChanged):
        database.write(work)


def test_a_file_that_comes_back_is_used_again(database: Database, file: Path) -> None:
    away = file.with_suffix(".away")
    file.rename(away)
    with pytest.raises(DatabaseFileChanged):
        database.read(count)
    away.rename(file)
    assert database.read(count) == 1


def test_a_running_service_never_makes_a_file(file: Path) -> None:
    database = Database(f"sqlite:///{file.parent / 'data' / 'catalogue.db'}", may_make=False)
    for use in (lambda: database.read(count), lambda: database.write(insert), database.require_healthy):
        with pytest.raises(DatabaseUnavailable):
            use()
    with pytest.raises(schema.CatalogueTooOld, match="no schema"):
        schema.check(database)
    database.close()
    assert list(file.parent.iterdir()) == []


def test_the_file_is_its_owners_only(database: Database, file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_full_disk_refuses_writes_and_lets_read(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("PRAGMA max_page_count=1"))  # SQLite fails with SQLITE_FULL, as on a full disk
        connection.execute(text("CREATE TABLE more (x)"))
        for _ in range(100):
            connection.execute(text("INSERT INTO more VALUES (randomblob(100000))"))

    with pytest.raises(DatabaseFull, match="is full: make room") as caught:
        database.write(work)
    assert "no room" in caught.value.told
    assert database.read(count) == 1


def test_a_disk_with_no_room_left_is_not_healthy(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.require_healthy()
    real = os.statvfs

    def full(path: Any) -> os.statvfs_result:
        found = list(real(path))
        found[4] = 0  # f_bavail
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(DatabaseFull):
        database.require_healthy()


@pytest.mark.parametrize("statement", ["SELECT * FROM not_there", "SELEKT 1", "SELECT nothing FROM images"])
def test_a_statement_that_is_wrong_is_a_fault_of_the_program(database: Database, statement: str) -> None:
    for use in (database.read, database.write):
        with pytest.raises(Exception, match=r"sqlite3\.OperationalError") as caught:
            use(lambda connection: connection.execute(text(statement)))
        assert not isinstance(caught.value, DatabaseUnavailable)


def test_reads_look_at_the_file_now_and_then_and_changes_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite_file, "_LATELY_S", 60.0)
    file = tmp_path / "catalogue.db"
    database = Database(f"sqlite:///{file}")
    database.write(lambda connection: connection.exec_driver_sql("CREATE TABLE some (what TEXT)"))
    assert database.read(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM some").scalar()) == 0
    file.rename(tmp_path / "away.db")
    assert database.read(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM some").scalar()) == 0
    with pytest.raises(DatabaseUnavailable, match="was removed"):
        database.write(lambda connection: connection.exec_driver_sql("INSERT INTO some VALUES ('lost')"))
    database.close()
