"""A row that somebody else holds costs few threads.

Who wants a row that is held waits in the database, and a request that waits there keeps a thread of this process. So
only ``_MOST`` of the same statement with the same values wait there. The others wait here for as long as these get
through, one after the other, and give up when none has for ``_PATIENCE_S``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from headwater.database.faults import DatabaseUnavailable

_MOST = 2
_PATIENCE_S = 0.5


class RowHeld(DatabaseUnavailable):
    """Somebody else holds the row for longer than any of our own transactions takes."""

    def __init__(self) -> None:
        super().__init__("a row of the catalogue is held by another transaction for long; try again in a moment")

    @property
    def told(self) -> str:
        return "Another change of the same thing takes long. Try again later."


class _Queue:
    """Those who want one row."""

    def __init__(self, lock: threading.Lock) -> None:
        self.users = self.inside = 0
        self.got_through_at = time.monotonic()
        self.changed = threading.Condition(lock)


class Queues:
    """Who wants which row; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[Hashable, _Queue] = {}

    def guard(self, engine: Engine) -> None:
        """Let every statement of the engine that takes a row pass through here."""

        @event.listens_for(engine, "do_execute")
        def on_execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
            if not _takes_a_row(statement):
                return False
            values = parameters.items() if isinstance(parameters, dict) else parameters
            with self.place((statement, tuple(values))):
                cursor.execute(statement, parameters)
            return True

    @contextmanager
    def place(self, key: Hashable) -> Iterator[None]:
        """Be one of the few who wait for a row in the database.

        Raises:
            RowHeld: None of them gets it.
        """
        with self._lock:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(self._lock)
            queue.users += 1
            try:
                while queue.inside >= _MOST:
                    left = queue.got_through_at + _PATIENCE_S - time.monotonic()
                    if left <= 0:
                        raise RowHeld
                    queue.changed.wait(left)
                queue.inside += 1
            except BaseException:
                self._leave(key, queue)
                raise
        got_through = False
        try:
            yield
            got_through = True
        finally:
            with self._lock:
                queue.inside -= 1
                if got_through:
                    queue.got_through_at = time.monotonic()
                queue.changed.notify()
                self._leave(key, queue)

    def _leave(self, key: Hashable, queue: _Queue) -> None:
        queue.users -= 1
        if not queue.users:
            del self._queues[key]


def _takes_a_row(statement: str) -> bool:
    if statement.startswith("UPDATE "):
        return True
    return "FOR UPDATE" in statement and "SKIP LOCKED" not in statement
