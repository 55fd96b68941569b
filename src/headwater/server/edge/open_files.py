"""Open files: how many a process may have, how many it needs, and for how many connections that is enough."""

from __future__ import annotations

import resource
from typing import Final

from headwater.errors import SettingsError
from headwater.server.edge.limits import CONNECTIONS_LIMIT

_SPARE: Final = 128  # of the database, of stores and of the log
_FEWEST_CONNECTIONS: Final = 8  # of each listener


class TooFewFiles(SettingsError):
    """The system lets a process open fewer files than it needs."""

    def __init__(self, allowed: int, needed: int) -> None:
        super().__init__(
            f"this system lets a process open {allowed} files, and each of ours needs {needed} at least: raise the "
            "hard limit (ulimit -Hn of a shell, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container); "
            f"{2 * CONNECTIONS_LIMIT} are of use"
        )
        self.allowed, self.needed = allowed, needed


def raise_limit(listeners: int) -> None:
    """Ask for as many open files as this process may have, for itself and for those that it forks.

    Raises:
        TooFewFiles: They are not enough for a worker with so many listeners.
    """
    hard, needed = _allowed(), _SPARE + 2 * _FEWEST_CONNECTIONS * listeners
    if hard is not None and hard < needed:
        raise TooFewFiles(hard, needed)


def connections_limit(listeners: int) -> int:
    """Return how many connections each of so many listeners may have, after asking for as many files as are allowed.

    A connection that carries a file needs two descriptors.
    """
    hard = _allowed()
    if hard is None:
        return CONNECTIONS_LIMIT
    return max(_FEWEST_CONNECTIONS, min(CONNECTIONS_LIMIT, (hard - _SPARE) // (2 * listeners)))


def _allowed() -> int | None:
    """Raise what counts to what may be had, and return that; ``None``: any number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return None if hard == resource.RLIM_INFINITY else hard
