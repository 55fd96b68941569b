"""Which store is which: the mark that lies in each store against the one that the catalogue keeps for its name.

A directory whose file system is not mounted, or a bucket that somebody made anew, looks like an empty store. Taken for
one, it would take uploads that are gone when the real one is back, and "delete" bytes that are still there. So a store
is marked at its first use, the catalogue keeps the mark, and from then on only what has the mark is the store.

A store that does not answer, or whose place is empty, is *down*: nothing is written or deleted there, as each call
looks for the mark first, and it works again as soon as it is there. One that the catalogue does not know yet is not
used before it was admitted (``stores/layers/awaited.py``). What no waiting mends is refused: the mark of another store.

The mark is written first and the catalogue's row second. A crash between the two leaves a store that nobody
knows, and the next start looks at it as at any other that has no row:

* The catalogue says that images lie there: more than half of some objects must be there, else it is not the store.
  So the stores of an installation from before the marks are known again, and a bare mount point is not taken for one.
* The catalogue has never had an image, and objects lie there: then it is the catalogue that is not the right one.
* Otherwise it is new.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.errors import SettingsError
from headwater.images.catalogue.store_marks import StoreMarkRows
from headwater.stores.layers.errands import Errand, Errands
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreFull, StoreRefusesWrites, StoreUnavailable

SAMPLE = 32  # objects that are looked for in a store that has no row
WAIT_S = 10.0  # how long all stores together are waited for

_log = logging.getLogger(__name__)


class StoreAbsent(SettingsError):
    """What lies in the place of a store is not the store."""

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
class Admitted:
    """The stores of one catalogue, as they were found."""

    identities: Mapping[str, str] = field(default_factory=dict)  # what each is known by, also of those that are down
    down: Mapping[str, str] = field(default_factory=dict)  # those that do not work now, and why

    @property
    def awaited(self) -> Mapping[str, str]:
        """Those that are down and that nobody knows yet, and why: not to be used before they are admitted."""
        return {name: reason for name, reason in self.down.items() if name not in self.identities}


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
        self._marks = StoreMarkRows(database)
        self._clock = clock

    def admit(self, stores: Mapping[str, ObjectStore], wait_s: float = WAIT_S) -> Admitted:
        """Let each store expect what the catalogue keeps for it, as far as they answer.

        All are asked at once, by threads that end with the process: one that hangs holds up no other.

        Args:
            wait_s: For how long they are waited for.

        Raises:
            StoreAbsent: The catalogue knows another store of this name.
            CatalogueAbsent: The store is used and the catalogue is not.
            SettingsError: Nothing can be kept in a new store.
        """
        own = {name: store for name, store in stores.items() if store.abilities.has_identity}
        identities = {name: identity for name in own if (identity := self._marks.of(name)) is not None}
        asked = {name: Errand(partial(self.admit_one, name, store)) for name, store in own.items()}
        errands = Errands("headwater-admission")
        for each in asked.values():
            errands.begin(each)
        until, down = time.monotonic() + wait_s, dict[str, str]()
        for name, each in asked.items():
            try:
                if not each.wait(max(0.0, until - time.monotonic())):
                    raise StoreUnavailable(name, f"it did not answer within {wait_s:g} s")
                if (identity := each.result()) is not None:
                    identities[name] = identity
            except StoreUnavailable as error:
                down[name] = error.reason
                _log.error(
                    "a store is down: the service starts without it, and looks for it again and again",
                    extra={"store": name, "error": error.reason},
                )
        errands.close()
        return Admitted(identities, down)

    def admit_one(self, name: str, store: ObjectStore) -> str | None:
        """Let one store expect what the catalogue keeps for it, and return that; ``None``: it has no room for a mark.

        Raises:
            StoreUnavailable: It does not work now; if the catalogue knows it, it expects its mark all the same.
            SettingsError: As ``admit`` says.
        """
        identity = self._marks.of(name)
        is_another = identity is not None and _is_another(store, identity)
        try:
            if identity is None:
                self._require_plausible(name, store)
                identity = self._marks.keep(name, _marked(store), self._clock())
            store.expect(identity)
            store.ping()
        except StoreFull as error:
            # Refused, nobody could delete images to make room. The next start marks it.
            _log.warning("a store has no room for its mark", extra={"store": name, "error": str(error)})
            return None
        except StoreUnavailable as error:
            if isinstance(error, StoreRefusesWrites) and error.is_full:
                _log.warning("a store is full", extra={"store": name})
            elif is_another:
                raise StoreAbsent(name, error.reason) from error
            else:
                raise
        return identity

    def adopt(self, name: str, store: ObjectStore) -> Adopted:
        """Make what lies there the store of this name, whatever the catalogue said before."""
        identity = store.mark(secrets.token_hex(16))
        self._marks.replace(name, identity, self._clock())
        keys = self._marks.sample(name, SAMPLE)
        return Adopted(name, identity, len(keys), sum(_has(store, key) for key in keys))

    def _require_plausible(self, name: str, store: ObjectStore) -> None:
        """Raise unless a store without a row may be the one that the catalogue means."""
        keys = self._marks.sample(name, SAMPLE)
        found = sum(_tells_of(store, key) for key in keys)
        if keys and found * 2 <= len(keys):
            raise StoreAbsent(name, f"images lie there, and {len(keys) - found} of {len(keys)} objects are not there")
        if next(store.list(), None) is not None and self._marks.is_catalogue_unused():
            raise CatalogueAbsent(name, self._database.url.render_as_string(hide_password=True))


def _marked(store: ObjectStore) -> str:
    """Mark a store, and return its mark; what the service of a store refuses may be mended there meanwhile."""
    try:
        return store.mark(secrets.token_hex(16))
    except SettingsError as error:
        if isinstance(error.__cause__, StoreUnavailable):
            raise error.__cause__ from error
        raise


def _is_another(store: ObjectStore, identity: str) -> bool:
    """Return whether the mark of another store lies there; an empty place has none. Asked before one is expected."""
    with contextlib.suppress(StoreUnavailable):
        return store.identity() not in (None, identity)
    return False


def _has(store: ObjectStore, key: str) -> bool:
    with contextlib.suppress(StoreUnavailable):
        return _tells_of(store, key)
    return False


def _tells_of(store: ObjectStore, key: str) -> bool:
    """Return whether the object is there; raise ``StoreUnavailable`` when that cannot be told."""
    try:
        store.stat(key)
    except ObjectNotFound:
        return False
    return True
