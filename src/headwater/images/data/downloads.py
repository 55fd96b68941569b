"""Give an image's data out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from headwater.activity.journal import Entry, Journal
from headwater.clock import now
from headwater.errors import Forbidden, HeadwaterError
from headwater.http.filesend import FileFailed
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.events.notices import Notices
from headwater.images.locations.content import Contents
from headwater.images.locations.known_stores import ONE_STORE, KnownStores
from headwater.images.locations.reading import (
    Check,
    DataDamaged,
    DataMissing,
    DataRefused,
    HashCheck,
    Place,
    Reading,
    Report,
    hopeful,
)
from headwater.images.model import RIGHT, WRONG, Image, ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)


class Wrongs(Protocol):
    """Counts what is wrong, for the operator."""

    def wrong(self, store: str) -> None:
        """Note that data of an image was found to be another's, or less than all."""


class ImageDeactivated(Forbidden):
    """The image is not to be used at the moment."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"The requested image {image_id} has been deactivated. "
            "Image data download is forbidden until it is reactivated."
        )
        self.image_id = image_id


@dataclass(frozen=True, slots=True)
class Download:
    """An image's data, ready to be read."""

    image: Image
    places: tuple[Place, ...]  # where it lies, in the order in which to read it; one at least
    entry: Entry
    report: Report

    @property
    def path(self) -> Path | None:
        """The file that holds all of it, where that is the first place."""
        return self.places[0].path

    @property
    def gives_parts(self) -> bool:
        """If not, it has to be read whole first."""
        return any(place.gives_parts for place in self.places)

    @property
    def is_external(self) -> bool:
        """The data may have to come from a web server of others."""
        return any(place.at.is_external for place in self.places)

    def read(self, start: int, length: int) -> Reading:
        """Return pieces of the data, from the first place that gives them; where it fails, the next goes on.

        Raises:
            HeadwaterError: As ``Reading`` says.
        """
        return Reading(self.image, self.places, range(start, start + length), self.report)

    def read_on(self, failed: FileFailed, wanted: range) -> Reading:
        """Return the rest of a part of which the first place gave the system less than all.

        Raises:
            StoreUnavailable: There is no other place.
            HeadwaterError: As ``Reading`` says.
        """
        rest = wanted[failed.sent :]
        return self._without_first(failed, rest.start).read(rest.start, len(rest))

    def _without_first(self, error: FileFailed, at: int) -> Download:
        failed, *others = self.places
        if error.is_short:
            self.report(DataDamaged(self.image.id, failed.at, f"ends at byte {at} of {self.image.size}"))
        reason = StoreUnavailable(failed.store.name, str(error))
        _log.warning("a location does not give its data", extra={"image": self.image.id, "error": str(reason)})
        if not others:
            raise reason from error
        return replace(self, places=tuple(others))


# Source: Glance answers 204 to a download of an image in any other status; an admin may read a
# deactivated image.
_READABLE = frozenset({Status.ACTIVE, Status.DEACTIVATED})


