"""What a store does is counted: operations, how long they took, which failed, and bytes.

Bytes that the server sends from a store's file itself do not pass here; they are counted with the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from headwater.errors import Conflict, Forbidden, Invalid, NotFound
from headwater.stores.layers.layer import Direction, Layer, Operation
from headwater.stores.store import ObjectStore

T = TypeVar("T")

# What a store that works says as well.
_ANSWERS = (NotFound, Invalid, Conflict, Forbidden)


class Tally(Protocol):
    """Counts what stores do, for the operator."""

    def worked(self, store: str, operation: Operation, seconds: float, *, failed: bool) -> None:
        """Note that a store was busy with one operation."""

    def passed(self, store: str, direction: Direction, count: int) -> None:
        """Note that so many bytes were read from a store or written into it."""


class CountedStore(Layer):
    """A store whose work is counted."""

    def __init__(self, below: ObjectStore, tally: Tally, clock: Callable[[], float] = time.perf_counter) -> None:
        """Take who counts, and a clock of seconds of which only differences count."""
        super().__init__(below)
        self._tally, self._clock = tally, clock

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        began, failed = self._clock(), True
        try:
            done = work()
            failed = False
            return done
        except _ANSWERS:
            failed = False
            raise
        finally:
            self._tally.worked(self.name, operation, self._clock() - began, failed=failed)

    def passed(self, direction: Direction, count: int) -> None:
        self._tally.passed(self.name, direction, count)
