"""Writes of several threads in one transaction of SQLite, which lets one writer in at a time.

A commit flushes the disk, and each flush takes as long for one write as for thirty. So whoever gets the
lock carries out all that waits, each in a savepoint of its own, commits once, and then tells the others. A write
that fails is undone alone. Nobody is told of success before the commit.

Processes queue at a lock of the kernel's on a file beside the database (``turns.py``). At SQLite's own lock each would
sleep and look again, and sleep longer each time.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from headwater.database.turns import Turns

_MOST = 64  # writes in one transaction, so that no other process waits for long


class _Write:
    """One piece of work, and what came of it."""

    __slots__ = ("context", "error", "is_done", "result", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work = work
        self.context = contextvars.copy_context()
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        """Carry it out; its own errors are kept for the thread that wants it."""
        self.error = None
        try:
            self.result = self.context.run(self.work, connection)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that wants the result
            self.error = error


class GroupCommit:
    """The writer of one SQLite database in this process; safe to use from several threads."""

    def __init__(self, engine: Engine, file: Path | None, require: Callable[[], None]) -> None:
        """Take the database.

        Args:
            file: Where processes queue; ``None`` for a database of this process alone.
            require: Raises when what is written would be lost, because the database is not where it was.
        """
        self._engine = engine
        self._require = require
        self._turns = Turns(file)
        self._waiting: deque[_Write] = deque()
        self._writer = threading.Lock()

    def write(self, work: Callable[[Connection], Any]) -> Any:
        """Run ``work`` in a transaction, maybe beside other work, and return its result after the commit.

        Raises:
            Exception: What ``work`` raised, or the database.
        """
        write = _Write(work)
        self._waiting.append(write)
        with self._writer:
            while not write.is_done:
                self._write_waiting()
        if write.error is not None:
            raise write.error
        return write.result

    def close(self) -> None:
        """Let go of the file."""
        with self._writer:
            self._turns.close()

    def _write_waiting(self) -> None:
        """Carry out what waits, the first of it at least, and be done: those whose work it is wait for the lock."""
        group: list[_Write] = []
        try:
            with self._engine.connect() as connection:
                with self._turns.turn():
                    # Not before: while another process had its turn, more came.
                    group = self._taken()
                    _write_group(connection, group)
                self._require()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nothing of the group is in the database
            group = group or self._taken()
            for write in group:
                write.error = error
        finally:
            for write in group:
                write.is_done = True

    def _taken(self) -> list[_Write]:
        return [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]


def _write_group(connection: Connection, group: list[_Write]) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if len(group) == 1:
        group[0].run(connection)
        if group[0].error is None:
            connection.commit()
        return
    driver: Any = connection.connection.driver_connection  # SQLAlchemy would take ten times as long for these
    for write in group:
        driver.execute("SAVEPOINT one")
        write.run(connection)
        if write.error is not None:
            if not driver.in_transaction:  # a full disk ends it all: nobody's work is there
                raise write.error
            driver.execute("ROLLBACK TO one")
        driver.execute("RELEASE one")
    connection.commit()
