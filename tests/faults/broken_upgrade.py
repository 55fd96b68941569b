"""Upgrade a catalogue, and be killed on the way: each line of standard input is ``URL NUMBER`` of one try.

It answers ``killed`` or ``done``. On SQLite and PostgreSQL, which undo what was not committed, the try is killed before
its statement of that number. On MariaDB it is killed after the first statement that leaves something in the database:
the next try begins there, so that a row of tries passes through every state that a kill can leave.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pymysql
from sqlalchemy import Engine, event

from headwater.database import migrating, schema  # noqa: F401 - loaded before the forks, as it takes long
from headwater.database.engine import Database


def die(*_arguments: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def die_before(number: int) -> None:
    """Die before the statement, or the commit, of this number."""
    seen = 0

    def count(*_arguments: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            die()

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def die_after_a_change() -> None:
    """Die as soon as MariaDB has kept something, but for the empty table of notes."""
    usual: Callable[..., Any] = pymysql.connections.Connection.query
    pending = False

    def query(self: Any, sql: str | bytes, *arguments: Any, **named: Any) -> Any:
        nonlocal pending
        result = usual(self, sql, *arguments, **named)
        statement = sql.decode() if isinstance(sql, bytes) else sql
        word = statement.split(None, 1)[0]
        if word in ("CREATE", "ALTER", "DROP", "RENAME") and "IF NOT EXISTS" not in statement:
            die()
        pending = pending or word in ("INSERT", "UPDATE", "DELETE", "REPLACE")
        return result

    def commit(self: Any) -> None:
        usual_commit(self)
        if pending:
            die()

    usual_commit = pymysql.connections.Connection.commit
    pymysql.connections.Connection.query = query  # type: ignore[method-assign]
    pymysql.connections.Connection.commit = commit  # type: ignore[method-assign]


def main() -> None:
    for driver in ("postgresql", "mysql"):
        Database(f"{driver}://nobody@127.0.0.1/none").close()  # loads its driver, and connects to nothing
    for line in sys.stdin:
        url, number = line.split()
        process = os.fork()
        if process == 0:
            if url.startswith("mysql"):
                die_after_a_change()
            else:
                die_before(int(number))
            schema.upgrade(Database(url))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "done" if status == 0 else f"failed: {status}", flush=True)


if __name__ == "__main__":
    main()
