"""What work in a transaction has to ask of other servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from headwater.asking import AskFirst, ask, knowing, remembering
from headwater.database.engine import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    database.write(lambda connection: connection.exec_driver_sql("CREATE TABLE done (what TEXT)"))
    yield database
    database.close()


def note(database: Database, what: str) -> None:
    database.write(lambda connection: connection.exec_driver_sql("INSERT INTO done VALUES (?)", (what,)))


def done(database: Database) -> list[str]:
    return list(database.read(lambda connection: connection.exec_driver_sql("SELECT what FROM done").scalars()))


def test_a_question_outside_of_a_transaction_is_asked_at_once() -> None:
    assert ask("who", lambda: "me") == "me"


def test_no_transaction_is_open_while_another_server_is_asked(database: Database) -> None:
    """Another change is kept meanwhile; it would wait for the lock, and in the end fail."""
    runs = 0

    def permission() -> str:
        note(database, "of others")
        return "you may"

    def work(connection: Connection) -> str:
        nonlocal runs
        runs += 1
        connection.exec_driver_sql("INSERT INTO done VALUES ('mine')")
        return ask("may I", permission)

    assert database.write(work) == "you may"
    assert (runs, done(database)) == (2, ["of others", "mine"])


def test_an_answer_is_good_for_one_piece_of_work(database: Database) -> None:
    asked: list[int] = []
    for number in range(2):
        database.write(lambda _, number=number: ask("same", lambda: asked.append(number)))  # type: ignore[misc]
    assert asked == [0, 1]


def test_a_server_that_fails_lets_the_work_fail_and_nothing_is_kept(database: Database) -> None:
    def fail() -> None:
        raise ConnectionRefusedError

    def work(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO done VALUES ('mine')")
        ask("who", fail)

    with pytest.raises(ConnectionRefusedError):
        database.write(work)
    assert done(database) == []


def test_work_that_asks_for_another_thing_each_time_ends() -> None:
    numbers = iter(range(1000))
    with pytest.raises(AskFirst, match="another thing each time"):
        knowing(lambda: ask(next(numbers), lambda: None))


def test_what_was_answered_before_is_known_in_a_transaction(database: Database) -> None:
    asked: list[str] = []

    def permission() -> str:
        asked.append("may I")
        return "you may"

    with remembering():
        assert ask("may I", permission) == ask("may I", permission) == "you may"
        assert database.write(lambda _: ask("may I", permission)) == "you may"
    assert asked == ["may I"]
    ask("may I", permission)
    assert asked == ["may I", "may I"]
