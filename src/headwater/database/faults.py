"""What an error of a driver means: the database does not work, the write lost to another, or the program is wrong."""

from __future__ import annotations

import sqlite3
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from headwater.errors import Unavailable

# Serialisation failure and deadlock of PostgreSQL; deadlock of MySQL, and a row that changed under MariaDB's snapshot.
_LOST = frozenset({"40001", "40P01", 1213, 1020})
# Of SQLite only these mean that the file does not work; any other error is a statement of ours that is wrong.
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


class DatabaseUnavailable(Unavailable):
    """The database does not answer, has no connection to spare, or a row is held for long by somebody else."""

    @property
    def told(self) -> str:
        return "The catalogue does not answer at the moment. Try again later."


class DatabaseFull(DatabaseUnavailable):
    """The disk of the database has no room for a change; what is there can be read."""

    def __init__(self, database: str) -> None:
        super().__init__(f"the disk of the database {database} is full: make room on it")

    @property
    def told(self) -> str:
        return "The catalogue has no room for a change at the moment. Try again later."


def raised_by_driver(engine: Engine) -> type[Exception]:
    """Return what the engine's driver raises; SQLAlchemy imports that one, and we none, as a start waits for each.

    SQLAlchemy wraps it, but not where it gives a connection back to the pool.
    """
    return cast("type[Exception]", engine.dialect.loaded_dbapi.Error)


def of_driver(error: Exception) -> BaseException:
    """Return the error of the driver, without what SQLAlchemy wraps around it."""
    return error.orig or error if isinstance(error, DBAPIError) else error


def is_lost(error: Exception) -> bool:
    """Whether the transaction lost against another one, and running it again is right."""
    return _number(of_driver(error)) in _LOST


def is_full(error: Exception) -> bool:
    """Whether SQLite found no room on the disk."""
    original = of_driver(error)
    return isinstance(original, sqlite3.Error) and _sqlite_code(original) == sqlite3.SQLITE_FULL


def is_away(error: Exception) -> bool:
    """Whether the database does not work, rather than the statement."""
    original = of_driver(error)
    if isinstance(original, sqlite3.Error):
        return _sqlite_code(original) in _SQLITE_AWAY
    if isinstance(error, DBAPIError):
        return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return not isinstance(error, SQLAlchemyError)


def in_short(error: Exception) -> str:
    """Return the first line of what the driver said."""
    original = of_driver(error)
    return str(original).strip().partition("\n")[0] or type(original).__name__


def _sqlite_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _number(error: BaseException) -> object:
    """Return the SQLSTATE of PostgreSQL or the number of MySQL."""
    number = error.args[0] if error.args else None
    return number if isinstance(number, int) else getattr(error, "sqlstate", None)
