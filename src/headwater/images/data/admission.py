"""Which store is which: the mark that lies in each store against the one that the catalogue keeps for its name.

A directory whose file system is not mounted, or a bucket that somebody made anew, looks like an empty store. Taken for
one, it would take uploads that are gone when the real one is back, and "delete" bytes that are still there. So a store
is marked at its first use, the catalogue keeps the mark, and from then on only what has the mark is the store.

The mark is written first and the catalogue's row second. A crash between the two leaves a store that nobody
knows, and the next start looks at it as at any other that has no row:

* The catalogue says that images lie there: more than half of some objects must be there, else it is not the store.
  So the stores of an installation from before the marks are known again, and a bare mount point is not taken for one.
* The catalogue has never had an image, and objects lie there: then it is the catalogue that is not the right one.
* Otherwise it is new.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.errors import SettingsError
from headwater.images.catalogue.store_marks import StoreMarks
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreFull, StoreRefusesWrites, StoreUnavailable

SAMPLE = 32  # objects that are looked for in a store that has no row

_log = logging.getLogger(__name__)


class StoreAbsent(SettingsError):
    """What lies in the place of a store is not the store, or does not work."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"section [stores.{name}]: {reason}. Mount or repair it; or, if what lies there shall be the store "
            f"from now on, run 'headwater store adopt {name}'"
        )
        self.name = name


class CatalogueAbsent(SettingsError):
    """The catalogue is new, and a store is not."""

    def __init__(self, name: str, database: str) -> None:
        super().__init__(
            f"section [stores.{name}]: objects lie in the store, and the catalogue {database} has never had an image. "
            "Restore the catalogue or correct section [database], key 'url'; or, to begin anew beside these objects, "
            f"run 'headwater store adopt {name}'"
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became a store."""

    name: str
    identity: str
    looked_for: int  # objects of images that the catalogue keeps in a store of this name, some of them
    found: int  # how many of these are there


class Admission:
    """Admits stores to one catalogue; safe to use from several processes at once."""

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database = database
        self._marks = StoreMarks(database)
        self._clock = clock

    def admit(self, stores: Mapping[str, ObjectStore]) -> dict[str, str]:
        """Let each store expect what the catalogue keeps for it, and return these identities.

        Raises:
            StoreAbsent: The catalogue knows another store of this name, or this one does not work.
            CatalogueAbsent: The store is used and the catalogue is not.
            SettingsError: Nothing can be kept in a new store.
        """
        admitted: dict[str, str] = {}
        for name, store in stores.items():
            if store.abilities.has_identity:
                identity = self._admitted(name, store)
                if identity is not None:
                    admitted[name] = identity
        return admitted

    def adopt(self, name: str, store: ObjectStore) -> Adopted:
        """Make what lies there the store of this name, whatever the catalogue said before."""
        identity = store.mark(secrets.token_hex(16))
        self._marks.replace(name, identity, self._clock())
        keys = self._marks.sample(name, SAMPLE)
        return Adopted(name, identity, len(keys), sum(_has(store, key) for key in keys))

    def _admitted(self, name: str, store: ObjectStore) -> str | None:
        try:
            identity = self._marks.of(name)
            if identity is None:
                self._require_plausible(name, store)
                identity = self._marks.keep(name, store.mark(secrets.token_hex(16)), self._clock())
            store.expect(identity)
            store.ping()
        except StoreFull as error:
            # Refused, nobody could delete images to make room. The next start marks it.
            _log.warning("a store has no room for its mark", extra={"store": name, "error": str(error)})
            return None
        except StoreRefusesWrites as error:
            if not error.is_full:
                raise StoreAbsent(name, error.reason) from error
            _log.warning("a store is full", extra={"store": name})
        except StoreUnavailable as error:
            raise StoreAbsent(name, error.reason) from error
        return identity

    def _require_plausible(self, name: str, store: ObjectStore) -> None:
        """Raise unless a store without a row may be the one that the catalogue means."""
        keys = self._marks.sample(name, SAMPLE)
        found = sum(_has(store, key) for key in keys)
        if keys and found * 2 <= len(keys):
            raise StoreAbsent(name, f"images lie there, and {len(keys) - found} of {len(keys)} objects are not there")
        if next(store.list(), None) is not None and self._marks.is_catalogue_unused():
            raise CatalogueAbsent(name, self._database.url.render_as_string(hide_password=True))


def _has(store: ObjectStore, key: str) -> bool:
    try:
        store.stat(key)
    except (ObjectNotFound, StoreUnavailable):
        return False
    return True
