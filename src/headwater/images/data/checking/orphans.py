"""Objects that no row names: what a crash, a lost catalogue or somebody else has left in a store.

The store is listed first and the rows are looked at second: whatever writes notes its row before its object is there,
so that an object without a row at the second look never has one again. An orphan is told of when it is seen twice, and
was not written lately.

One is removed only when it is asked for, and never on suspicion: its key is of the form that images have, and the
catalogue knows that image, living or deleted. An object of an image that the catalogue has never heard of may belong to
what came after the backup that this catalogue was restored from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.images.catalogue.objects.named_objects import PAGE, NamedObjects, image_of
from headwater.images.data.checking.finding import Finding, Kind
from headwater.stores.store import ObjectInUse, ObjectNotFound, ObjectStore, Stored

_NOT_OURS = "kept: its key is none that images have"
_UNKNOWN = "kept: the catalogue has never had this image; was it restored from a backup?"


class Orphans:
    """The orphans of one store."""

    def __init__(
        self,
        rows: NamedObjects,
        store: ObjectStore,
        *,
        grace_s: int,
        clock: Clock = now,
        listed: Callable[[Stored], None] = lambda _stored: None,
    ) -> None:
        """Take what it works with.

        Args:
            grace_s: What was written so many seconds ago or less is no orphan yet, where the store says when that was.
            listed: Is told of each object of the store.
        """
        self._rows = rows
        self._store = store
        self._grace = grace_s * 1_000_000
        self._clock = clock
        self._listed = listed

    def found(self, *, remove: bool) -> Iterator[Finding]:
        """Yield them; with ``remove``, each that may be removed is gone by then.

        Raises:
            StoreUnavailable: The store does not work, or is not the expected one.
        """
        objects = self._store.list()
        while batch := list(islice(objects, PAGE)):
            for each in batch:
                self._listed(each)
            named = self._rows.named(self._store.name, [each.key for each in batch])
            left = [each for each in batch if each.key not in named and self._is_old(each)]
            ids = {image_id for each in left if (image_id := image_of(each.key)) is not None}
            known = self._rows.known_images(ids) if ids else set()
            for each in left:
                if self._is_still_orphan(each):
                    yield self._dealt_with(each, known, remove=remove)

    def _is_old(self, stored: Stored) -> bool:
        return stored.written_at is None or stored.written_at <= self._clock() - self._grace

    def _is_still_orphan(self, stored: Stored) -> bool:
        """Return whether it is there at a second look, as it was, and the rows name it as little as before."""
        try:
            again = self._store.stat(stored.key)
        except ObjectNotFound:
            return False
        return again == stored and self._is_old(again) and not self._rows.named(self._store.name, [stored.key])

    def _dealt_with(self, stored: Stored, known: set[str], *, remove: bool) -> Finding:
        image_id = image_of(stored.key)
        reason = _NOT_OURS if image_id is None else _UNKNOWN if image_id not in known else ""
        removed = False
        if remove and not reason:
            try:
                self._store.delete(stored.key)
                removed = True
            except ObjectInUse:
                reason = "kept: volumes were cloned from it, or it has snapshots"
            except HeadwaterError as error:
                self._store.ping()  # raises where the trouble is the store's, not this object's
                reason = f"kept: {error}"
        return Finding(
            store=self._store.name,
            kind=Kind.ORPHAN,
            object_key=stored.key,
            image_id=image_id,
            size=stored.size,
            reason=reason or ("removed" if removed else "no row names it"),
            removed=removed,
        )
