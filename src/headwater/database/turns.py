"""Processes take turns at a lock of the kernel's, and wait for it for a limited time only.

The kernel wakes whoever waits at once, which no sleeping and looking again does; but a wait in the kernel cannot be
limited in a thread. So a lock that is not free is waited for by a thread of its own. A process that stands still with
the lock in its hands then costs one such thread, and whoever wants to write is told so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.database.faults import DatabaseUnavailable

try:
    import fcntl
except ImportError:  # no Unix: SQLite's own lock does, only slower
    fcntl = None  # type: ignore[assignment]  # there is none

LONGEST_S = 3
_AGAIN_S = 0.1  # as long as the one before still waits


class NoTurn(DatabaseUnavailable):
    """Another process keeps the lock."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"another process has held the lock {file} for long: look for a Headwater that stands still")


class Turns:
    """The turns of this process; ``turn`` is for one thread at a time."""

    def __init__(self, file: Path | None) -> None:
        """Queue at ``file``, which is made when first needed; ``None``: there is nobody to wait for."""
        self._file = file if fcntl is not None else None
        self._descriptor: int | None = None
        self._waiter: _Waiter | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other process writes.

        Raises:
            NoTurn: One does not stop to.
        """
        if self._file is None:
            yield
            return
        if self._descriptor is None:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._take(self._file, self._descriptor)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take(self, file: Path, descriptor: int) -> None:
        patience = _AGAIN_S
        if self._waiter is None or self._waiter.has_given_up:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._waiter = _Waiter(descriptor)
                patience = LONGEST_S
            else:
                return
        if not self._waiter.gets_it(patience):
            raise NoTurn(file)
        self._waiter = None


class _Waiter:
    """Waits for the lock in the kernel, and lets it go again when by then nobody wants it."""

    def __init__(self, descriptor: int) -> None:
        self.has_given_up = False
        self._descriptor = descriptor
        self._changing = threading.Lock()
        self._is_wanted = True
        self._has_it = threading.Event()
        threading.Thread(target=self._wait, name="database-turn", daemon=True).start()

    def gets_it(self, within_s: float) -> bool:
        with self._changing:
            self._is_wanted = not self.has_given_up
        self._has_it.wait(within_s)
        with self._changing:
            self._is_wanted = False
            return self._has_it.is_set()

    def _wait(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._changing:
            if self._is_wanted:
                self._has_it.set()
            else:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                self.has_given_up = True
