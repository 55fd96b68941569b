"""Hold one store against the catalogue; the store that is told of is the one that the catalogue means, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.objects.named_objects import NamedObjects
from headwater.images.catalogue.store_marks import StoreMarkRows
from headwater.images.data.checking.finding import Finding, Kind
from headwater.images.data.checking.losses import Losses
from headwater.images.data.checking.orphans import Orphans
from headwater.stores.layers.limit import LimitedStore
from headwater.stores.store import ObjectStore, Stored, StoreUnavailable


@dataclass(slots=True)
class Sum:
    """How many objects, and their bytes as far as known."""

    objects: int = 0
    bytes: int = 0

    def add(self, size: int | None) -> None:
        """Count one more."""
        self.objects += 1
        self.bytes += size or 0


@dataclass(slots=True)
class Totals:
    """What a store has, and how much of it is wrong."""

    store: str
    listed: Sum = field(default_factory=Sum)
    orphan: Sum = field(default_factory=Sum)
    missing: Sum = field(default_factory=Sum)
    damaged: Sum = field(default_factory=Sum)
    removed: Sum = field(default_factory=Sum)  # of the orphans
    error: str | None = None  # why the store could not be looked at, or not to its end

    @property
    def is_well(self) -> bool:
        """Whether the store was looked at, and nothing was wrong."""
        return self.error is None and not (self.orphan.objects or self.missing.objects or self.damaged.objects)

    def count(self, finding: Finding) -> None:
        """Add a finding."""
        {Kind.ORPHAN: self.orphan, Kind.MISSING: self.missing, Kind.DAMAGED: self.damaged}[finding.kind].add(
            finding.size
        )
        if finding.removed:
            self.removed.add(finding.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be done with a store."""

    grace_s: int
    read: bool = False  # the data of every image, whole
    speed: float | None = None  # bytes a second; ``None``: as fast as it goes
    remove_orphans: bool = False


class StoreCheck:
    """Checks stores of one catalogue."""

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._marks = StoreMarkRows(database)
        self._rows = NamedObjects(database)
        self._catalogue = ImageRows(database)
        self._clock = clock

    def bytes_of(self, store: str) -> int:
        """Return how many bytes the images have in a store."""
        return self._rows.total(store)

    def found(
        self, store: ObjectStore, wanted: Wanted, totals: Totals, passed: Callable[[int], None] = lambda _count: None
    ) -> Iterator[Finding]:
        """Yield what is wrong with a store as it is found, and count all of it in ``totals``.

        A store that does not work, or is not the one that the catalogue knows, ends it: ``totals`` says why.

        Args:
            passed: Is told of each piece that is read, how many bytes it has.
        """
        try:
            self._require_known(store)
            for finding in self._all(store, wanted, totals.listed, passed):
                totals.count(finding)
                yield finding
        except StoreUnavailable as error:
            totals.error = error.reason

    def _require_known(self, store: ObjectStore) -> None:
        if not store.abilities.has_identity:
            return
        identity = self._marks.of(store.name)
        if identity is None:
            raise StoreUnavailable(store.name, "no service has used it with this catalogue yet")
        store.expect(identity)

    def _all(self, store: ObjectStore, wanted: Wanted, listed: Sum, passed: Callable[[int], None]) -> Iterator[Finding]:
        def count(stored: Stored) -> None:
            listed.add(stored.size)

        orphans = Orphans(self._rows, store, grace_s=wanted.grace_s, clock=self._clock, listed=count)
        yield from orphans.found(remove=wanted.remove_orphans)
        read_from = LimitedStore(store, read_speed=wanted.speed) if wanted.speed else store
        losses = Losses(self._rows, self._catalogue, read_from, passed=passed)
        yield from losses.found(read=wanted.read)
