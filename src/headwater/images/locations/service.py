"""Where the data of images lies: shown to callers, and changed by their patches.

Callers add locations on web servers, which the store of type ``http`` reads; URLs of any other kind are
refused. What is at a URL is looked up before the transaction that adds it: the patch is carried out once with what
the catalogue says now, asking servers as it goes, and then once more inside the transaction with their answers.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from headwater.errors import Conflict, TooLarge
from headwater.fetching.fetcher import Fetcher, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused, redacted
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.attributes import LocationsInvisible, Operation
from headwater.images.catalogue.locations import LocationRows
from headwater.images.locations.known_stores import ONE_STORE, KnownStores
from headwater.images.locations.rules import Found, InvalidLocation, LocationRules
from headwater.images.model import Held, Image, ImageLocation, Location, Status
from headwater.images.schemas import ImageSchemas
from headwater.images.settings import ImagesSettings
from headwater.stores.store import ForeignUrl, ObjectInUse, ObjectStore, StoreUnavailable, cloned

# Carries out one operation on locations: takes the image and its locations, and gives them as they are after it.
Relocate = Callable[[Image, Held, Operation], tuple[Image, Held]]

_log = logging.getLogger(__name__)

_RULES = {"add": "set_image_location", "replace": "set_image_location", "remove": "delete_image_location"}


class ImageInUse(Conflict):
    """Volumes of machines were cloned from the data of the image in its store."""

    def __init__(self, image_id: str) -> None:
        super().__init__(
            f"Image {image_id} could not be deleted because it is in use: volumes were cloned from it. "
            "Delete or flatten them first, or hide the image."
        )
        self.image_id = image_id


class ImageMoved(Conflict):
    """The image changed between the two times that a patch of its locations was carried out."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"The locations of image {image_id} were changed by somebody else at the same time; try again")
        self.image_id = image_id


class LocationTooLarge(TooLarge):
    """More data at a location than one image may have."""

    def __init__(self, cap: int) -> None:
        super().__init__(f"The data at this location is larger than the {cap} bytes that one image may have")
        self.cap = cap


class Web:
    """What lies on web servers, as locations; safe to use from several threads."""

    def __init__(self, stores: Mapping[str, ObjectStore], fetcher: Fetcher, size_cap: int) -> None:
        self._fetcher = fetcher
        self._size_cap = size_cap
        # What lies in a store that writes is ours: no caller may name it.
        self._stores = {name: store for name, store in stores.items() if not store.abilities.writes}

    def takes(self, url: str) -> bool:
        """Return whether there is a store that reads such URLs."""
        return self._place(url) is not None

    def location(self, url: str) -> Location:
        """Return where ``url`` is.

        Raises:
            InvalidLocation: It is no URL that callers may add, or no store reads it.
        """
        place = self._place(url)
        if place is None:
            raise InvalidLocation("it is not a URL of a kind that a store of this service reads")
        return place

    def _place(self, url: str) -> Location | None:
        for name, store in self._stores.items():
            with contextlib.suppress(ForeignUrl):
                return Location(name, store.key_of(url))
        return None

    def check(self, url: str) -> None:
        """Return when ``url`` may be fetched.

        Raises:
            InvalidLocation: It may not.
        """
        try:
            self._fetcher.check(url)
        except UrlRefused as error:
            raise InvalidLocation(
                f"URI for add location does not pass filtering: {redacted(url)} ({error.reason})"
            ) from error

    def found(self, url: str) -> Found:
        """Ask the server what is at ``url``.

        Raises:
            InvalidLocation: Nothing that could be used, or the server does not answer.
            LocationTooLarge: More than one image may have.
        """
        at = self.location(url)
        self.check(url)
        try:
            size = self._fetcher.size(url)
        except (RemoteFailed, UrlRefused) as error:
            raise InvalidLocation(str(error)) from error
        except RemoteTooLarge as error:
            raise LocationTooLarge(error.limit) from error
        if size is None:
            raise InvalidLocation(f"{redacted(url)} does not say how large it is")
        if size > self._size_cap:
            raise LocationTooLarge(self._size_cap)
        return Found(at, size)


