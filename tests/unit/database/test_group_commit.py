"""Several writes, one commit: none is lost, none harms another, and nobody hears of success too early."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from headwater.asking import ask
from headwater.database.engine import Database
from headwater.database.turns import Turns


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    database.write(lambda connection: connection.execute(text("CREATE TABLE seen (name TEXT PRIMARY KEY)")))
    yield database
    database.close()


def add(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(text("INSERT INTO seen VALUES (:name)"), {"name": name})
        if name.startswith("bad"):
            raise ValueError(name)
        return name

    return work


def wait_for_waiting(database: Database, count: int) -> None:
    for _ in range(2000):
        if len(database._group._waiting) >= count:  # type: ignore[union-attr]  # it is SQLite
            return
        threading.Event().wait(0.005)
    raise AssertionError("they do not wait together")


def together(database: Database, works: list[Callable[[Connection], str]]) -> tuple[list[object], int]:
    """Write all while the first one still runs; return what each got, and how often there was a commit."""
    commits = 0

    def count(_connection: object) -> None:
        nonlocal commits
        commits += 1

    got: list[object] = [None] * len(works)
    begun, go_on = threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(20)
        add("first")(connection)

    def write(place: int) -> None:
        try:
            got[place] = database.write(works[place])
        except BaseException as error:  # noqa: BLE001 - it is what the test looks at
            got[place] = error

    event.listen(database.engine, "commit", count)
    leader = threading.Thread(target=database.write, args=(first,))
    leader.start()
    assert begun.wait(20)
    others = [threading.Thread(target=write, args=(place,)) for place in range(len(works))]
    for each in others:
        each.start()
    wait_for_waiting(database, len(works))
    go_on.set()
    for each in (leader, *others):
        each.join(20)
    event.remove(database.engine, "commit", count)
    return got, commits


def names(database: Database) -> set[str]:
    return set(database.read(lambda connection: connection.scalars(text("SELECT name FROM seen")).all()))


def test_what_waits_is_committed_at_once(database: Database) -> None:
    wanted = [f"n{number}" for number in range(10)]
    got, commits = together(database, [add(name) for name in wanted])
    assert got == wanted
    assert commits == 2
    assert names(database) == {"first", *wanted}


def test_what_comes_while_another_process_writes_is_committed_with_what_waited(
    database: Database, tmp_path: Path
) -> None:
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    wanted = [f"n{number}" for number in range(6)]
    another = Turns(tmp_path / "catalogue.db-writer")
    with another.turn():
        writers = [threading.Thread(target=database.write, args=(add(name),)) for name in wanted]
        for each in writers:
            each.start()
        wait_for_waiting(database, len(wanted))
    for each in writers:
        each.join(20)
    another.close()
    assert names(database) == set(wanted)
    assert len(commits) == 1


def test_who_has_written_does_not_wait_for_those_that_came_later(database: Database) -> None:
    begun, go_on, returned = threading.Event(), threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(20)
        add("first")(connection)

    def write_first() -> None:
        database.write(first)
        returned.set()

    def later(_connection: Connection) -> bool:
        return returned.wait(20)

    leader = threading.Thread(target=write_first)
    leader.start()
    assert begun.wait(20)
    with ThreadPoolExecutor(1) as others:
        waiting = others.submit(database.write, later)
        wait_for_waiting(database, 1)
        go_on.set()
        assert waiting.result(), "the first one was told of its commit only after the second's"
    leader.join(20)


def test_savepoints_are_kept_in_memory_and_what_is_sorted_is_not(database: Database) -> None:
    def in_memory(connection: Connection) -> bool:
        return connection.exec_driver_sql("PRAGMA temp_store").scalar() == 2

    assert database.write(in_memory)
    assert not database.read(in_memory)


def test_a_write_that_fails_is_undone_alone(database: Database) -> None:
    got, _ = together(database, [add("a"), add("bad one"), add("b"), add("first"), add("c")])
    assert [got[0], got[2], got[4]] == ["a", "b", "c"]
    assert isinstance(got[1], ValueError)
    assert "UNIQUE" in str(got[3])
    assert names(database) == {"first", "a", "b", "c"}


def test_when_the_transaction_is_lost_nobody_hears_of_success(database: Database) -> None:
    """SQLite itself gives a transaction up when the disk is full."""

    def lost(connection: Connection) -> str:
        connection.exec_driver_sql("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    got, _ = together(database, [add("a"), lost, add("b")])
    assert all(isinstance(each, sqlite3.OperationalError) for each in got), got
    assert names(database) == {"first"}


def test_work_that_has_to_ask_another_server_first_leaves_the_others_theirs(database: Database) -> None:
    def asks(connection: Connection) -> str:
        add("half")(connection)
        return add(ask("who", lambda: "answer"))(connection)

    got, commits = together(database, [add("a"), asks, add("b")])
    assert not [each for each in got if isinstance(each, BaseException)], got
    assert names(database) == {"first", "a", "b", "half", "answer"}  # each once: names are unique
    assert commits == 3  # the third is of the work that asked


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_when_the_writer_is_interrupted_nobody_hears_of_success(
    database: Database, interruption: type[BaseException]
) -> None:
    def interrupted(_connection: Connection) -> str:
        raise interruption

    got, _ = together(database, [add("a"), interrupted, add("b")])
    assert all(isinstance(each, interruption) for each in got), got
    assert names(database) == {"first"}


def test_work_sees_the_context_of_the_thread_that_wants_it(database: Database) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    who.set("me")
    assert database.write(lambda _connection: who.get()) == "me"


def test_two_databases_of_one_file_take_turns(database: Database, tmp_path: Path) -> None:
    """As two processes do."""
    other = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")

    def write(which: Database, letter: str) -> None:
        for number in range(30):
            which.write(add(f"{letter}{number}"))

    threads = [threading.Thread(target=write, args=pair) for pair in ((database, "a"), (other, "b"))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    other.close()
    assert len(names(database)) == 60
