"""A private MariaDB server for one test run, and an empty database on it for each test."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest
from sqlalchemy.engine import URL

from needs import not_run
from servers import process
from servers.process import Server, account, directory, prepare

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
        # No file of the machine is read, so text is latin1 and folds case unless a column says otherwise.
        prepare(
            [
                installer,
                "--no-defaults",
                f"--datadir={home / 'data'}",
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
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    _execute(mariadb_server, f"CREATE DATABASE `{name}`")
    yield mariadb_server.set(database=name).render_as_string(hide_password=False)
    _end_users_of(mariadb_server, name)
    _execute(mariadb_server, f"DROP DATABASE `{name}`")


def _end_users_of(address: URL, database: str) -> None:
    """Close what a failed test left open; its locks would hold up DROP DATABASE."""
    with _connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (database,))
        for (number,) in cursor.fetchall():
            cursor.execute("KILL SOFT CONNECTION %s", (number,))


def _execute(address: URL, statement: str) -> None:
    with _connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _connect(address: URL) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host=str(address.host),
        port=address.port or 0,
        user=address.username,
        password=str(address.password),
        connect_timeout=5,
        autocommit=True,
    )
