"""Objects that rows name and that are not there, or are not what the rows say.

What is found is held against the rows once more before it is told: an image may have been deleted meanwhile. What is
known of the data of an image is kept as a verdict, as downloads keep it, so that readers begin at another copy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.objects.named_objects import NamedObject, NamedObjects
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.checking.finding import Finding, Kind
from headwater.images.locations.reading import DataDamaged, HashCheck
from headwater.images.model import RIGHT, WRONG
from headwater.stores.store import ObjectNotFound, ObjectStore, Proof, StoreRefusesWrites, StoreUnavailable, proving


class Losses:
    """What one store has lost."""

    def __init__(
        self,
        rows: NamedObjects,
        catalogue: ImageRows,
        store: ObjectStore,
        *,
        passed: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Take what it works with.

        Args:
            passed: Is told of each piece that is read, how many bytes it has.
        """
        self._rows = rows
        self._catalogue = catalogue
        self._store = store
        self._passed = passed

    def found(self, *, read: bool) -> Iterator[Finding]:
        """Yield them; with ``read``, the data of every image is read whole and held against its hash.

        Raises:
            StoreUnavailable: The store does not work, or is not the expected one.
        """
        for named in self._rows.of_store(self._store.name):
            finding = self._looked_at(named, read=read)
            if finding is not None and self._rows.still_names(named):
                yield finding

    def _looked_at(self, named: NamedObject, *, read: bool) -> Finding | None:
        try:
            size = self._store.stat(named.at.object_key).size
            if named.size is not None and size != named.size:
                self._judge(named, WRONG)
                return self._finding(named, Kind.DAMAGED, size, f"it should have {named.size} bytes")
            if read and not named.is_staged:
                self._read(named)
            elif named.verdict == WRONG:
                return self._finding(named, Kind.DAMAGED, size, "its bytes were wrong when they were read last")
        except ObjectNotFound:
            return self._finding(named, Kind.MISSING, named.size, "it is not there")
        except DataDamaged:
            self._judge(named, WRONG)
            return self._finding(named, Kind.DAMAGED, named.size, "its bytes do not have the hash of the image")
        except StoreUnavailable as error:
            with contextlib.suppress(StoreRefusesWrites):
                self._store.ping()  # raises where the trouble is the store's, not this object's
            return self._finding(named, Kind.DAMAGED, named.size, f"it cannot be read: {error.reason}")
        except ImageNotFound:
            return None  # deleted meanwhile
        return None

    def _read(self, named: NamedObject) -> None:
        """Read the data of an image whole.

        Raises:
            DataDamaged: It does not have the hash of the image.
            ImageNotFound, ObjectNotFound, StoreUnavailable: As their names say.
        """
        image = self._catalogue.get(named.image_id)
        if not (image.os_hash_value or image.checksum):
            return
        remembers = proving(self._store)
        proof = remembers.proof(named.at.object_key) if remembers is not None else None
        check = HashCheck(image, named.at)
        for piece in self._store.read(named.at.object_key):
            check.feed(piece)
            self._passed(len(piece))
        try:
            check.finish()
        except DataDamaged:
            self._prove(named.at.object_key, proof, is_right=False)
            raise
        self._prove(named.at.object_key, proof, is_right=True)
        self._judge(named, RIGHT)

    def _prove(self, key: str, read: Proof | None, *, is_right: bool) -> None:
        remembers = proving(self._store)
        if remembers is not None and read is not None and read.is_right is not is_right:
            with contextlib.suppress(StoreUnavailable):  # what was read was read, whether that can be kept or not
                remembers.prove(key, read, is_right=is_right)

    def _judge(self, named: NamedObject, verdict: str) -> None:
        is_ours = named.verdict in (None, RIGHT, WRONG)  # and not why somebody else's data is refused
        if is_ours and not named.is_staged and named.verdict != verdict:
            self._catalogue.judge(named.image_id, named.at, verdict)

    def _finding(self, named: NamedObject, kind: Kind, size: int | None, reason: str) -> Finding:
        return Finding(
            store=self._store.name,
            kind=kind,
            object_key=named.at.object_key,
            image_id=named.image_id,
            size=size,
            reason=reason,
        )
