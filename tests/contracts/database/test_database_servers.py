"""What the catalogue relies on in every kind of database it runs on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from headwater.database.engine import Database
from headwater.database.tables import instances, metadata
from headwater.errors import HeadwaterError, Unavailable

# Pairs that a language's order, folding of case or padding with spaces would mix up. The emoji is
# beyond the first 65 536 code points, and U+FB01 (a ligature) comes before it by code point only:
# in UTF-16 the emoji would be first.
NAMES = [
    "a",
    "A",
    "a ",
    " a",
    "ä",
    "a\u0308",
    "Ä",
    "z",
    "Z",
    "_",
    "-",
    "10",
    "9",
    "ß",
    "ss",
    "\ufb01",
    "fi",
    "😀",
    "é",
    "e",
]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.write(metadata.create_all)
    yield database
    database.close()


@pytest.fixture
def on_server(server_url: str) -> Iterator[Database]:
    database = Database(server_url)
    database.write(metadata.create_all)
    yield database
    database.close()


def add(connection: Connection, *names: str) -> None:
    for name in names:
        connection.execute(
            insert(instances).values(
                id=f"id-{name}"[:36], name=name, created_at=0, updated_at=0, revision=1, document="😀 {}"
            )
        )


def revisions(connection: Connection) -> dict[str, int]:
    return {row.name: row.revision for row in connection.execute(select(instances.c.name, instances.c.revision))}


def test_names_that_differ_in_any_code_point_are_different_names(database: Database) -> None:
    database.write(lambda connection: add(connection, *NAMES))
    for name in NAMES:
        found = database.read(
            lambda connection, name=name: connection.scalars(  # type: ignore[misc]  # mypy cannot type a default
                select(instances.c.name).where(instances.c.name == name)
            ).all()
        )
        assert found == [name]


def test_names_sort_by_code_point(database: Database) -> None:
    database.write(lambda connection: add(connection, *reversed(NAMES)))
    found = database.read(lambda connection: connection.scalars(select(instances.c.name).order_by("name")).all())
    assert found == sorted(NAMES)


def test_a_page_starts_after_a_name_by_code_point(database: Database) -> None:
    database.write(lambda connection: add(connection, *NAMES))
    for name in NAMES:
        found = database.read(
            lambda connection, name=name: connection.scalars(  # type: ignore[misc]  # mypy cannot type a default
                select(instances.c.name).where(instances.c.name > name).order_by(instances.c.name)
            ).all()
        )
        assert found == sorted(other for other in NAMES if other > name)


def test_long_text_keeps_every_character(database: Database) -> None:
    document = "".join(chr(number) for number in (*range(1, 0xD800), *range(0xE000, 0x10FFFF, 97)))
    database.write(lambda connection: add(connection, "web1"))
    database.write(lambda connection: connection.execute(update(instances).values(document=document)))
    assert database.read(lambda connection: connection.scalar(select(instances.c.document))) == document


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        add(connection, "web1")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        database.write(fail)
    assert database.read(revisions) == {}


def test_two_writers_that_block_each_other_both_finish(database: Database) -> None:
    """Each takes one row, then wants the other's; on SQLite the second waits before it has taken any."""
    database.write(lambda connection: add(connection, "one", "two"))
    both_hold_a_row = threading.Barrier(2)
    runs: list[str] = []
    failures: list[Exception] = []

    def raise_revision(connection: Connection, name: str) -> None:
        connection.execute(update(instances).where(instances.c.name == name).values(revision=instances.c.revision + 1))

    def write(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            runs.append(first)
            raise_revision(connection, first)
            if not database.is_sqlite and runs.count(first) == 1:
                both_hold_a_row.wait(30)
            raise_revision(connection, second)

        try:
            database.write(work)
        except (HeadwaterError, SQLAlchemyError, threading.BrokenBarrierError) as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=names) for names in (("one", "two"), ("two", "one"))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert failures == []
    assert database.read(revisions) == {"one": 3, "two": 3}
    # One of two that hold what the other wants has to lose and start again; SQLite lets only one in.
    assert len(runs) == (2 if database.is_sqlite else 3)


def test_a_write_that_always_loses_says_so(on_server: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.database.engine.ATTEMPTS", 2)
    runs = 0

    def lose(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        if on_server.url.get_backend_name() == "postgresql":
            connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40P01'; END $$"))
        else:
            connection.execute(text("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'lost'"))

    with pytest.raises(Unavailable, match="lost"):
        on_server.write(lose)
    assert runs == 2


def test_a_server_that_is_gone_is_unavailable_and_its_password_stays_secret(on_server: Database) -> None:
    gone = Database(on_server.url.set(port=1, password="hunter2").render_as_string(hide_password=False))
    with pytest.raises(Unavailable) as caught:
        gone.read(revisions)
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    gone.close()
