"""Give an image's data out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.activity.journal import Entry, Journal
from headwater.errors import Forbidden, HeadwaterError, Lost, Unavailable
from headwater.fetching.url_filter import redacted
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.events.notices import Notices
from headwater.images.model import Image, Location, Status
from headwater.stores.store import ObjectNotFound, ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)


class DataMissing(Lost):
    """The catalogue says where the data is, the store is there, and the data is not."""

    def __init__(self, image_id: str, location: Location) -> None:
        super().__init__(
            f"the data of image {image_id} is missing from store {location.store}: "
            f"restore the object {location.object_key}, or delete the image and upload it again"
        )
        self.image_id, self.location = image_id, location

    @property
    def told(self) -> str:
        return f"The data of image {self.image_id} is lost. Ask whoever runs this service, or upload the image again."


class RemoteDataMissing(Unavailable):
    """The web server of others that has the data says that it has not."""

    def __init__(self, image_id: str, location: Location) -> None:
        super().__init__(f"the data of image {image_id} is not at {redacted(location.object_key)} at the moment")
        self.image_id = image_id


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
    store: ObjectStore
    object_key: str
    path: Path | None  # the file that holds all of it, where there is one
    entry: Entry
    others: tuple[tuple[ObjectStore, str], ...] = ()  # where it lies too

    @property
    def is_external(self) -> bool:
        """The data may have to come from a web server of others."""
        return any(
            Location(store.name, key).is_external for store, key in ((self.store, self.object_key), *self.others)
        )

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Return pieces of the data, from the first place that gives them.

        Raises:
            DataMissing: It is in no place, and all of them were asked.
            Unavailable: No place gives it now.
        """
        failed: list[HeadwaterError] = []
        for store, object_key in ((self.store, self.object_key), *self.others):
            try:
                return store.read(object_key, start, length)
            except ObjectNotFound as error:
                at = Location(store.name, object_key)
                missing = RemoteDataMissing if at.is_external else DataMissing
                failed.append(missing(self.image.id, at))
                failed[-1].__cause__ = error
            except StoreUnavailable as error:
                failed.append(error)
            _log.warning("a location does not give its data", extra={"image": self.image.id, "error": str(failed[-1])})
        raise _hopeful(failed)


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
    ) -> None:
        self._journal = journal or Journal()
        self._notices = notices
        self._catalogue = catalogue
        self._access = access
        self._stores = stores

    def open(self, caller: Caller, image_id: str) -> Download | None:
        """Return the image's data; ``None`` when it has none yet.

        Raises:
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not read its data.
            ImageDeactivated: Only an admin may read its data now.
            DataMissing: The image should have data, and it is lost.
            StoreUnavailable: Its store does not work at the moment, or this process has no store of its name.
        """
        with self._journal.entry(caller, "image.download", image_id) as entry:
            entry.image = image = self._access.visible(caller, image_id, "download_image")
            return self._opened(caller, image, entry)

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

    def _opened(self, caller: Caller, image: Image, entry: Entry) -> Download | None:
        image_id = image.id
        if not self._is_readable(caller, image):
            return None
        places: list[tuple[ObjectStore, str, Path | None]] = []
        failed: list[HeadwaterError] = []
        for location in self._catalogue.locations(image_id):
            store = self._stores.get(location.store)
            try:
                if store is None:
                    raise StoreUnavailable(location.store, f"section [stores] has none of this name ({image_id})")
                places.append((store, location.object_key, store.path(location.object_key)))
            except ObjectNotFound as error:
                failed.append(DataMissing(image_id, location))
                failed[-1].__cause__ = error
            except StoreUnavailable as error:
                failed.append(error)
        if not places:
            # Deleted between the two reads, or it never had a place: the first look decides.
            self._catalogue.get(image_id)
            raise _hopeful(failed or [DataMissing(image_id, Location("(none)", "(none)"))])
        (store, object_key, path), *others = places
        return Download(image, store, object_key, path, entry, tuple(other[:2] for other in others))

    def tells_of_sending(self) -> bool:
        """Return whether ``sent`` is of any use."""
        return self._notices is not None and self._notices.sends()

    def sent(self, download: Download, bytes_sent: int, *, whole: bool) -> None:
        """Tell how much of an image's data its receiver has got; ``whole``: as much as it asked for."""
        if self._notices is not None:
            self._notices.sent(download.entry, download.image, bytes_sent, whole=whole)


def _hopeful(failed: list[HeadwaterError]) -> HeadwaterError:
    """Return what to tell of several failures, the last: but data is not lost while one place may still have it."""
    return next((error for error in reversed(failed) if isinstance(error, Unavailable)), failed[-1])
