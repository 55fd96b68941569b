"""Hear of what fails in stores, as it is counted: one that somebody just used in vain is to be looked at."""

from __future__ import annotations

from headwater.stores.layers.layer import Operation
from headwater.stores.layers.metrics import Tally


class StoreFailures:
    """A tally around another one; safe to use from several threads."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._failed: set[str] = set()
        self.passed = tally.passed

    def worked(self, store: str, operation: Operation, seconds: float, *, failed: bool) -> None:
        """Note that a store was busy with one operation."""
        if failed:
            self._failed.add(store)
        self._tally.worked(store, operation, seconds, failed=failed)

    def are_new(self, store: str) -> bool:
        """Return whether something failed in the store since this was asked before."""
        try:
            self._failed.remove(store)
        except KeyError:
            return False
        return True
