"""A store that nobody knows yet and that did not answer when it was to be marked: it is not used before it is known.

Without a mark to look for, an empty mount point would be taken for the store. So until it is said what to expect, no
call gets through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from headwater.stores.layers.layer import Layer, Operation
from headwater.stores.store import ObjectStore, StoreUnavailable

T = TypeVar("T")


class StoreAwaited(StoreUnavailable):
    """The store has not answered yet since it stands in the settings."""

    may_pass = False  # not within the pauses of a call that is repeated

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(store, f"it was not reached yet since it stands in the settings: {reason}")


class AwaitedStore(Layer):
    """A store that works from the moment on at which it is said what to expect."""

    def __init__(self, below: ObjectStore, reason: str) -> None:
        """Take the store, and why it was not reached."""
        super().__init__(below)
        self._reason = reason
        self._is_known = False

    def expect(self, identity: str) -> None:
        super().expect(identity)
        self._is_known = True

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        if not self._is_known:
            raise StoreAwaited(self.name, self._reason)
        return work()

    def presigned(self, key: str, expires_s: int) -> str | None:
        return super().presigned(key, expires_s) if self._is_known else None
