"""Free ports of loopback that no outgoing connection takes.

The system gives connections that go out a port of a range of its own, and would also give one where a service that a
test has killed is to listen again. These lie below that range, and each process of the tests has a block of them.
"""

from __future__ import annotations

import contextlib
import socket
from functools import cache

_FIRST, _BLOCK = 12_000, 200
_BLOCKS = 100  # up to 32 000; Linux begins with 32 768


class _Block:
    """Goes round, so that a port comes back only when the test that had it is long over."""

    def __init__(self) -> None:
        self._claim, self._first = _claimed()
        self._next = 0

    def take(self) -> int:
        for _ in range(_BLOCK):
            port = self._first + self._next
            self._next = (self._next + 1) % _BLOCK
            if _is_free(port):
                return port
        raise RuntimeError(f"something listens on each of the ports {self._first} to {self._first + _BLOCK - 1}")


@cache
def _block() -> _Block:
    return _Block()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens now, and which no other process of the tests is given."""
    return _block().take()


def free_ports(number: int) -> list[int]:
    """Return as many different ones."""
    return [free_port() for _ in range(number)]


def _claimed() -> tuple[socket.socket, int]:
    """Return what holds a block until this process ends, and the block's first port."""
    for block in range(_BLOCKS):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0headwater-tests-ports-{block}")  # an abstract name goes with the process that has it
        except OSError:
            claim.close()
        else:
            return claim, _FIRST + block * _BLOCK
    raise RuntimeError("every block of ports is in use: too many test runs at once")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
