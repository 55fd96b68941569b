"""How each kind of database is connected to: its driver, and after what time whoever waits gives up.

=================================  ==========  =======================================================================
For                                After       Told to
=================================  ==========  =======================================================================
a connection                       4 s         the driver
a row or table that is held        2 s         the server (SQLite: ``group_commit.py``, for its one lock)
a statement                        30 s        the server
a transaction that asks nothing    60 s        the server, so that a worker that stands still lets its rows go
an answer from a silent network    40 s        the driver or the kernel (``watch.py`` is sooner, and more certain)
=================================  ==========  =======================================================================

A change of the schema has no limit.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from headwater.errors import SettingsError

CONNECT_S = 4
HELD_S = 2
STATEMENT_S = 30
IDLE_S = 60
ANSWER_S = 40
SQLITE_BUSY_S = 3  # of a program that is none of ours
_MIGRATION_S = 3600
_LOG_PAGES = 4000  # of 4 KiB, before SQLite takes them into the database

_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}


def parse(url: str) -> URL:
    """Return the address with our driver.

    Raises:
        SettingsError: It is none of a database that we know.
    """
    try:
        return read(url)
    except ValueError as error:
        raise SettingsError(f"section [database], key 'url': {error}") from error


def read(url: str) -> URL:
    """Do what ``parse`` does, and raise ``ValueError`` without saying which setting it is."""
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (ArgumentError, NoSuchModuleError, KeyError) as error:
        raise ValueError(
            "give sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME"
        ) from error
    except ValueError:
        # The cause quotes what stands there, which a password with a colon or a slash in it may be.
        raise ValueError(
            "what stands behind the host's colon is no port; in a password, write %3A for : and %2F for /"
        ) from None
    if driver == "sqlite" and parsed.query:
        raise ValueError("a file of SQLite takes no options behind a question mark")
    return parsed.set(drivername=driver)


def file_of(url: URL) -> Path | None:
    """Return the file of a database of SQLite; ``None`` for one that is no file."""
    name = url.database
    return Path(name) if url.get_backend_name() == "sqlite" and name and name != ":memory:" else None


def redacted(url: str) -> str:
    """Return an address that is one, without its password."""
    return make_url(url).render_as_string(hide_password=True)


def options(url: URL, *, connect_s: int = CONNECT_S) -> dict[str, Any]:
    """Return what an engine needs to make connections."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": SQLITE_BUSY_S, "check_same_thread": False}}
    if backend == "postgresql":
        network = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4}
        return {"connect_args": {"connect_timeout": connect_s, "tcp_user_timeout": ANSWER_S * 1000, **network}}
    # PyMySQL's limit of a connection ends with TCP; the greeting that then comes, or not, is already an answer.
    waits = {"connect_timeout": connect_s, "read_timeout": connect_s, "write_timeout": ANSWER_S}
    return {"connect_args": {"charset": "utf8mb4", **waits}, "isolation_level": "READ COMMITTED"}


def prepare(engine: Engine, *, is_limited: bool = True) -> None:
    """Set up each connection that the engine makes.

    Args:
        is_limited: Statements, and the wait for what is held, take so long at most.
    """
    prepare_one = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}[engine.url.get_backend_name()]

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        prepare_one(connection, is_limited)


def prepare_groups(engine: Engine) -> None:
    """Set up each connection of SQLite that many changes are written on in one transaction.

    A savepoint keeps each page as it was, which for two images is more than SQLite keeps in memory by itself. Most
    pages of the log are written again by the next changes; the later they go into the database, the fewer.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in ("temp_store=MEMORY", f"wal_autocheckpoint={_LOG_PAGES}"):
            connection.execute(f"PRAGMA {pragma}").close()


def _postgresql(connection: Any, is_limited: bool) -> None:
    limits = (HELD_S, STATEMENT_S, IDLE_S) if is_limited else (0, 0, 0)
    usual, connection.autocommit = connection.autocommit, True
    for name, seconds in zip(
        ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"), limits, strict=True
    ):
        connection.execute(f"SET {name} = {seconds * 1000}")
    connection.autocommit = usual


def _mysql(connection: Any, is_limited: bool) -> None:
    is_mariadb = "MariaDB" in connection.get_server_info()
    limits = {"innodb_lock_wait_timeout": HELD_S if is_limited else _MIGRATION_S}
    if is_limited:
        limits["lock_wait_timeout"] = 5 * HELD_S
    if is_limited and is_mariadb:
        limits |= {"max_statement_time": STATEMENT_S, "idle_transaction_timeout": IDLE_S}
    elif is_limited:
        limits["max_execution_time"] = STATEMENT_S * 1000
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in limits.items()))
    connection._read_timeout = ANSWER_S if is_limited else _MIGRATION_S


def _sqlite(connection: sqlite3.Connection, is_limited: bool) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        f"busy_timeout={(SQLITE_BUSY_S if is_limited else _MIGRATION_S) * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-4096",
        "mmap_size=2147418112",  # the most that SQLite takes; it is address space, not memory
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def uri(file: str) -> str:
    """Return how SQLite is told to open a file that is there, and never to make one."""
    return f"file:{quote(file)}?mode=rw"
