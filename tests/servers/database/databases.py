"""A database of each kind that Headwater runs on, for suites that all of them must pass.

``catalogue_url`` runs a test once for each kind, on a database with the newest schema; ``database_url`` does so on an
empty one. ``server_catalogue_url`` and ``server_url`` leave SQLite out. ``-m mariadb`` picks the runs of one kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers.process import directory
from templates import sqlite_catalogue

SERVERS = ("postgresql", "mariadb")
KINDS = ("sqlite", *SERVERS)


def pytest_configure(config: pytest.Config) -> None:
    for kind in KINDS:
        config.addinivalue_line("markers", f"{kind}: runs against {kind}")


@pytest.fixture
def _sqlite_directory() -> Iterator[Path]:
    with directory("sqlite", None) as path:  # in memory: each commit waits for a disk
        yield path


@pytest.fixture
def sqlite_url(_sqlite_directory: Path) -> str:
    """Give the address of a database file that is not there yet."""
    return f"sqlite:///{_sqlite_directory / 'catalogue.sqlite'}"


@pytest.fixture
def sqlite_catalogue_url(_sqlite_directory: Path) -> str:
    """Give the address of a database file with the newest schema."""
    return sqlite_catalogue(_sqlite_directory / "newest.sqlite")


def _each(kinds: tuple[str, ...]) -> list[Any]:
    return [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in kinds]


@pytest.fixture(params=_each(KINDS))
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty database, on each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=_each(KINDS))
def catalogue_url(request: pytest.FixtureRequest) -> str:
    """Give the address of a database with the newest schema, on each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_catalogue_url")
    return url


@pytest.fixture(params=_each(SERVERS))
def server_url(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty database, on each kind of server in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=_each(SERVERS))
def server_catalogue_url(request: pytest.FixtureRequest) -> str:
    """Give the address of a database with the newest schema, on each kind of server in turn."""
    url: str = request.getfixturevalue(f"{request.param}_catalogue_url")
    return url
