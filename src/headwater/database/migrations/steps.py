"""Migrations of MySQL and MariaDB can be broken off anywhere, and are taken up where they were.

SQLite and PostgreSQL undo a migration that is broken off. MySQL commits each statement that changes a table, so a kill
leaves half of one. Here each statement of a migration is a step with a note in the table ``migration_steps``:

* What moves rows is committed together with its note: it happens once.
* What changes a table is noted as begun before, and as done after. A step that was begun and not done may have
  happened: it is run again, and the server's word that there is nothing to do ("table exists") is no failure then.

So a migration is written in plain ``alembic.op``, as if nothing could break it off. It has to say the same statements
each time, whatever it finds. The table of notes is there only while a database is being upgraded.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import pymysql
from sqlalchemy import Connection, event

from headwater.errors import SettingsError

TABLE = "migration_steps"
_IS_STEP = "headwater_is_step"
NO_STEP = {_IS_STEP: False}  # execution options of what is not part of a migration

_MOVES_ROWS = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_STEPS = _MOVES_ROWS | {"CREATE", "ALTER", "DROP", "RENAME"}
# What the server says of a statement that has been carried out: the table, column, key or constraint is there, or gone.
_HAS_HAPPENED = frozenset({1050, 1051, 1054, 1060, 1061, 1091, 1146, 1826})

_CREATE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} "
    "(number INTEGER NOT NULL PRIMARY KEY, statement CHAR(64) NOT NULL, is_done BOOLEAN NOT NULL)"
)
_READ = f"SELECT number, statement, is_done FROM {TABLE}"  # noqa: S608 - the name is ours
_NOTE = f"REPLACE INTO {TABLE} (number, statement, is_done) VALUES (%s, %s, %s)"  # noqa: S608 - the name is ours
_FORGET = f"DELETE FROM {TABLE} WHERE number >= %s"  # noqa: S608 - the name is ours


class BegunByAnother(SettingsError):
    """Another Headwater has begun this upgrade, with other statements."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"an upgrade of the catalogue was broken off, and its step {number} is another one in this version of "
            "Headwater: run 'headwater db upgrade' of the version that began it, or restore the catalogue from before"
        )
        self.number = number


class Steps:
    """The steps of one upgrade, on a connection whose engine nothing else uses."""

    def __init__(self, connection: Connection) -> None:
        """Read how far an earlier run came, and note each step from now on."""
        self._connection = connection
        connection.exec_driver_sql(_CREATE)
        self._noted = {number: (said, bool(done)) for number, said, done in connection.exec_driver_sql(_READ)}
        self._number = 0
        for name in ("do_execute", "do_executemany"):
            event.listen(connection.engine, name, self._step)

    def version_reached(self) -> None:
        """Commit the number of the schema, which ends the steps that led to it."""
        self._connection.exec_driver_sql(_FORGET, (0,), execution_options=NO_STEP)
        self._connection.commit()
        self._noted, self._number = {}, 0

    def end(self) -> None:
        """Leave no trace of a finished upgrade."""
        self._connection.exec_driver_sql(f"DROP TABLE IF EXISTS {TABLE}", execution_options=NO_STEP)

    def _step(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Stand in for the execution of a statement; ``False``: let it be executed as usual."""
        word = statement.split(None, 1)[0].upper()
        is_kept_by_alembic = "alembic_version" in statement
        if word not in _STEPS or is_kept_by_alembic or not context.execution_options.get(_IS_STEP, True):
            return False
        self._number += 1
        digest = hashlib.sha256(statement.encode()).hexdigest()
        noted, is_done = self._noted.get(self._number, (None, False))
        if noted not in (None, digest):
            raise BegunByAnother(self._number)
        if is_done:
            return True
        execute = cursor.executemany if context.executemany else cursor.execute
        if word in _MOVES_ROWS:
            execute(statement, parameters)
        else:
            if noted is None:
                cursor.execute(_NOTE, (self._number, digest, False))
                cursor.connection.commit()
            try:
                execute(statement, parameters)
            except pymysql.MySQLError as error:
                if noted is None or error.args[0] not in _HAS_HAPPENED:
                    self._take_back(cursor)
                    raise
        cursor.execute(_NOTE, (self._number, digest, True))
        cursor.connection.commit()
        return True

    def _take_back(self, cursor: Any) -> None:
        """Note that the step has not happened: what stood in its way is not its own work."""
        with contextlib.suppress(pymysql.MySQLError):  # of a lost connection: the step may have happened
            cursor.execute(_FORGET, (self._number,))
            cursor.connection.commit()