class Downloads:
    """The use case of downloading; safe to use from several threads."""

    def __init__(
        self,
        catalogue: ImageCatalogue,
        access: Access,
        stores: Mapping[str, ObjectStore],
        *,
        journal: Journal | None = None,
        notices: Notices | None = None,
        tally: Wrongs | None = None,
        known: KnownStores = ONE_STORE,
        contents: Contents | None = None,
        settings: ImagesSettings = ImagesSettings(),  # noqa: B008 - frozen
    ) -> None:
        """Take where images and their data are.

        Args:
            tally: Counts the times that data was found wrong.
            contents: Looks at what lies on web servers of others.
        """
        self._tally = tally
        self._known = known
        self._contents = contents or Contents(settings, Signatures(clock=now))
        self._settings = settings
        self._journal = journal or Journal()
        self._notices = notices
        self._catalogue = catalogue
        self._access = access
        self._stores = stores

    def open(self, caller: Caller, image_id: str, prefer: Sequence[str] = ()) -> Download | None:
        """Return the image's data; ``None`` when it has none yet.

        Args:
            prefer: The stores to read from, if they have it and the caller may choose.

        Raises:
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not read its data.
            ImageDeactivated: Only an admin may read its data now.
            DataMissing: The image should have data, and it is lost.
            StoreUnavailable: Its store does not work at the moment, or this process has no store of its name.
        """
        with self._journal.entry(caller, "image.download", image_id) as entry:
            entry.image = image = self._access.visible(caller, image_id, "download_image")
            if prefer:
                self._access.visible(caller, image_id, "download_from_store")
            return self._opened(caller, image, entry, prefer)

    def describe(self, caller: Caller, image_id: str) -> Image | None:
        """Return the image of which the caller may read the data; ``None`` when it has none yet.

        That is no download: no store is asked, and nobody is told.

        Raises:
            ImageNotFound, Forbidden, ImageDeactivated: As ``open`` says.
        """
        image = self._access.visible(caller, image_id, "download_image")
        return image if self._is_readable(caller, image) else None

    def _is_readable(self, caller: Caller, image: Image) -> bool:
        if image.status is Status.DEACTIVATED and not self._access.is_admin(caller):
            raise ImageDeactivated(image.id)
        return image.status in _READABLE

    def _opened(self, caller: Caller, image: Image, entry: Entry, prefer: Sequence[str]) -> Download | None:
        image_id = image.id
        if not self._is_readable(caller, image):
            return None
        places: list[Place] = []
        failed: list[HeadwaterError] = []
        for each in self._known.ranked(self._catalogue.held(image_id), lambda each: each.at, prefer):
            location = each.at
            store = self._stores.get(location.store)
            try:
                if store is None:
                    raise StoreUnavailable(location.store, f"section [stores] has none of this name ({image_id})")
                places.append(self._place(entry.caller, image, store, each))
            except ObjectNotFound as error:
                failed.append(DataMissing(image_id, location))
                failed[-1].__cause__ = error
            except (StoreUnavailable, DataRefused) as error:
                failed.append(error)
        if not places:
            # Deleted between the two reads, or it never had a place: the first look decides.
            self._catalogue.get(image_id)
            raise hopeful(failed or [DataMissing(image_id, Location("(none)", "(none)"))])
        places.sort(key=lambda place: place.is_wrong)
        return Download(image, tuple(places), entry, self._report)

    def _place(self, caller: Caller | None, image: Image, store: ObjectStore, held: ImageLocation) -> Place:
        """Return a place to read from.

        What is wrong, as somebody found who read it, is read by nobody but to be verified: not in parts, and not by the
        system. What others may have made of theirs since they gave its URL shows only when all of it is read.
        """
        at, verdict = held.at, held.verdict
        if verdict not in (None, RIGHT, WRONG):
            raise DataRefused(image.id, at, verdict)

        path = store.path(at.object_key)

        def check() -> Check:
            return self._contents.check(caller, image, at) if at.is_external else HashCheck(image, at)

        def is_right() -> None:
            if verdict == WRONG or (verdict is None and at.is_external):
                self._judge(image.id, at, RIGHT)

        return Place(
            store,
            at.object_key,
            path if verdict != WRONG else None,
            check if at.is_external or verdict == WRONG or self._known.verifies(at.store) else None,
            gives_parts=verdict == RIGHT or (verdict is None and not at.is_external),
            is_wrong=verdict == WRONG,
            is_right=is_right,
        )

    def _report(self, error: DataDamaged | DataRefused) -> None:
        """Tell the operator of data that is not what it should be, and the next reader to begin elsewhere."""
        _log.error("data of an image is wrong", extra={"image": error.image_id, "error": str(error)})
        if self._tally is not None:
            self._tally.wrong(error.location.store)
        self._judge(error.image_id, error.location, error.reason if isinstance(error, DataRefused) else WRONG)

    def _judge(self, image_id: str, at: Location, verdict: str) -> None:
        try:
            self._catalogue.judge(image_id, at, verdict)
        except HeadwaterError as error:  # the next who reads all of it finds the same
            _log.warning("a verdict is not kept", extra={"image": image_id, "error": str(error)})

    def may_redirect(self, *, asked: bool) -> bool:
        """Return whether a client may be sent to a store; ``asked``: it says that it follows."""
        return self._settings.direct_delivery == "always" or (asked and self._settings.direct_delivery == "asked")

    def direct_url(self, download: Download) -> str | None:
        """Return an address, a secret for a short time, where the client gets the data without us.

        ``None`` where the first place gives none, or does not have the data now: then it is sent from here, from
        whichever place has it.
        """
        first = download.places[0]
        if first.is_wrong or not first.store.abilities.gives_urls:
            return None
        try:
            if first.store.stat(first.object_key).size != download.image.size:
                return None
            return first.store.presigned(first.object_key, self._settings.direct_delivery_s)
        except (ObjectNotFound, StoreUnavailable) as error:
            more = {"image": download.image.id, "store": first.store.name, "error": str(error)}
            _log.warning("a store gives no address of its data", extra=more)
            return None

    def tells_of_sending(self) -> bool:
        """Return whether ``sent`` is of any use."""
        return self._notices is not None and self._notices.sends()

    def sent(self, download: Download, bytes_sent: int, *, whole: bool) -> None:
        """Tell how much of an image's data its receiver has got; ``whole``: as much as it asked for."""
        if self._notices is not None:
            self._notices.sent(download.entry, download.image, bytes_sent, whole=whole)
