"""Give an image's data out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from headwater.activity.journal import Entry, Journal
from headwater.caching.fills import Fill
from headwater.caching.pieces import PIECE, pieces_of
from headwater.clock import now
from headwater.errors import Forbidden, HeadwaterError
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
from headwater.images.model import RIGHT, WRONG, Held, Image, ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.stores.store import ObjectNotFound, ObjectStore, Proof, StoreUnavailable, proving

_log = logging.getLogger(__name__)


class Wrongs(Protocol):
    """Counts what is wrong, for the operator."""

    def wrong(self, store: str) -> None:
        """Note that data of an image was found to be another's, or less than all."""

    def missing(self, store: str) -> None:
        """Note that data of an image was not where it should be."""


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
        self._tally = tally
        self._cache = cache
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
            places = self._places(entry.caller, image, held=kept.held)
            return Download(image, places, entry, self._report, is_kept=True)

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
        return self._places(None, image, ()), self._report

    def describe(self, caller: Caller, image_id: str) -> Image | None:
        """Return the image of which the caller may read the data; ``None`` when it has none yet.

        That is no download: the stores are asked whether they have the data, and nobody is told.

        Raises:
            HeadwaterError: As ``open`` says.
        """
        image = self._access.visible(caller, image_id, "download_image")
        if not self._is_readable(caller, image):
            return None
        self._places(caller, image)
        return image

    def _is_readable(self, caller: Caller, image: Image) -> bool:
        if image.status is Status.DEACTIVATED and not self._access.is_admin(caller):
            raise ImageDeactivated(image.id)
        return image.status in _READABLE

    def _opened(self, caller: Caller, image: Image, entry: Entry, prefer: Sequence[str]) -> Download | None:
        if not self._is_readable(caller, image):
            return None
        is_near = self._cache is not None and self._cache.has(image)
        return Download(image, self._places(entry.caller, image, prefer, asks=not is_near), entry, self._report)

    def _places(
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
                self._report(each_failed)
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
            self._report(error)
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
            self._report(error)
        raise error

    def _report(self, error: DataMissing | DataDamaged | DataRefused) -> None:
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
