"""One database for everything that must survive: SQLite, PostgreSQL or MySQL/MariaDB.

``Database.read`` and ``Database.write`` run a piece of work in one transaction. A write that loses
against another one (deadlock, serialisation failure) is run again from its start, so the work must
have no effect outside the database. What the database does not do in time is ``Unavailable``:
``connecting.py`` has the limits, ``watch.py`` sees a server that stands still, ``held_rows.py`` keeps
one row that is held from taking all threads, ``sqlite_file.py`` knows whether the file is still the one.

SQLite: write-ahead log, so readers never wait; ``synchronous=FULL``, so what was answered survives
a power cut; writers take the lock at ``BEGIN IMMEDIATE``, so two of them queue instead of failing
half-way, and threads that write at the same time share one commit (``group_commit.py``).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from headwater.asking import knowing
from headwater.database import connecting, faults
from headwater.database.faults import DatabaseFull, DatabaseUnavailable
from headwater.database.group_commit import GroupCommit
from headwater.database.held_rows import Queues
from headwater.database.sqlite_file import SqliteFile
from headwater.database.watch import ANSWERS_S, Watch

T = TypeVar("T")

ATTEMPTS = 8
_POOL_S = 10  # how long a thread waits for a connection of the pool


class Database:
    """A pool of connections to one database; safe to use from several threads, not across a fork."""

    def __init__(self, url: str, *, pool_size: int = 16, may_make: bool = True) -> None:
        """Prepare the pool; nothing is opened yet.

        Args:
            pool_size: How many connections read at most, and how many write. They are opened when they are needed.
            may_make: An SQLite file that is not there is made. A running service finds what the start has made.

        Raises:
            SettingsError: ``url`` is not one of ``sqlite:///FILE``, ``postgresql://…``, ``mysql://…``.
        """
        self.url = connecting.parse(url)
        self._file: SqliteFile | None = None
        self._group: GroupCommit | None = None
        self._watch: Watch | None = None
        pool: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": _POOL_S}
        if self.is_sqlite:
            self._prepare_sqlite(pool, may_make=may_make)
        else:
            self._prepare_server({**pool, "pool_pre_ping": True, "pool_recycle": 1800})
        self._faults = (PoolTimeout, DBAPIError, faults.raised_by_driver(self.engine))

    def _prepare_sqlite(self, pool: dict[str, Any], *, may_make: bool) -> None:
        options = connecting.options(self.url)
        # One thread writes at a time, and always on the same connection.
        self.engine: Engine = create_engine(self.url, **options, **pool, pool_use_lifo=True)
        self._reading = create_engine(self.url, **options, **pool)
        if self.file is not None:
            self._file = SqliteFile(self.file, may_make=may_make)
        for engine in (self.engine, self._reading):
            connecting.prepare(engine)
            if self._file is not None:
                self._file.guard(engine)
        connecting.prepare_groups(self.engine)
        queue = Path(f"{self.file}-writer") if self.file else None
        self._group = GroupCommit(self.engine, queue, self._require_file)

    def _prepare_server(self, pool: dict[str, Any]) -> None:
        options = connecting.options(self.url)
        self.engine = create_engine(self.url, **options, **pool)
        # A read needs no transaction around it. Its connections are made so, and nothing has to be set back when one is
        # given back: PyMySQL would ask the server, and an error there takes a place of the pool with it.
        reading = {**options, "isolation_level": "AUTOCOMMIT"}
        self._reading = create_engine(self.url, **reading, **pool, pool_reset_on_return=None)
        asking = connecting.options(self.url, connect_s=ANSWERS_S)
        probe = create_engine(self.url, poolclass=NullPool, **asking)
        self._watch = watch = Watch(self._name, probe.raw_connection, faults.raised_by_driver(probe))
        for engine in (self.engine, self._reading):
            connecting.prepare(engine)
            event.listen(engine, "do_connect", lambda *_: watch.require())
            event.listen(engine, "connect", lambda connection, _: watch.opened(connection))
        Queues().guard(self.engine)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of a database of SQLite; ``None`` for one that is no file."""
        return connecting.file_of(self.url)

    @property
    def is_there(self) -> bool:
        """Whether there is a database to ask, as far as that is known without asking."""
        return self._file is None or self._file.is_there

    def read(self, work: Callable[[Connection], T], *, plans_anew: bool = False) -> T:
        """Run ``work``, which must not write; each statement sees what is committed when it begins.

        Args:
            plans_anew: The best way to the rows depends on the values. PostgreSQL would otherwise make one plan for
                all values after some runs; a page by a common property then took 170 ms in place of 2.

        Raises:
            Unavailable: The database does not answer.
        """
        try:
            self._begin(reads=True)
            with self._reading.connect() as connection:
                if plans_anew and self.url.get_backend_name() == "postgresql":
                    return _unprepared(connection, work)
                return work(connection)
        except self._faults as error:
            self._raise_ours(error)
        finally:
            self._end()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction and commit it.

        It is run again when it lost against another, or wants to know what another server says (``asking.py``).

        Raises:
            Unavailable: The database does not answer, a row is held by another, or it lost ``ATTEMPTS`` times.
        """
        return knowing(lambda: self._write(work))

    def _write(self, work: Callable[[Connection], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._begin()
                return self._write_once(work)
            except self._faults as error:
                if attempt == ATTEMPTS or not faults.is_lost(error):
                    self._raise_ours(error)
            finally:
                self._end()
            time.sleep(random.uniform(0.5, 1.0) * 0.01 * 2**attempt)  # noqa: S311 - spreads retries, hides nothing
        raise AssertionError("unreachable")

    def require_healthy(self) -> None:
        """Raise ``Unavailable`` when the database does not answer, or could keep no change."""
        self.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        if self._file is not None:
            self._file.require_room()

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a connection of its own to change the schema on, with no limit of time.

        Raises:
            Unavailable: The database does not answer.
        """
        engine = create_engine(self.url, poolclass=NullPool, **connecting.options(self.url))
        connecting.prepare(engine, is_limited=False)
        if self._file is not None:
            self._file.guard(engine)
        try:
            self._require_file()
            with engine.connect() as connection:
                yield connection
        except self._faults as error:
            self._raise_ours(error)

    def close(self) -> None:
        """Close every connection."""
        if self._group is not None:
            self._group.close()
        if self._watch is not None:
            self._watch.close()
        self.engine.dispose()
        self._reading.dispose()

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        if self._group is not None:
            return cast("T", self._group.write(work))
        with self.engine.connect() as connection:
            result = work(connection)
            connection.commit()
            return result

    def _begin(self, *, reads: bool = False) -> None:
        if self._file is not None:
            (self._file.require_lately if reads else self._file.require)()
        elif self._watch is not None:
            self._watch.begin()

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.end()

    def _raise_ours(self, error: Exception) -> NoReturn:
        """Turn what SQLAlchemy and the drivers say into our errors, unless the statement itself is wrong."""
        if isinstance(error, PoolTimeout):
            raise self._busy() from error
        if faults.is_full(error):
            raise DatabaseFull(self._name) from error
        if faults.is_lost(error) or faults.is_away(error):
            said = f"the database {self._name} does not work: {faults.in_short(error)}"
            raise DatabaseUnavailable(said) from error
        raise error

    def _require_file(self) -> None:
        if self._file is not None:
            self._file.require()

    @property
    def _name(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def _busy(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(f"every connection to the database {self._name} is in use; try again in a moment")


def _unprepared(connection: Connection, work: Callable[[Connection], T]) -> T:
    driver: Any = connection.connection.driver_connection
    usual, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        return work(connection)
    finally:
        driver.prepare_threshold = usual
