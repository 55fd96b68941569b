"""What a catalogue of the benches stands beside: a real Keystone with a member and an admin, a real PostgreSQL.

Both are those of the tests, and private to the run. PostgreSQL runs with its own defaults, which flush every
commit to the disk, and with 512 MiB for its buffers; its data is in the system's directory for temporary files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import URL
from tools.benches.failure import BenchFailed

from servers.database import postgresql
from servers.openstack import keystone

_POSTGRESQL = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
_NOBODY = "f" * 32


@dataclass(frozen=True, slots=True)
class Callers:
    """Who asks, by what they are, and how Headwater learns who they are."""

    project: str  # of the member
    headers: Mapping[str, Mapping[str, str]] = field(repr=False)  # "member", "admin"
    settings: Mapping[str, str] = field(repr=False)


@contextlib.contextmanager
def callers() -> Iterator[Callers]:
    """Give a member and an admin with tokens of Keystone; where that is not installed, only the operator."""
    if not keystone.is_installed():
        yield Callers(_NOBODY, {"admin": {}}, {})
        return
    with keystone.prepared() as site, keystone.running(site) as server:
        project = server.project("bench")
        service = server.user(server.project("service"), "admin", name="headwater")
        member, admin = server.user(project, "member"), server.user(project, "admin")
        settings = {
            "MODE": "keystone",
            "KEYSTONE__AUTH_URL": server.url,
            "KEYSTONE__USERNAME": service.name,
            "KEYSTONE__PASSWORD": service.password,
            "KEYSTONE__PROJECT_NAME": "service",
            "KEYSTONE__CACHE_S": "3600",
        }
        yield Callers(
            project,
            {
                "member": {"X-Auth-Token": server.token(member, project)},
                "admin": {"X-Auth-Token": server.token(admin, project)},
            },
            {f"HEADWATER_AUTH__{name}": value for name, value in settings.items()},
        )


class Databases:
    """New catalogues on SQLite and PostgreSQL."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        """Prepare; servers are started when they are needed, and stopped by ``stack``."""
        self._stack = stack
        self._postgresql: URL | None = None

    def url(self, kind: str, room: Path) -> str:
        """Return the address of an empty database.

        Args:
            room: Where SQLite has its file.

        Raises:
            BenchFailed: PostgreSQL is not installed.
        """
        if kind == "sqlite":
            return f"sqlite:///{room / 'headwater.db'}"
        if self._postgresql is None:
            programs = postgresql.installed()
            if programs is None:
                raise BenchFailed("PostgreSQL is not installed: 'make setup' does it, or give --databases sqlite")
            self._postgresql = self._stack.enter_context(postgresql.running(programs, _POSTGRESQL))
        return self._stack.enter_context(postgresql.new_database(self._postgresql))
