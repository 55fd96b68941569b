"""A private PostgreSQL server for one test run, and a database on it for each test, empty or with the newest schema."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from needs import not_run
from servers import process
from servers.process import Server, account, directory, prepare
from templates import migrated

OLDEST = 13
_USER = "headwater"
_ICU_SINCE = 15
# Of a server whose data nobody misses.
_HASTY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "deadlock_timeout": "100ms",
}


def installed() -> tuple[Path, int] | None:
    """Return the directory with the programs of the newest PostgreSQL on this machine, and its major version."""
    places = {program.parent for program in Path("/usr/lib/postgresql").glob("*/bin/postgres")}
    if (in_path := shutil.which("postgres")) is not None:
        places.add(Path(in_path).resolve().parent)
    found = [(version, place) for place in places if (version := _version(place)) >= OLDEST]
    if not found:
        return None
    version, place = max(found)
    return place, version


def _version(place: Path) -> int:
    if not (place / "initdb").exists():
        return 0
    said = subprocess.run([place / "postgres", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
    match = re.search(r"\) (\d+)", said)
    return int(match[1]) if match else 0


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """Give the address of a server's maintenance database, as its superuser."""
    programs = installed()
    if programs is None:
        not_run(f"PostgreSQL {OLDEST} or newer (Debian's package postgresql)")
    with running(programs, _HASTY) as address:
        yield address


@contextmanager
def running(programs: tuple[Path, int], settings: Mapping[str, str]) -> Iterator[URL]:
    """Keep a new server running, and give the address of its maintenance database, as its superuser."""
    with prepared(programs, settings) as (server, address), process.running(server) as port:
        yield address(port)


@contextmanager
def prepared(
    programs: tuple[Path, int], settings: Mapping[str, str] = _HASTY
) -> Iterator[tuple[Server, Callable[[int], URL]]]:
    """Give a server, and the address on a port of its maintenance database, as its superuser.

    Args:
        programs: What ``installed`` found.
        settings: Of ``postgresql.conf``, besides those that keep the server private.
    """
    place, version = programs
    owner = account("postgres")
    password = secrets.token_urlsafe(16)
    with directory("postgresql", owner) as home:
        secret = home / "password"
        secret.write_text(password)
        secret.chmod(0o600)
        if owner is not None:
            shutil.chown(secret, owner)
        # A server that sorts by language, as many do: order by code point must be our doing.
        locale = ["--locale-provider=icu", "--icu-locale=en"] if version >= _ICU_SINCE else []
        prepare(
            [
                place / "initdb",
                f"--pgdata={home / 'data'}",
                f"--username={_USER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                *locale,
            ],
            owner=owner,
            home=home,
        )

        def command(port: int) -> Sequence[str | Path]:
            private = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(home), "max_connections": "100"}
            options = [word for name, value in {**private, **settings}.items() for word in ("-c", f"{name}={value}")]
            return [place / "postgres", "-D", home / "data", "-p", str(port), *options]

        def address(port: int) -> URL:
            return URL.create("postgresql", _USER, password, "127.0.0.1", port, "postgres")

        def answers(port: int) -> bool:
            try:
                _connect(address(port)).close()
            except psycopg.OperationalError:
                return False
            return True

        yield Server(command, answers, owner, home, signal.SIGINT), address


@pytest.fixture
def postgresql_url(postgresql_server: URL) -> Iterator[str]:
    """Give the address of an empty database, which goes after the test with all who still use it."""
    with new_database(postgresql_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: URL) -> Iterator[str]:
    """Give the name of a database with the newest schema, to be copied."""
    with new_database(postgresql_server) as url:
        migrated(url).close()
        yield str(make_url(url).database)


@pytest.fixture
def postgresql_catalogue_url(postgresql_server: URL, postgresql_template: str) -> Iterator[str]:
    """Give the address of a database with the newest schema, which goes as an empty one does."""
    with new_database(postgresql_server, postgresql_template) as url:
        yield url


@contextmanager
def new_database(server: URL, template: str = "template1") -> Iterator[str]:
    """Make a database on the server, a copy of ``template``, and remove it with all who still use it."""
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    names = sql.Identifier(name), sql.Identifier(template)
    with _connect(server) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
    yield server.set(database=name).render_as_string(hide_password=False)
    with _connect(server) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


def _connect(address: URL) -> psycopg.Connection:
    return psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.username,
        password=address.password,
        dbname=address.database,
        connect_timeout=5,
        autocommit=True,
    )
