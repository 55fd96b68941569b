"""Who writes in SQLite waits for other processes, and not for ever."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from headwater.database import turns
from headwater.database.engine import Database
from headwater.database.turns import NoTurn, Turns


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "writer"


@pytest.fixture
def mine(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    monkeypatch.setattr(turns, "LONGEST_S", 2)
    made = Turns(file)
    yield made
    made.close()


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Hold the lock as another process does that stands still."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def take(mine: Turns) -> float:
    begun = time.monotonic()
    with mine.turn():
        return time.monotonic() - begun


def test_a_turn_comes_as_soon_as_the_other_process_lets_go(
    mine: Turns, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_S", 60)
    took: list[float] = []
    with held(file):
        waiting = threading.Thread(target=lambda: took.append(take(mine)))
        waiting.start()
        time.sleep(0.2)
    waiting.join(20)
    assert 0.1 < took[0] < 10


def test_a_turn_that_does_not_come_is_refused_and_the_next_ones_sooner(mine: Turns, file: Path) -> None:
    with held(file):
        began = time.monotonic()
        with pytest.raises(NoTurn, match="stands still"):
            take(mine)
        assert time.monotonic() - began >= 2
        began = time.monotonic()
        with pytest.raises(NoTurn):
            take(mine)
        assert time.monotonic() - began < 1.5
    time.sleep(0.5)
    assert take(mine) < 1


def test_a_lock_that_nobody_wants_any_more_is_let_go(mine: Turns, file: Path) -> None:
    with held(file), pytest.raises(NoTurn):
        take(mine)
    other = Turns(file)
    time.sleep(0.5)
    assert take(other) < 1
    other.close()


def test_writes_beside_a_process_that_stands_still_are_unavailable_and_reads_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_S", 0.5)
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    database.write(lambda connection: connection.execute(text("CREATE TABLE t (n INTEGER)")))
    refused: list[float] = []

    def write() -> None:
        began = time.monotonic()
        with pytest.raises(NoTurn):
            database.write(lambda connection: connection.execute(text("INSERT INTO t VALUES (1)")))
        refused.append(time.monotonic() - began)

    with held(tmp_path / "catalogue.db-writer"):
        writers = [threading.Thread(target=write) for _ in range(16)]
        for each in writers:
            each.start()
        assert database.read(lambda connection: connection.execute(text("SELECT count(*) FROM t")).scalar()) == 0
        for each in writers:
            each.join(20)
    assert len(refused) == 16
    assert max(refused) < 3
    database.write(lambda connection: connection.execute(text("INSERT INTO t VALUES (1)")))
    database.close()
