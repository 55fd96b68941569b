"""One database for everything that must survive: SQLite, PostgreSQL or MySQL/MariaDB.

``Database.read`` and ``Database.write`` run a piece of work in one transaction. A write that loses
against another one (deadlock, serialisation failure, a busy SQLite file) is run again from its
start, so the work must have no effect outside the database.

SQLite: write-ahead log, so readers never wait; ``synchronous=FULL``, so what was answered survives
a power cut; writers take the lock at ``BEGIN IMMEDIATE``, so two of them queue instead of failing
half-way, and threads that write at the same time share one commit (``group_commit.py``).
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from headwater.database.group_commit import GroupCommit
from headwater.errors import SettingsError, Unavailable

T = TypeVar("T")

SQLITE_BUSY_S = 30
ATTEMPTS = 8
# Serialisation failure and deadlock of PostgreSQL; lock wait timeout and deadlock of MySQL.
_RETRY_SQLSTATES = frozenset({"40001", "40P01"})
_RETRY_MYSQL = frozenset({1205, 1213, 1020})

_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or has no connection to spare."""

    @property
    def told(self) -> str:
        return "The catalogue does not answer at the moment. Try again later."


class Database:
    """A pool of connections to one database; safe to use from several threads, not across a fork."""

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        """Prepare the pool; nothing is opened yet.

        Raises:
            SettingsError: ``url`` is not one of ``sqlite:///FILE``, ``postgresql://…``, ``mysql://…``.
        """
        self.url = _parse(url)
        arguments: dict[str, Any] = {}
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 30}
        if self.url.get_backend_name() == "sqlite":
            arguments = {"timeout": SQLITE_BUSY_S, "check_same_thread": False}
        else:
            options["pool_pre_ping"] = True
            options["pool_recycle"] = 1800
        if self.url.get_backend_name() == "mysql":
            arguments = {"charset": "utf8mb4", "connect_timeout": 10}
            options["isolation_level"] = "READ COMMITTED"
        elif self.url.get_backend_name() == "postgresql":
            arguments = {"connect_timeout": 10}
        self.engine: Engine = create_engine(self.url, connect_args=arguments, **options)
        # A read needs no transaction around it; on a server that saves two of three round trips.
        self._reading: Engine = self.engine
        if self.is_sqlite:
            _prepare_sqlite(self.engine)
            queue = None if self.file is None else Path(f"{self.file}-writer")
            self._group: GroupCommit | None = GroupCommit(self.engine, queue)
        else:
            self._group = None
            self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of a database of SQLite; ``None`` for one that is no file."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    def read(self, work: Callable[[Connection], T], *, plans_anew: bool = False) -> T:
        """Run ``work``, which must not write; each statement sees what is committed when it begins.

        Args:
            plans_anew: The best way to the rows depends on the values. PostgreSQL would otherwise make one plan for
                all values after some runs; a page by a common property then took 170 ms in place of 2.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            with self._reading.connect() as connection:
                if plans_anew and self.url.get_backend_name() == "postgresql":
                    return _unprepared(connection, work)
                return work(connection)
        except PoolTimeout as error:
            raise self._busy() from error
        except DBAPIError as error:
            if _is_away(error):
                raise self._unavailable(error) from error
            raise

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction and commit it; run it again when it lost against another.

        Raises:
            Unavailable: The database does not answer, or it lost ``ATTEMPTS`` times.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self._group is not None:
                    return cast("T", self._group.write(work))
                with self.engine.connect() as connection:
                    result = work(connection)
                    connection.commit()
                    return result
            except PoolTimeout as error:
                raise self._busy() from error
            except DBAPIError as error:
                if not _lost(error):
                    if _is_away(error):
                        raise self._unavailable(error) from error
                    raise
                if attempt == ATTEMPTS:
                    raise self._unavailable(error) from error
                time.sleep(random.uniform(0.5, 1.0) * 0.01 * 2**attempt)  # noqa: S311 - spreads retries, hides nothing
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        if self._group is not None:
            self._group.close()
        self.engine.dispose()

    def _busy(self) -> DatabaseUnavailable:
        name = self.url.render_as_string(hide_password=True)
        return DatabaseUnavailable(f"every connection to the database {name} is in use; try again in a moment")

    def _unavailable(self, error: DBAPIError) -> DatabaseUnavailable:
        first_line = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
        return DatabaseUnavailable(
            f"the database {self.url.render_as_string(hide_password=True)} does not work: {first_line}"
        )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        driver = _DRIVERS[backend]
    except (ArgumentError, NoSuchModuleError, KeyError) as error:
        raise SettingsError(
            "section [database], key 'url': give sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME "
            "or mysql://USER:PASSWORD@HOST/NAME"
        ) from error
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        directory = Path(str(parsed.database)).parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"section [database], key 'url': cannot make the directory {directory}: {error.strerror}; "
                "give a file in a directory that this user may write to"
            ) from error
    return parsed.set(drivername=driver)


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-4096",
            "mmap_size=2147418112",  # the most that SQLite takes; it is address space, not memory
        ):
            connection.execute(f"PRAGMA {pragma}").close()


def _unprepared(connection: Connection, work: Callable[[Connection], T]) -> T:
    driver: Any = connection.connection.driver_connection
    usual, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        return work(connection)
    finally:
        driver.prepare_threshold = usual


def _is_away(error: DBAPIError) -> bool:
    """Return whether the database does not work, rather than the statement."""
    if isinstance(error.orig, sqlite3.DatabaseError):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return isinstance(error, OperationalError) or code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
    return isinstance(error, OperationalError | InterfaceError)


def _lost(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return original.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    if getattr(original, "sqlstate", None) in _RETRY_SQLSTATES:
        return True
    arguments: tuple[object, ...] = getattr(original, "args", ())
    return len(arguments) > 0 and arguments[0] in _RETRY_MYSQL
