"""Remove bytes that the catalogue has let go of."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from headwater.errors import HeadwaterError
from headwater.images.books import Books
from headwater.images.model import Location
from headwater.stores.store import ObjectStore

_log = logging.getLogger(__name__)


class Discards:
    """Removes them from their stores; safe to use from several threads."""

    def __init__(self, books: Books, stores: Mapping[str, ObjectStore]) -> None:
        self._books = books
        self._stores = stores

    def remove(self, location: Location) -> bool:
        """Remove bytes that are in the books as discarded; return whether that is done. If not, ``sweep`` does it."""
        store = self._stores.get(location.store)
        if store is None:
            return False  # its store is not configured here; see ``sweeping.py``
        try:
            store.delete(location.object_key)
        except HeadwaterError as error:
            _log.warning("bytes are left for the sweep", extra={"store": location.store, "error": str(error)})
            return False
        self._books.forget_discarded(location)
        return True

    def sweep(self, limit: int = 100) -> int:
        """Remove some of what is left, of whomever, and return how many objects; ``sweeping.py`` removes all."""
        return sum(self.remove(location) for location in self._books.discarded(limit))
