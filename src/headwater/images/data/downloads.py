"""Give an image's data out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headwater.activity.journal import Entry, Journal
from headwater.caching.fills import Fill
from headwater.caching.pieces import PIECE, pieces_of
from headwater.clock import now
from headwater.errors import Forbidden
from headwater.http.filesend import FileFailed
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.cache.cache import ImageCache
from headwater.images.cache.fills import is_wrong
from headwater.images.catalogue.deletions.pending_deletes import PendingDelete
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.events.notices import Notices
from headwater.images.locations.content import Contents
from headwater.images.locations.known_stores import ONE_STORE, KnownStores
from headwater.images.locations.places import Places, Wrongs
from headwater.images.locations.reading import DataDamaged, HashCheck, Place, Reading, Report
from headwater.images.model import Image, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.stores.store import ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)


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
    cached: Path | None = None  # a copy on this machine, read before all places
    growing: Fill | None = None  # a copy on this machine that is not whole yet
    is_kept: bool = False  # the image is deleted, and feeds give its files for a time

    @property
    def path(self) -> Path | None:
        """The file that holds all of it, where that is the first place."""
        return self.cached or self.places[0].path

    @property
    def gives_parts(self) -> bool:
        """If not, it has to be read whole first."""
        return any(place.gives_parts for place in self.places)

    @property
    def is_external(self) -> bool:
        """The data may have to come from a web server of others."""
        return any(place.at.is_external for place in self.places)

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Return pieces of the data, from the first place that gives them; where it fails, the next goes on.

        Raises:
            HeadwaterError: As ``Reading`` says.
        """
        wanted = range(start, start + length)
        return self._from_places(wanted) if self.cached is None else self._from_copy(self.cached, wanted)

    def _from_places(self, wanted: range) -> Reading:
        return Reading(self.image, self.places, wanted, self.report)

    def _from_copy(self, copy: Path, wanted: range) -> Iterator[bytes]:
        at = wanted.start
        for piece in pieces_of(copy, wanted):
            at += len(piece)
            yield piece
        if at < wanted.stop:  # it was removed, or its disk fails
            yield from self._from_places(range(at, wanted.stop))

    def read_after(self, growing: Fill, rest: range) -> Iterator[bytes]:
        """Yield the last part of the data from the places, where a copy that grew came no further.

        All that was given is hashed, so that nobody gets all of what is damaged, whoever began it.

        Raises:
            DataDamaged: The copy and the rest are not the image's data.
            HeadwaterError: As ``Reading`` says.
        """
        if growing.error is not None and is_wrong(growing):
            raise growing.error
        check = HashCheck(self.image, self.places[0].at)
        for at in range(0, rest.start, PIECE):
            check.feed(growing.read(at, min(PIECE, rest.start - at)))
        at = rest.start
        for piece in self._from_places(rest):
            check.feed(piece)
            at += len(piece)
            if at == self.image.size:
                check.finish()
            yield piece

    def read_on(self, failed: FileFailed, wanted: range) -> Iterator[bytes]:
        """Return the rest of a part of which the first place gave the system less than all.

        Raises:
            StoreUnavailable: There is no other place.
            HeadwaterError: As ``Reading`` says.
        """
        rest = wanted[failed.sent :]
        if self.cached is not None:
            _log.warning("a cached image is not given", extra={"image": self.image.id, "error": str(failed)})
            return replace(self, cached=None).read(rest.start, len(rest))
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
        catalogue: ImageRows,
        access: Access,
        stores: Mapping[str, ObjectStore],
        *,
        journal: Journal | None = None,
        notices: Notices | None = None,
        tally: Wrongs | None = None,
        known: KnownStores = ONE_STORE,
        contents: Contents | None = None,
        settings: ImagesSettings = ImagesSettings(),  # noqa: B008 - frozen
        used: Callable[[str], None] = lambda _: None,
        cache: ImageCache | None = None,
    ) -> None:
        """Take where images and their data are.

        Args:
            cache: Copies on this machine.
            tally: Counts the times that data was found wrong.
            contents: Looks at what lies on web servers of others.
            used: Is told the id of each image whose data is given out; it must cost nothing.
        """
        self._used = used
        self._cache = cache
        contents = contents or Contents(settings, Signatures(clock=now))
        self._places = Places(catalogue, stores, known=known, contents=contents, tally=tally)
        self._settings = settings
        self._journal = journal or Journal()
        self._notices = notices
        self._access = access

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
            found = self._opened(caller, image, entry, prefer)
            if found is not None:
                self._used(image_id)
            return found

    def open_published(self, caller: Caller, image: Image) -> Download | None:
        """Return the data of an image that is published to everybody: whoever calls this has made sure of that.

        Raises:
            HeadwaterError: As ``open`` says of the data.
        """
        with self._journal.entry(caller, "image.download", image.id) as entry:
            entry.image = image
            found = self._opened(caller, image, entry, ())
            if found is not None:
                self._used(image.id)
            return found

    def open_kept(self, caller: Caller, kept: PendingDelete, *, by_policy: bool) -> Download:
        """Return the data of a deleted image that feeds go on giving: whoever calls this has made sure of that.

        It is read from its stores, as copies on this machine went with the image.

        Args:
            by_policy: The caller is somebody, whose right to the data is asked for.

        Raises:
            ImageNotFound, Forbidden: The caller would not see the image, or may not read its data.
            HeadwaterError: As ``open`` says of the data.
        """
        image = kept.image
        with self._journal.entry(caller, "image.download", image.id) as entry:
            entry.image = image
            if by_policy:
                self.require_kept(caller, kept)
            places = self._places.of(entry.caller, image, held=kept.held)
            return Download(image, places, entry, self._places.report, is_kept=True)

    def require_kept(self, caller: Caller, kept: PendingDelete) -> None:
        """Raise what ``open_kept`` does by policy."""
        if not self._access.allows("get_image", caller, kept.image):
            raise ImageNotFound(kept.image.id)
        self._access.require("download_image", caller, kept.image)

    @property
    def caches(self) -> bool:
        """Whether there may be copies on this machine."""
        return self._cache is not None

    def near(self, download: Download, wanted: range) -> Download:
        """Return the download of a part of the data, from the copy on this machine where there is one or can be."""
        if self._cache is None or not wanted or download.is_kept:
            return download
        copy = self._cache.whole(download.image)
        growing = None if copy else self._cache.growing(download.image, download.places, wanted, download.report)
        if isinstance(growing, Path):
            copy, growing = growing, None
        return replace(download, cached=copy, growing=growing)

    def places_of(self, image: Image) -> tuple[tuple[Place, ...], Report]:
        """Return where the data of an image lies, for Headwater itself, and who is told of what is wrong there.

        Raises:
            DataMissing, StoreUnavailable, DataRefused: It is in no place.
        """
        return self._places.of(None, image), self._places.report

    def describe(self, caller: Caller, image_id: str) -> Image | None:
        """Return the image of which the caller may read the data; ``None`` when it has none yet.

        That is no download: the stores are asked whether they have the data, and nobody is told.

        Raises:
            HeadwaterError: As ``open`` says.
        """
        image = self._access.visible(caller, image_id, "download_image")
        if not self._is_readable(caller, image):
            return None
        self._places.of(caller, image)
        return image

    def _is_readable(self, caller: Caller, image: Image) -> bool:
        if image.status is Status.DEACTIVATED and not self._access.is_admin(caller):
            raise ImageDeactivated(image.id)
        return image.status in _READABLE

    def _opened(self, caller: Caller, image: Image, entry: Entry, prefer: Sequence[str]) -> Download | None:
        if not self._is_readable(caller, image):
            return None
        is_near = self._cache is not None and self._cache.has(image)
        return Download(
            image, self._places.of(entry.caller, image, prefer, asks=not is_near), entry, self._places.report
        )

    def may_redirect(self, *, asked: bool) -> bool:
        """Return whether a client may be sent to a store; ``asked``: it says that it follows."""
        return self._settings.direct_delivery == "always" or (asked and self._settings.direct_delivery == "asked")

    def direct_url(self, download: Download) -> str | None:
        """Return an address, a secret for a short time, where the client gets the data without us.

        ``None`` where the first place, which had the data when it was opened, gives none: then it is sent from here.
        """
        first = download.places[0]
        if first.is_wrong or not first.store.abilities.gives_urls:
            return None
        try:
            return first.store.presigned(first.object_key, self._settings.direct_delivery_s)
        except StoreUnavailable as error:
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
