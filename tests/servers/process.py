"""A database server as a child of the test run, on a free port of loopback.

``keeper.py`` runs it, stops it and removes its files when this process lets go of a pipe, on purpose
or because it was killed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import memory
from servers.ports import free_port

_KEEPER = Path(__file__).with_name("keeper.py")
_START_S = 60
_STOP_S = 40
_PORTS = 3  # how many are tried, as another process may take one before the server does

# MariaDB waits for the disk when it makes or drops a table: a second for a schema on a busy machine, 30 ms in memory.
_ROOM = 2 << 30  # bytes


class ServerDidNotStart(Exception):
    """The server or its preparation ended, or it did not answer in time; the message holds what it said."""


@dataclass(frozen=True)
class Server:
    """A server whose files are made: how it is started on a port, and whether it can be used there by now."""

    command: Callable[[int], Sequence[str | Path]]
    answers: Callable[[int], bool]
    owner: str | None
    home: Path
    stop_signal: signal.Signals


def account(*preferred: str) -> str | None:
    """Return the account for a server that refuses to run as root; ``None`` when we are not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*preferred, "nobody") if name in known)


@contextmanager
def directory(prefix: str, owner: str | None, *, in_memory: bool = True) -> Iterator[Path]:
    """Give a directory that only ``owner`` may enter, in memory where there is room (and wanted), and remove it.

    It is not pytest's: that one is closed to other accounts, and too long a path for a Unix socket.
    """
    in_memory = in_memory and memory.has_room(_ROOM)
    path = Path(tempfile.mkdtemp(prefix=f"headwater-{prefix}-", dir=memory.MEMORY if in_memory else None))
    try:
        if owner is not None:
            shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def prepare(command: Sequence[str | Path], *, owner: str | None, home: Path) -> None:
    """Run a command that makes a server's files to its end.

    Raises:
        ServerDidNotStart: It failed.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=home,
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        user=owner,
        group=pwd.getpwnam(owner).pw_gid if owner else None,
        extra_groups=[] if owner else None,
    )
    if done.returncode != 0:
        raise ServerDidNotStart(f"{command[0]} failed:\n{done.stdout.decode(errors='replace')}")


@contextmanager
def listening(
    command: Callable[[int], Sequence[str | Path]],
    *,
    answers: Callable[[int], bool],
    owner: str | None,
    home: Path,
    stop_signal: signal.Signals,
) -> Iterator[int]:
    """Keep a server running, and give its port.

    Args:
        command: Says how to start the server on a port.
        answers: Says whether the server on a port can be used by now.
        home: Its directory; ``server.log`` is written there.

    Raises:
        ServerDidNotStart: On none of ``_PORTS`` ports.
    """
    with running(Server(command, answers, owner, home, stop_signal)) as port:
        yield port


@contextmanager
def running(server: Server) -> Iterator[int]:
    """Keep a server running, and give its port; it raises as ``listening`` does."""
    for attempt in range(1, _PORTS + 1):
        port = free_port()
        keeper = start(server, port)
        try:
            wait_until_it_answers(server, port, keeper)
        except ServerDidNotStart:
            stop(keeper)
            if attempt == _PORTS or not server.home.exists():
                raise
            continue
        except BaseException:
            stop(keeper)
            raise
        try:
            yield port
        finally:
            stop(keeper)
        return


def start(server: Server, port: int) -> subprocess.Popen[bytes]:
    """Return the keeper of the server."""
    return subprocess.Popen(
        [
            *(sys.executable, str(_KEEPER), str(int(server.stop_signal)), server.owner or "", str(server.home)),
            *map(str, server.command(port)),
        ],
        env=_environment(server.home),
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the test run; the server goes when that lets go
    )


def wait_until_it_answers(server: Server, port: int, keeper: subprocess.Popen[bytes]) -> None:
    """Return when the server can be used.

    Raises:
        ServerDidNotStart: It ended, or takes too long.
    """
    deadline = time.monotonic() + _START_S
    while not server.answers(port):
        if keeper.poll() is not None or time.monotonic() > deadline:
            log = (server.home / "server.log").read_text(errors="replace")
            raise ServerDidNotStart(f"the server does not answer; the end of its log:\n{log[-4000:]}")
        time.sleep(0.05)


def stop(keeper: subprocess.Popen[bytes]) -> None:
    """Stop the server of the keeper, and remove its files."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait(_STOP_S)


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
