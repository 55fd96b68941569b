"""A store is not asked for more than it should give: calls at the same time, and bytes a second.

A turn is held for as long as one call works, not for as long as an upload or a download lasts: a slow client keeps
nobody waiting. Speed is paid for afterwards: whoever read or wrote a piece waits until it is as if the piece had
taken its time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from headwater.stores.layers.layer import Direction, Layer, Operation
from headwater.stores.store import ObjectStore

T = TypeVar("T")

_SAVED_S = 0.1  # so much of a pause may be caught up with: else every short one would slow the rest


class LimitedStore(Layer):
    """A store that is asked for so much at most."""

    def __init__(
        self,
        below: ObjectStore,
        *,
        concurrency: int | None = None,
        read_speed: float | None = None,
        write_speed: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the limits; what is ``None`` has none.

        Args:
            read_speed: Bytes a second. A file that the server sends itself would go around it, and so would whoever
                has an address of the object, so neither paths nor addresses are given.
            write_speed: The same of what is written.
        """
        super().__init__(below)
        self._turns = threading.BoundedSemaphore(concurrency) if concurrency else contextlib.nullcontext()
        speeds: dict[Direction, float | None] = {"read": read_speed, "write": write_speed}
        self._paces = {direction: _Pace(speed, clock) for direction, speed in speeds.items() if speed}
        self._sleep = sleep
        if read_speed:
            self.abilities = replace(below.abilities, gives_paths=False, gives_urls=False)

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        if operation == "ping":  # whether it works does not depend on how much it has to do
            return work()
        with self._turns:
            return work()

    def passed(self, direction: Direction, count: int) -> None:
        if direction in self._paces:
            self._sleep(self._paces[direction].pause(count))


class _Pace:
    """One speed, shared by all that move bytes."""

    def __init__(self, speed: float, clock: Callable[[], float]) -> None:
        self._speed, self._clock = speed, clock
        self._lock = threading.Lock()
        self._until = clock()  # when all that has passed would have passed

    def pause(self, count: int) -> float:
        """Return how many seconds to wait after ``count`` bytes."""
        with self._lock:
            now = self._clock()
            self._until = max(self._until, now - _SAVED_S) + count / self._speed
            return max(0.0, self._until - now)
