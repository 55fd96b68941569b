"""Remove bytes that the catalogue has let go of."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.model import Location
from headwater.stores.store import ObjectInUse, ObjectStore

_log = logging.getLogger(__name__)


class Scrubber:
    """Removes them from their stores; safe to use from several threads."""

    def __init__(
        self, discarded: DiscardedObjectRows, stores: Mapping[str, ObjectStore], *, clock: Clock = now
    ) -> None:
        self._discarded = discarded
        self._stores = stores
        self._clock = clock

    def remove(self, location: Location) -> bool:
        """Remove bytes that are noted as discarded; return whether that is done. If not, ``sweep`` does it."""
        store = self._stores.get(location.store)
        if store is None:
            return False  # its store is not configured here; see ``sweeping.py``
        try:
            store.delete(location.object_key)
        except ObjectInUse as error:
            _log.info("bytes stay while others build on them", extra=_facts(location, error))
            self._discarded.stays(location, str(error), self._clock())
            return False
        except HeadwaterError as error:
            _log.warning("bytes are left for the sweep", extra=_facts(location, error))
            self._discarded.stays(location, str(error), self._clock())
            return False
        self._discarded.forget(location)
        return True

    def sweep(self, limit: int = 100) -> int:
        """Remove some of what is left, of whomever, and return how many objects; ``sweeping.py`` removes all."""
        return sum(self.remove(location) for location in self._discarded.oldest(limit))


def _facts(location: Location, error: Exception) -> dict[str, str]:
    return {"store": location.store, "object": location.object_key, "error": str(error)}
