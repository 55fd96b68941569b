from __future__ import annotations

import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from headwater.database.engine import Database
from headwater.errors import SettingsError, Unavailable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    database.write(lambda connection: connection.execute(text("CREATE TABLE t (n INTEGER)")))
    yield database
    database.close()


def insert(connection: Connection) -> None:
    connection.execute(text("INSERT INTO t VALUES (1)"))


def count(database: Database) -> int:
    return int(database.read(lambda connection: connection.execute(text("SELECT count(*) FROM t")).scalar()) or 0)


@pytest.mark.parametrize("url", ["", "x", "oracle://h/x", "sqlite", "mongodb://h", "http://h", "://", "sqlite3:///x"])
def test_what_is_no_address_of_a_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"section \[database\], key 'url': give sqlite:///FILE"):
        Database(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:hunter2@h:port/x", "no port"),
        ("mysql://u@h:1:2/x", "no port"),
        ("sqlite:///x.db?mode=ro", "no options behind a question mark"),
    ],
)
def test_what_a_driver_could_not_use_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Database(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_bad_address_with_a_password_is_refused_without_it() -> None:
    with pytest.raises(SettingsError) as caught:
        Database("oracle://me:hunter2@host/x")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql://u:p@h/n", "postgresql+psycopg"),
        ("mysql://u:p@h/n", "mysql+pymysql"),
        ("mysql+pymysql://u:p@h/n", "mysql+pymysql"),
        ("postgresql+psycopg2://u:p@h/n", "postgresql+psycopg"),
    ],
)
def test_each_kind_has_its_driver_whatever_the_address_says(url: str, driver: str) -> None:
    database = Database(url)
    assert database.url.drivername == driver
    assert not database.is_sqlite
    database.close()


def test_the_directory_of_an_sqlite_file_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a' / 'b' / 'catalogue.db'}")
    assert database.read(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
    database.close()


def test_a_file_that_is_no_database_is_unavailable_or_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").mkdir()
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    with pytest.raises(Unavailable, match=r"catalogue\.db does not work: unable to open"):
        count(database)
    with pytest.raises(Unavailable):
        database.write(insert)
    database.close()


def test_sqlite_keeps_what_was_answered_and_its_references(database: Database) -> None:
    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]

    assert database.read(pragmas) == ["wal", 2, 1]


def test_work_that_fails_leaves_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        insert(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(fail)
    assert count(database) == 0
    database.write(insert)
    assert count(database) == 1


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    inside, seen = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> None:
        insert(connection)
        inside.set()
        assert seen.wait(20)

    writer = threading.Thread(target=lambda: database.write(slowly))
    writer.start()
    assert inside.wait(20)
    assert count(database) == 0
    seen.set()
    writer.join()
    assert count(database) == 1


def test_writers_queue_and_none_is_lost(database: Database) -> None:
    threads = [threading.Thread(target=lambda: [database.write(insert) for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 80


def test_a_start_on_sqlite_imports_the_drivers_of_no_server(tmp_path: Path) -> None:
    program = (
        "import sys, headwater.cli.main, headwater.server.supervisor\n"
        "from headwater.database.engine import Database\n"
        "Database('sqlite:///catalogue.db').close()\n"
        "print(*{'psycopg', 'pymysql', 'sqlalchemy.dialects.postgresql'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