class Locations:
    """The use cases; safe to use from several threads."""

    def __init__(
        self,
        rows: LocationRows,
        access: Access,
        stores: Mapping[str, ObjectStore],
        web: Web,
        settings: ImagesSettings,
        *,
        known: KnownStores = ONE_STORE,
        used: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take what locations are made of.

        Args:
            used: Is told the id of each image of which somebody learns where its data lies; it must cost nothing.
        """
        self._used = used
        self._known = known
        self._rows = rows
        self._access = access
        self._stores = stores
        self._cloned = {name: found for name, store in stores.items() if (found := cloned(store)) is not None}
        self._web = web
        self._settings = settings
        self._schemas = ImageSchemas(settings)
        self._rules = LocationRules(settings.hash_algorithm, settings.location_quota, self.url)

    # --- Showing ---------------------------------------------------------------------------------

    def shown(self, caller: Caller, images: Sequence[Image]) -> dict[str, dict[str, Any]]:
        """Return, by image, the attributes that tell of locations; nothing when none are shown."""
        settings = self._settings
        shows = settings.show_multiple_locations or settings.show_image_direct_url or self._known.are_several
        if not images or not shows:
            return {}
        held = self._rows.of_all([image.id for image in images])
        return {image.id: self._shown(caller, image, self._ranked(held.get(image.id, ()))) for image in images}

    def _ranked(self, held: Iterable[ImageLocation]) -> Held:
        """Return locations in the order in which callers see them."""
        return tuple(self._known.ranked(held, lambda each: each.at))

    def _shown(self, caller: Caller, image: Image, held: Held) -> dict[str, Any]:
        if image.status is Status.DEACTIVATED and not self._access.is_admin(caller):
            return {}
        # Source: Glance shows an empty list to those who may not know.
        documents = self.documents(held) if self._access.allows("get_image_location", caller, image) else []
        attributes: dict[str, Any] = {}
        if self._settings.show_multiple_locations:
            attributes["locations"] = documents
        if self._settings.show_image_direct_url and documents:
            attributes["direct_url"] = documents[0]["url"]
        if self._known.are_several and held:
            attributes["stores"] = self._known.listed(held)
        return attributes

    def documents(self, held: Held) -> list[dict[str, Any]]:
        """Return locations as the API shows them; not those in stores that are not configured here."""
        return [
            {"url": url, "metadata": {**each.metadata, "store": each.at.store}}
            for each in held
            if (url := self.url(each.at)) is not None
        ]

    def url(self, at: Location) -> str | None:
        """Return the URL of a location; ``None`` when its store is not configured here."""
        if at.is_external:
            return at.object_key
        store = self._stores.get(at.store)
        return store.url_of(at.object_key) if store is not None else None

    def of_image(self, caller: Caller, image_id: str) -> list[dict[str, Any]]:
        """Return the locations of one image for those who may always know them: services.

        Raises:
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not know.
        """
        image = self._access.judged(caller, image_id, "fetch_image_location")
        documents = self.documents(self._ranked(self._rows.of(image.id)))
        if documents:
            self._used(image.id)
        return documents

    def shown_alone(self, caller: Caller, image: Image) -> dict[str, Any]:
        """Return what ``shown`` does of one image that is looked at by itself.

        Nova and Cinder do that where data is in Ceph, and clone what they find there: that its place is shown is a use.
        """
        attributes = self.shown(caller, [image]).get(image.id, {})
        if attributes.get("locations") or "direct_url" in attributes:
            self._used(image.id)
        return attributes

    # --- Deleting --------------------------------------------------------------------------------

    def require_unused(self, image_id: str, store_name: str | None = None, *, certainly: bool = False) -> None:
        """Return when nobody builds on the image's data, such as volumes that were cloned from it.

        A store that does not work keeps no image from being deleted: it leaves the bytes while they are in use.

        Args:
            store_name: The store whose copy is looked at; ``None``: all copies are.
            certainly: Do not take a store that does not work for one that says nobody does.

        Raises:
            ImageInUse: Somebody does.
            StoreUnavailable: ``certainly``, and nobody can say.
        """
        if not self._cloned:
            return
        for held in self._rows.of(image_id):
            store = self._cloned.get(held.at.store)
            if store is None or held.at.is_external or store_name not in (None, held.at.store):
                continue
            try:
                store.require_unused(held.at.object_key)
            except ObjectInUse as error:
                raise ImageInUse(image_id) from error
            except StoreUnavailable as error:
                if certainly:
                    raise
                facts = {"image": image_id, "store": store.name, "error": error.reason}
                _log.warning("nobody can say whether an image that is deleted is in use", extra=facts)

    # --- Changing --------------------------------------------------------------------------------

    def patch(self, caller: Caller, image: Image, operations: Sequence[Operation]) -> Relocate | None:
        """Look up what the operations on locations need, and return what carries them out; ``None``: there are none.

        Raises:
            LocationsInvisible: Locations are not shown, so they cannot be changed.
            Forbidden: The caller may not change them.
            SchemaViolation: A location is not what one must be.
            HeadwaterError: As ``LocationRules.patched`` and ``Web.found`` say.
        """
        mine = [operation for operation in operations if operation.name == "locations"]
        if not mine:
            return None
        if not self._settings.show_multiple_locations:
            raise LocationsInvisible
        for operation in mine:
            self._access.require(_RULES[operation.op], caller, image)
            if operation.op != "remove":
                self._schemas.require_locations(operation.value if operation.op == "replace" else [operation.value])
        answers: dict[str, Found] = {}

        def ask(url: str) -> Found:
            if url not in answers:
                answers[url] = self._web.found(url)
            return answers[url]

        def recall(url: str) -> Found:
            if url not in answers:
                raise ImageMoved(image.id)
            return answers[url]

        present, held = image, self._ranked(self._rows.of(image.id))
        for operation in mine:
            present, held = self._rules.patched(present, held, operation, ask)

        def relocate(image: Image, held: Held, operation: Operation) -> tuple[Image, Held]:
            self._access.require(_RULES[operation.op], caller, image)
            return self._rules.patched(image, self._ranked(held), operation, recall)

        return relocate
