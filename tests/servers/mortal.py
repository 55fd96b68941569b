"""A server of one test that is killed, stopped and started again, at the same port, with its data."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from needs import not_run
from servers import process
from servers.database import mariadb, postgresql
from servers.ports import free_port


class MortalServer:
    """Runs from the start of the test, until it is killed."""

    def __init__(self, server: process.Server) -> None:
        self._server = server
        self.port = free_port()
        self._keeper = self._start()

    def kill(self) -> None:
        """End all of it at once (SIGKILL)."""
        self._signal(signal.SIGKILL)
        self._keeper.wait(30)
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()  # not before: the keeper would remove the data

    def start(self) -> None:
        self._keeper = self._start()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop all of it (SIGSTOP); its connections stay open."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def close(self) -> None:
        process.stop(self._keeper)

    def _start(self) -> subprocess.Popen[bytes]:
        keeper = process.start(self._server, self.port)
        process.wait_until_it_answers(self._server, self.port, keeper)
        return keeper

    def _signal(self, number: signal.Signals) -> None:
        for each in below(self._keeper.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)


class MortalDatabase(MortalServer):
    """A database server; ``address`` names a database of it that is there."""

    def __init__(self, server: process.Server, address: Callable[[int], URL]) -> None:
        super().__init__(server)
        self.address = address(self.port)

    @property
    def url(self) -> str:
        return self.address.render_as_string(hide_password=False)


def below(process_id: int) -> list[int]:
    """Return the processes that one has started, and those that these have."""
    found = []
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                found += [child, *below(child)]
    return found


@contextmanager
def mortal_server(kind: str) -> Iterator[MortalDatabase]:
    """Give a new server of the kind, ``postgresql`` or ``mariadb``; its address names a database that is there."""
    if kind == "mariadb":
        prepared = mariadb.prepared(keeps_each_commit=True)
    else:
        programs = postgresql.installed()
        if programs is None:
            not_run(f"PostgreSQL {postgresql.OLDEST} or newer (Debian's package postgresql)")
        prepared = postgresql.prepared(programs, {"fsync": "off"})
    with prepared as (server, address):
        mortal = MortalDatabase(
            server, lambda port: address(port).set(database="mysql" if kind == "mariadb" else "postgres")
        )
        try:
            yield mortal
        finally:
            mortal.close()
