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
_MISPLACED = "kept: the store lists it and does not find it by its key; was it put there by hand?"


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
                finding = self._looked_at_again(each, known, remove=remove)
                if finding is not None:
                    yield finding

    def _is_old(self, stored: Stored) -> bool:
        return stored.written_at is None or stored.written_at <= self._clock() - self._grace

    def _looked_at_again(self, stored: Stored, known: set[str], *, remove: bool) -> Finding | None:
        """Return what is found at a second look; nothing when the object is gone or another, or a row names it now."""
        misplaced = False
        try:
            again = self._store.stat(stored.key)
        except ObjectNotFound:
            # Deleted since; or a file that somebody put where its key does not belong, so that it is listed again.
            if all(each.key != stored.key for each in self._store.list(stored.key)):
                return None
            again, misplaced = stored, True
        if again != stored or not self._is_old(again) or self._rows.named(self._store.name, [stored.key]):
            return None
        return self._dealt_with(stored, known, remove=remove, misplaced=misplaced)

    def _dealt_with(self, stored: Stored, known: set[str], *, remove: bool, misplaced: bool) -> Finding:
        image_id = image_of(stored.key)
        reason = ""
        if image_id is None:
            reason = _NOT_OURS
        elif image_id not in known:
            reason = _UNKNOWN
        elif misplaced:
            reason = _MISPLACED
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
