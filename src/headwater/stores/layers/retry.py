"""What failed and may be repeated is repeated, after pauses that grow.

Repeated is what does the same twice as once. A reading that breaks off goes on at that byte, but only of an object
that is ours: it keeps its bytes for as long as it has its key, and one of others may be another by then. A writing is
begun again, as nothing was written yet. Bytes are pushed into a store and gone afterwards, so one that breaks off is at
its end; what a writer still has, such as a part, it sends again itself. A commit is repeated where the store says that
it may be (``Abilities.commits_again``): an object store takes the same object under the same name once more. In a
directory or a Ceph pool it may not: a flush that failed once succeeds the second time and has lost the bytes, and an
image that was renamed is not there to be renamed.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from headwater.stores.layers.layer import Layer, Operation, close_reading
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreUnavailable

T = TypeVar("T")

_REPEATED: frozenset[Operation] = frozenset(
    {
        "identity",
        "mark",
        "ping",
        "stat",
        "path",
        "proof",
        "prove",
        "delete",
        "require_unused",
        "open",
        "begin",
        "resume",
    }
)
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0

_log = logging.getLogger(__name__)


class RetriedStore(Layer):
    """A store that is asked again."""

    def __init__(
        self,
        below: ObjectStore,
        retries: int,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take how often what failed is repeated.

        Args:
            chance: Gives numbers from 0 to 1, so that those who failed together do not come again together.
        """
        super().__init__(below)
        self._retries, self._sleep, self._chance = retries, sleep, chance
        self._repeated = _REPEATED | ({"commit"} if below.abilities.commits_again else set())

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        failures = 0
        while True:
            try:
                return work()
            except StoreUnavailable as error:
                if operation not in self._repeated:
                    raise
                self.rest(error, failures)
                failures += 1

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        pieces = self.call("open", lambda: self.below.read(key, start, length))
        return _Continued(self, pieces, key, start, length) if self.abilities.writes else pieces

    def rest(self, error: StoreUnavailable, failures: int) -> None:
        """Wait before the next try; raise ``error`` where there is none.

        Args:
            failures: How many there were before this one.
        """
        if failures >= self._retries or not error.may_pass:
            raise error
        _log.info("a store is asked again", extra={"store": self.name, "error": error.reason})
        self._sleep(pause_s(failures, self._chance))


def pause_s(failures: int, chance: Callable[[], float] = random.random) -> float:
    """Return how long to wait after so many failures and another one."""
    pause: float = min(_LONGEST_PAUSE_S, _PAUSE_S * 2**failures)
    return pause * (1 + chance()) / 2


class _Continued(Iterator[bytes]):
    """The bytes of one object, from as many readings as it takes."""

    def __init__(self, store: RetriedStore, pieces: Iterator[bytes], key: str, start: int, length: int | None) -> None:
        self._store, self._pieces, self._key = store, pieces, key
        self._position, self._left = start, length
        self._failures = 0  # since the last piece

    def __next__(self) -> bytes:
        while True:
            try:
                piece = next(self._pieces)
            except StoreUnavailable as error:
                self._reopen(error)
                continue
            self._failures = 0
            self._position += len(piece)
            if self._left is not None:
                self._left -= len(piece)
            return piece

    def _reopen(self, error: StoreUnavailable) -> None:
        self._store.rest(error, self._failures)
        self._failures += 1
        try:
            self._pieces = self._store.below.read(self._key, self._position, self._left)
        except StoreUnavailable as again:
            self._reopen(again)
        except ObjectNotFound:
            raise error from None  # deleted meanwhile: what was begun cannot be told as absent

    def close(self) -> None:
        """Let go of what is read from."""
        close_reading(self._pieces)
