"""An empty database of each kind that Headwater runs on, for suites that all of them must pass.

``database_url`` runs a test once for each kind, ``server_url`` once for each kind that is a server;
``-m mariadb`` picks the runs of one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SERVERS = ("postgresql", "mariadb")
KINDS = ("sqlite", *SERVERS)


def pytest_configure(config: pytest.Config) -> None:
    for kind in KINDS:
        config.addinivalue_line("markers", f"{kind}: runs against {kind}")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the address of a database file that is not there yet."""
    return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty database, on each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in SERVERS])
def server_url(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty database, on each kind of server in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
