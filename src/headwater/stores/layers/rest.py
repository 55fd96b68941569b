"""A store that fails slowly is not asked by everybody: who waits for a service that does not answer holds a thread.

After a call that failed only when it had lasted, one call at a time tries the store, after pauses that grow, and all
others fail at once for the same reason. The first that comes back ends that. What fails at once costs nothing, and is
asked by whoever wants something of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from headwater.stores.layers.layer import Layer, Operation
from headwater.stores.store import ObjectStore, StoreUnavailable

T = TypeVar("T")

SLOW_S = 2.0  # a call that fails after as long has waited in vain
_FIRST_REST_S, _LONGEST_REST_S = 1.0, 30.0

# What is short where a store works, so that its length says something. Bytes take as long as they take.
_SHORT: frozenset[Operation] = frozenset(
    {"identity", "ping", "stat", "path", "proof", "delete", "require_unused", "open"}
)

_log = logging.getLogger(__name__)


class StoreRests(StoreUnavailable):
    """The store failed slowly just now, and is not asked again yet."""

    may_pass = False  # not within the pauses of a call that is repeated

    def __init__(self, error: StoreUnavailable) -> None:
        super().__init__(error.store, f"{error.reason}; it is not asked again for a moment")


class RestingStore(Layer):
    """A store that is left alone while it fails slowly."""

    def __init__(self, below: ObjectStore, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock of seconds of which only differences count."""
        super().__init__(below)
        self._clock = clock
        self._lock = threading.Lock()
        self._error: StoreUnavailable | None = None  # of the last call that failed slowly, until one comes back
        self._rest_s, self._until = 0.0, 0.0
        self._answered_at = clock() - SLOW_S  # when a call came back last
        self._is_tried = False

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        if operation not in _SHORT:
            return work()
        tries = self._admit()
        began, is_slow = self._clock(), False
        try:
            return work()
        except StoreUnavailable as error:
            is_slow = self._clock() - began >= SLOW_S
            if is_slow:
                self._failed(error, began)
            raise
        finally:
            if not is_slow:
                self._came_back()
            if tries:
                self._is_tried = False

    def _admit(self) -> bool:
        """Return whether this call is the one that tries a store that rests; raise when it is not to be asked."""
        with self._lock:
            if self._error is None:
                return False
            if self._is_tried or self._clock() < self._until:
                raise StoreRests(self._error) from self._error
            self._is_tried = True
            return True

    def _failed(self, error: StoreUnavailable, began: float) -> None:
        with self._lock:
            if self._answered_at >= began or self._clock() < self._until:
                return  # the trouble is this object's; or this is one of several calls that waited at once
            if self._error is None:
                _log.warning("a store fails slowly, and rests", extra={"store": self.name, "error": error.reason})
            self._rest_s = min(_LONGEST_REST_S, self._rest_s * 2 or _FIRST_REST_S)
            self._error, self._until = error, self._clock() + self._rest_s

    def _came_back(self) -> None:
        """Note an answer, or a failure that cost nothing."""
        self._answered_at = self._clock()
        if self._error is not None:
            with self._lock:
                self._error, self._rest_s, self._until = None, 0.0, 0.0
