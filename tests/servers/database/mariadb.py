"""A private MariaDB server for one test run, and a database on it for each test, empty or with the newest schema."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest
from sqlalchemy.engine import URL, make_url

from needs import not_run
from servers import process
from servers.process import Server, account, directory, prepare
from templates import migrated

_USER = "headwater"
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[URL]:
    """Give the address of a server, without a database, as a user who may do everything."""
    with prepared() as (server, address), process.running(server) as port:
        yield address(port)


@contextmanager
def prepared(*, keeps_each_commit: bool = False) -> Iterator[tuple[Server, Callable[[int], URL]]]:
    """Give a server, and its address on a port as a user who may do everything.

    Args:
        keeps_each_commit: Also when it is killed; otherwise it may lose the last second.
    """
    server = shutil.which("mariadbd", path=_SEARCH_PATH)
    installer = shutil.which("mariadb-install-db", path=_SEARCH_PATH)
    if server is None or installer is None:
        not_run("MariaDB (Debian's package mariadb-server-core)")
    owner = account("mysql")
    password = secrets.token_hex(16)
    with directory("mariadb", owner) as home:
        # A server that starts removes what looks like a temporary table from its directory for them, and one that has
        # it open dies. In the common directory that would be any server of any run.
        temporary = home / "tmp"
        temporary.mkdir()
        if owner is not None:
            shutil.chown(temporary, owner)
        # No file of the machine is read, so text is latin1 and folds case unless a column says otherwise.
        prepare(
            [
                installer,
                "--no-defaults",
                f"--datadir={home / 'data'}",
                f"--tmpdir={temporary}",
                "--auth-root-authentication-method=socket",
                "--skip-test-db",
                "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-log-file-size=32M",
            ],
            owner=owner,
            home=home,
        )
        users = home / "users.sql"
        users.write_text(
            f"CREATE USER {_USER}@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO {_USER}@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        users.chmod(0o600)
        if owner is not None:
            shutil.chown(users, owner)

        def command(port: int) -> Sequence[str | Path]:
            return [
                server,
                "--no-defaults",
                f"--datadir={home / 'data'}",
                f"--tmpdir={temporary}",
                f"--socket={home / 'mariadb.sock'}",
                f"--pid-file={home / 'mariadb.pid'}",
                f"--init-file={users}",
                "--bind-address=127.0.0.1",
                f"--port={port}",
                "--skip-name-resolve",
                "--innodb-buffer-pool-size=64M",
                "--innodb-log-file-size=32M",
                f"--innodb-flush-log-at-trx-commit={2 if keeps_each_commit else 0}",
                "--innodb-flush-method=nosync",
                "--innodb-fast-shutdown=2",
                "--max-connections=100",
            ]

        def address(port: int) -> URL:
            return URL.create("mysql", _USER, password, "127.0.0.1", port)

        def answers(port: int) -> bool:
            try:
                _connect(address(port)).close()
            except pymysql.err.OperationalError:
                return False
            return True

        yield Server(command, answers, owner, home, signal.SIGTERM), address


@pytest.fixture
def mariadb_url(mariadb_server: URL) -> Iterator[str]:
    """Give the address of an empty database, which goes after the test."""
    with _new_database(mariadb_server) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_template(mariadb_server: URL) -> Sequence[str]:
    """Give the statements that make the newest schema in an empty database; MariaDB copies none by itself."""
    with _new_database(mariadb_server) as url:
        migrated(url).close()
        name = str(make_url(url).database)
        with _connect(mariadb_server, name) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            tables = [table for (table,) in cursor.fetchall()]
            made, filled = [], []
            for table in tables:
                cursor.execute(f"SHOW CREATE TABLE `{table}`")
                made += [statement for _, statement in cursor.fetchall()]
                cursor.execute(f"SELECT * FROM `{table}`")
                columns = ", ".join(f"`{column[0]}`" for column in cursor.description)
                filled += [
                    f"INSERT INTO `{table}` ({columns}) VALUES ({', '.join(map(connection.escape, row))})"
                    for row in cursor.fetchall()
                ]
    # Tables come by name, so that one may refer to another that is not there yet.
    return ["SET foreign_key_checks = 0", *made, *filled]


@pytest.fixture
def mariadb_catalogue_url(mariadb_server: URL, mariadb_template: Sequence[str]) -> Iterator[str]:
    """Give the address of a database with the newest schema, which goes as an empty one does."""
    with _new_database(mariadb_server, mariadb_template) as url:
        yield url


@contextmanager
def _new_database(server: URL, statements: Sequence[str] = ()) -> Iterator[str]:
    """Make a database on the server, run the statements in it, and remove it."""
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    with _connect(server) as connection, connection.cursor() as cursor:
        for statement in (f"CREATE DATABASE `{name}`", f"USE `{name}`", *statements):
            cursor.execute(statement)
    yield server.set(database=name).render_as_string(hide_password=False)
    with _connect(server) as connection, connection.cursor() as cursor:
        # What a failed test left open has locks that would hold up DROP DATABASE.
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
        for (number,) in cursor.fetchall():
            with contextlib.suppress(pymysql.err.OperationalError):  # it has ended by itself
                cursor.execute("KILL SOFT CONNECTION %s", (number,))
        cursor.execute(f"DROP DATABASE `{name}`")


def _connect(address: URL, database: str | None = None) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host=str(address.host),
        port=address.port or 0,
        user=address.username,
        password=str(address.password),
        database=database,
        connect_timeout=5,
        autocommit=True,
    )
