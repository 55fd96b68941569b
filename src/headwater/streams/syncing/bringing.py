"""One image on its way from a feed into an Image service.

1. It is created, private and hidden, with all that tells where it is from.
2. Its data comes, verified.
3. What the service says of the data is compared.
4. It becomes what its users shall find.

A run that is killed between two of these leaves an image that its owner alone sees, and that the next run takes for
what it is. Data that is wrong leaves no image.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from headwater.errors import Conflict, HeadwaterError, NotOffered, Unavailable
from headwater.streams.syncing.arriving import Arriving, DataWrong
from headwater.streams.syncing.items import Item
from headwater.streams.syncing.planning import HAS_DATA, Action, Step, settled
from headwater.streams.syncing.properties import UNFINISHED, creation_of
from headwater.streams.syncing.targets.target import (
    GLANCE_DIRECT,
    WEB_DOWNLOAD,
    Document,
    ImageBusy,
    ImageVanished,
    Target,
)
from headwater.streams.syncing.terms import SyncTerms, Via
from headwater.streams.trees.tree import Tree

STALE_S: Final = 3600  # an upload by somebody else that has not ended after so long is none
_SAVING_S: Final = 90  # in which a service notices that the connection of a killed run is gone
_IMPORT_S: Final = 6 * 3600
_POLL_S: Final = 1.0
_IMPORTING: Final = "os_glance_import_task"
_FAILED_IMPORT: Final = "os_glance_failed_import"
_NAMES: Final = uuid.UUID("7f1f1d2c-53e2-5a1e-9b0c-5c2f0c7d9a41")


class ImportFailed(HeadwaterError):
    """The service did not import what it was given."""

    def __init__(self, image_id: str, problem: str) -> None:
        super().__init__(f"the service did not import image {image_id}: {problem}")
        self.image_id, self.problem = image_id, problem


class CannotConvert(NotOffered):
    """The service has no way in on which it converts images."""

    def __init__(self, place: str, disk_format: str) -> None:
        super().__init__(
            f"{place} offers neither {GLANCE_DIRECT} nor {WEB_DOWNLOAD}, so it does not convert images to "
            f"{disk_format}: leave the format out"
        )
        self.place, self.disk_format = place, disk_format


class Bringing:
    """Brings images one after the other."""

    def __init__(
        self,
        tree: Tree,
        target: Target,
        terms: SyncTerms,
        *,
        require_wanted: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take where from and where to.

        Args:
            require_wanted: Raises when the run is to end.
        """
        self._tree, self._target, self._terms = tree, target, terms
        self._require_wanted, self._sleep, self._clock = require_wanted, sleep, clock
        self._methods: tuple[str, ...] | None = None

    def bring(self, step: Step, shown: Callable[[int], None]) -> None:
        """Do what a step says of an item.

        Args:
            shown: Is told how many bytes of the item have come.

        Raises:
            HeadwaterError: It was not done; what is left, if anything, is the next run's.
        """
        item = step.item
        assert item is not None
        image = step.image
        if step.action is Action.RESUME:
            image = self._taken_up(step)
        if image is None:
            image = step.image = self._target.create(creation_of(item, self._terms), self._key(item))
        if image["status"] in HAS_DATA:
            image = self._compared_again(item, image, step, shown)
        else:
            image = self._send(item, image, step, shown)
        if step.action in (Action.CREATE, Action.RESUME):
            step.did = "created"
        step.image = image
        operations = settled(item, image, self._terms)
        if operations:
            step.image = self._target.change(image["id"], operations)
            step.did = step.did or "updated"

    # --- What an earlier run has left ----------------------------------------------------------------

    def _taken_up(self, step: Step) -> Document | None:
        """Return the image of a run that did not end, if it can be gone on with; ``None``: it is gone now."""
        item, image = step.item, step.image
        assert item is not None
        assert image is not None
        image_id = image["id"]
        if image["status"] == "saving":
            image = self._after(image_id, ("saving",), _SAVING_S)
        elif image["status"] == "importing" or _IMPORTING in image:
            image = self._after(image_id, ("importing",), _IMPORT_S)
        if image is None or image["status"] in HAS_DATA:
            return image
        if image["status"] in ("saving", "importing") and self.age_s(image) < STALE_S:
            raise ImageBusy(image_id, image["status"])
        formats = (image.get("disk_format"), image.get("container_format"))
        if image["status"] == "queued" and formats == (item.disk_format, "bare"):
            step.notes.append("an earlier run had created it")
            return image
        self._target.delete(image_id)
        step.notes.append(f"what an earlier run had left ({image_id}, {image['status']}) was deleted")
        return None

    def age_s(self, image: Document) -> float:
        """Return how long ago an image was changed last."""
        try:
            moment = datetime.fromisoformat(str(image["updated_at"]))
        except (KeyError, ValueError):
            return STALE_S
        return self._clock() - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def _after(self, image_id: str, states: tuple[str, ...], limit_s: float) -> Document | None:
        """Return an image when it has left these states, or the time is over."""
        waited, pause = 0.0, _POLL_S
        while True:
            self._require_wanted()
            image = self._target.get(image_id)
            if image is None or waited >= limit_s or (image["status"] not in states and _IMPORTING not in image):
                return image
            self._sleep(pause)
            waited, pause = waited + pause, min(pause * 1.5, 10.0)

    def _key(self, item: Item) -> str:
        """Return the key under which a service that knows such keys creates one image for an item."""
        key = item.key
        place = [self._terms.marked, key.source_content_id, key.product, key.version, key.item]
        return str(uuid.uuid5(_NAMES, "\0".join(place)))

    def _compared_again(self, item: Item, image: Document, step: Step, shown: Callable[[int], None]) -> Document:
        """Return an image that has data; if an earlier run was killed before it looked at that, we do.

        Where the service says nothing by which it could be compared, it is brought anew.
        """
        if UNFINISHED not in image or image.get("disk_format") != item.disk_format:
            return image
        try:
            self._compare(item, image, Arriving(self._tree, item))
        except (DataWrong, ImportFailed) as error:
            self._target.delete(image["id"])
            step.image = None
            if isinstance(error, DataWrong):
                raise
            step.notes.append(f"{error}: it was brought anew")
            made = step.image = self._target.create(creation_of(item, self._terms), self._key(item))
            return self._send(item, made, step, shown)
        return image

    # --- Data ----------------------------------------------------------------------------------------

    def _send(self, item: Item, image: Document, step: Step, shown: Callable[[int], None]) -> Document:
        """Bring the data, and return the image that has it."""
        image_id: str = image["id"]
        if image["status"] != "queued":
            raise ImageBusy(image_id, image["status"])  # another run was given the same one

        def heard(done: int) -> None:
            self._require_wanted()
            shown(done)

        arriving = Arriving(self._tree, item, shown=heard, sleep=self._sleep)
        try:
            is_converted = self._transfer(item, image_id, arriving, step)
            return self._proved(item, image_id, arriving, is_converted=is_converted)
        except (Unavailable, Conflict):
            raise  # what is there waits for the next run, or is not only ours
        except HeadwaterError:
            self._require_wanted()
            with contextlib.suppress(HeadwaterError):
                self._target.delete(image_id)
            step.image = None
            raise

    def _transfer(self, item: Item, image_id: str, arriving: Arriving, step: Step) -> bool:
        """Bring the data in, and return whether the service converts it."""
        wanted = self._terms.disk_format
        is_converted = wanted is not None and wanted != item.disk_format and not item.is_container
        url = self._url(item) if self._terms.via is Via.WEB_DOWNLOAD else None
        # What is converted cannot be compared any more.
        may_fetch = url is not None and WEB_DOWNLOAD in self._offered()
        if may_fetch and (not is_converted or self._target.verifies_fetches()):
            algorithm = next(iter(item.hashes))
            hashed = {"os_hash_algo": algorithm, "os_hash_value": item.hashes[algorithm]}
            self._import(image_id, {"name": WEB_DOWNLOAD, "uri": url, **hashed})
        elif is_converted:
            if GLANCE_DIRECT not in self._offered():
                raise CannotConvert(self._target.place, str(wanted))
            self._target.stage(image_id, item.size, arriving.pieces)
            self._import(image_id, {"name": GLANCE_DIRECT})
        else:
            if self._terms.via is Via.WEB_DOWNLOAD:
                step.notes.append("uploaded: the service cannot fetch it itself")
            self._target.upload(image_id, item.size, item.hashes, arriving.pieces)
        return is_converted

    def _offered(self) -> tuple[str, ...]:
        if self._methods is None:
            self._methods = tuple(self._target.methods())
        return self._methods

    def _url(self, item: Item) -> str | None:
        """Return where the service could fetch an item itself."""
        place = self._tree.public_url()
        is_web = place is not None and place.startswith(("http://", "https://"))
        return item.row.get("item_url") if is_web else None

    def _import(self, image_id: str, method: Document) -> None:
        self._target.begin_import(image_id, method)
        image = self._after(image_id, ("importing", "uploading", "saving"), _IMPORT_S)
        if image is None:
            raise ImageVanished(image_id)
        if image["status"] not in HAS_DATA or image.get(_FAILED_IMPORT):
            why = self._target.why_failed(image_id) or f"it is {image['status']} now; the service's log says why"
            raise ImportFailed(image_id, why)

    def _proved(self, item: Item, image_id: str, arriving: Arriving, *, is_converted: bool) -> Document:
        """Return the image, when what the service says of its data is what the feed says."""
        image = self._after(image_id, ("saving", "uploading", "importing"), _IMPORT_S)
        if image is None:
            raise ImageVanished(image_id)
        if image["status"] not in HAS_DATA:
            raise ImageBusy(image_id, image["status"])
        if is_converted:
            if image.get("disk_format") != self._terms.disk_format:
                raise ImportFailed(
                    image_id,
                    f"it is {image.get('disk_format')} and was not converted to {self._terms.disk_format}: the "
                    "service's import plugin image_conversion has to be set up for that",
                )
            return image
        if image.get("disk_format") != item.disk_format:
            return image  # the service converts whatever is imported; it was verified before that
        self._compare(item, image, arriving)
        return image

    def _compare(self, item: Item, image: Document, arriving: Arriving) -> None:
        if image.get("size") != item.size:
            raise DataWrong(self._target.place, image["id"], "size")
        expected = {**arriving.made, **item.hashes}
        told = {"md5": image.get("checksum"), image.get("os_hash_algo") or "": image.get("os_hash_value")}
        compared = [name for name, value in told.items() if value and name in expected]
        for name in compared:
            if told[name] != expected[name]:
                raise DataWrong(self._target.place, image["id"], name)
        if not compared and not arriving.made:
            raise ImportFailed(
                image["id"], "it tells no hash of what it fetched that the feed has too, so nothing proves the data"
            )
