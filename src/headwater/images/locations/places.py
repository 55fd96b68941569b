"""Where the data of one image is read from: the places that have it, in their order, and what is wrong with them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from headwater.errors import HeadwaterError
from headwater.identity.caller import Caller
from headwater.images.catalogue.images import ImageRows
from headwater.images.locations.content import Contents
from headwater.images.locations.known_stores import KnownStores
from headwater.images.locations.reading import Check, DataDamaged, DataMissing, DataRefused, HashCheck, Place, hopeful
from headwater.images.model import RIGHT, WRONG, Held, Image, ImageLocation, Location
from headwater.stores.store import ObjectNotFound, ObjectStore, Proof, StoreUnavailable, proving

_log = logging.getLogger(__name__)


class Wrongs(Protocol):
    """Counts what is wrong, for the operator."""

    def wrong(self, store: str) -> None:
        """Note that data of an image was found to be another's, or less than all."""

    def missing(self, store: str) -> None:
        """Note that data of an image was not where it should be."""


class Places:
    """Those of all images; safe to use from several threads."""

    def __init__(
        self,
        catalogue: ImageRows,
        stores: Mapping[str, ObjectStore],
        *,
        known: KnownStores,
        contents: Contents,
        tally: Wrongs | None,
    ) -> None:
        """Take where images and their data are.

        Args:
            contents: Looks at what lies on web servers of others.
            tally: Counts the times that data was found wrong.
        """
        self._catalogue, self._stores, self._known = catalogue, stores, known
        self._contents, self._tally = contents, tally

    def of(
        self,
        caller: Caller | None,
        image: Image,
        prefer: Sequence[str] = (),
        *,
        asks: bool = True,
        held: Held | None = None,
    ) -> tuple[Place, ...]:
        """Return the places that have the data, in the order in which to read them; raise where there is none.

        Args:
            asks: The stores are asked whether they have it.
            held: Where it should be; ``None``: where the catalogue says.
        """
        image_id = image.id
        lies = self._catalogue.held(image_id) if held is None else held
        places: list[Place] = []
        failed: list[HeadwaterError] = []
        for each in self._known.ranked(lies, lambda each: each.at, prefer):
            location = each.at
            store = self._stores.get(location.store)
            try:
                if store is None:
                    raise StoreUnavailable(location.store, f"section [stores] has none of this name ({image_id})")
                places.append(self._place(caller, image, store, each, asks=asks))
            except ObjectNotFound as error:
                failed.append(DataMissing(image_id, location))
                failed[-1].__cause__ = error
            except (StoreUnavailable, DataDamaged, DataRefused) as error:
                failed.append(error)
        if not places and held is None:
            # Deleted between the two reads, or it never had a place: the first look decides.
            self._catalogue.get(image_id)
        for each_failed in failed:
            if isinstance(each_failed, DataMissing):
                self.report(each_failed)
        if not places:
            raise hopeful(failed or [DataMissing(image_id, Location("(none)", "(none)"))])
        places.sort(key=lambda place: place.is_wrong)
        return tuple(places)

    def _place(
        self, caller: Caller | None, image: Image, store: ObjectStore, held: ImageLocation, *, asks: bool
    ) -> Place:
        """Return a place to read from.

        What is wrong, as somebody found who read it, is read by nobody but to be verified: not in parts, and not by the
        system. What others may have made of theirs since they gave its URL shows only when all of it is read.
        Of ours the size is compared at once: what the system sends, or is asked for by ranges, is held against no more.
        The system sends a file as long as nobody has touched it since its bytes were hashed.
        """
        at, verdict = held.at, held.verdict
        if verdict not in (None, RIGHT, WRONG):
            raise DataRefused(image.id, at, verdict)

        path = None
        if not at.is_external and asks:
            self._require_size(image, store, held)
            path = store.path(at.object_key) if store.abilities.gives_paths else None
        verifies = at.is_external or verdict == WRONG or self._known.verifies(at.store)
        proof = self._proof(image, store, held) if verifies and asks and not at.is_external else None

        def check() -> Check:
            return self._contents.check(caller, image, at) if at.is_external else HashCheck(image, at)

        def found(is_right: bool) -> None:
            if is_right and (verdict == WRONG or (verdict is None and at.is_external)):
                self._judge(image.id, at, RIGHT)
            if proof is not None and proof.is_right is not is_right:
                self._prove(image.id, store, at, proof, is_right=is_right)

        return Place(
            store,
            at.object_key,
            path if verdict != WRONG and (proof is None or proof.is_right) else None,
            check if verifies else None,
            gives_parts=verdict == RIGHT or (verdict is None and not at.is_external),
            is_wrong=verdict == WRONG,
            found=found,
        )

    def _proof(self, image: Image, store: ObjectStore, held: ImageLocation) -> Proof | None:
        """Return what the store knows of the bytes, where it remembers that.

        Raises:
            DataDamaged: They were found wrong, and nobody has touched them since.
        """
        remembers = proving(store)
        proof = remembers.proof(held.at.object_key) if remembers is not None else None
        if proof is None or proof.is_right is not False:
            return proof
        error = DataDamaged(image.id, held.at, "was not changed since it was found wrong")
        if held.verdict != WRONG:  # else it is known, and was told
            self.report(error)
        raise error

    def _prove(self, image_id: str, store: ObjectStore, at: Location, read: Proof, *, is_right: bool) -> None:
        remembers = proving(store)
        assert remembers is not None
        try:
            remembers.prove(at.object_key, read, is_right=is_right)
        except HeadwaterError as error:  # the next who reads all of it finds the same
            _log.warning("the proof of an object is not kept", extra={"image": image_id, "error": str(error)})

    def _require_size(self, image: Image, store: ObjectStore, held: ImageLocation) -> None:
        size = store.stat(held.at.object_key).size
        if image.size is None or size == image.size:
            return
        error = DataDamaged(image.id, held.at, f"has {size} bytes, and the image {image.size}")
        if held.verdict != WRONG:  # else it is known, and was told
            self.report(error)
        raise error

    def report(self, error: DataMissing | DataDamaged | DataRefused) -> None:
        """Tell the operator of data that is not what it should be, and the next reader to begin elsewhere."""
        if isinstance(error, DataMissing):  # no verdict: it is looked for each time, and may be put back
            _log.error("data of an image is missing", extra={"image": error.image_id, "error": str(error)})
            if self._tally is not None:
                self._tally.missing(error.location.store)
            return
        _log.error("data of an image is wrong", extra={"image": error.image_id, "error": str(error)})
        if self._tally is not None:
            self._tally.wrong(error.location.store)
        self._judge(error.image_id, error.location, error.reason if isinstance(error, DataRefused) else WRONG)

    def _judge(self, image_id: str, at: Location, verdict: str) -> None:
        try:
            self._catalogue.judge(image_id, at, verdict)
        except HeadwaterError as error:  # the next who reads all of it finds the same
            _log.warning("a verdict is not kept", extra={"image": image_id, "error": str(error)})
