"""What is done to the cache of this machine, by administrators and by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.caching.directory import Removed
from headwater.errors import Conflict, HeadwaterError, Invalid, NotFound
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.cache.cache import ImageCache, PlacesOf
from headwater.images.cache.directory import CachedImage, CacheDirectory, name_of
from headwater.images.cache.fills import Tally
from headwater.images.cache.settings import CacheSettings
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Image, Status

_log = logging.getLogger(__name__)

TARGETS = ("cache", "queue")


class NoCache(NotFound):
    """This machine keeps no copies of images."""

    def __init__(self) -> None:
        super().__init__("Caching via API is not supported at this site.")


class NotCached(NotFound):
    """The image is neither in the cache nor queued for it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"The image {image_id} is neither in the cache nor queued for it")
        self.image_id = image_id


class NotCacheable(Invalid):
    """The data of this image cannot come into the cache."""

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f"The image {image_id} cannot be cached: {reason}")
        self.image_id, self.reason = image_id, reason


class BadTarget(Invalid):
    """A part of the cache that there is not."""

    def __init__(self, given: str) -> None:
        super().__init__(f"x-image-cache-clear-target is cache or queue, or is left out for both; not {given[:40]!r}")


class NodesUnknown(Conflict):
    """Each machine knows of its own cache only. Source: Glance answers 409 where no catalogue of all caches is kept."""

    def __init__(self) -> None:
        super().__init__("Which nodes have cached an image is not known: each keeps its own cache; ask it for its list")


@dataclass(frozen=True, slots=True)
class InCache:
    """One image in the cache, and what the catalogue says of its data."""

    cached: CachedImage
    checksum: str | None


class CacheKeeping:
    """A cache held against the catalogue; safe to use from several threads and processes."""

    def __init__(self, directory: CacheDirectory, catalogue: ImageRows) -> None:
        self.directory = directory
        self._catalogue = catalogue

    def images(self) -> Iterator[InCache]:
        """Yield what is in the cache and has an image, what was read last at the end."""
        for cached in self.directory.images():
            image = self.image(cached.image_id)
            if image is not None and name_of(image) == cached.name:
                yield InCache(cached, image.checksum)

    def image(self, image_id: str) -> Image | None:
        """Return an image of the catalogue, whoever sees it."""
        try:
            return self._catalogue.get(image_id)
        except ImageNotFound:
            return None

    def queue(self, image: Image) -> None:
        """Let an image be fetched.

        Raises:
            NotCacheable: It has no data, or none that could be kept.
        """
        if image.status is not Status.ACTIVE:
            raise NotCacheable(image.id, f"only images with status active can be queued, and it is {image.status}")
        if name_of(image) is None:
            raise NotCacheable(image.id, "it has no data, or nobody knows the hash of it")
        if (image.size or 0) > self.directory.max_size:
            raise NotCacheable(
                image.id, f"it has {image.size} bytes, and the cache takes {self.directory.max_size} at most"
            )
        self.directory.queue(image.id)

    def queue_id(self, image_id: str) -> None:
        """Let an image be fetched, whoever sees it.

        Raises:
            ImageNotFound: There is none.
            NotCacheable: As ``queue`` says.
        """
        self.queue(self._catalogue.get(image_id))

    def delete(self, image_id: str) -> None:
        """Take an image out of the cache and its queue; raise ``NotCached`` when it is in neither."""
        was_queued = self.directory.unqueue(image_id)
        if not self.directory.remove(image_id) and not was_queued:
            raise NotCached(image_id)

    def clear(self, target: str | None) -> Removed:
        """Empty the cache, its queue, or both.

        Raises:
            BadTarget: ``target`` is neither.
        """
        if target not in (None, *TARGETS):
            raise BadTarget(target or "")
        if target != "cache":
            for image_id in self.directory.queued():
                self.directory.unqueue(image_id)
        return self.directory.clear() if target != "queue" else Removed()

    def prune(self) -> Removed:
        """Remove what no image has any more, then what was not read for longest, until the rest fits."""
        self.directory.clean()
        return self.directory.prune(self._is_wanted)

    def _is_wanted(self, name: str) -> bool:
        image = self.image(name.partition(".")[0])
        return image is not None and name_of(image) == name


class CacheService:
    """The use cases of a cache, for callers; without a cache each raises ``NoCache``."""

    def __init__(
        self,
        access: Access,
        cache: ImageCache | None,
        catalogue: ImageRows,
        places_of: PlacesOf,
        *,
        settings: CacheSettings,
        tally: Tally,
    ) -> None:
        """Take the cache; ``places_of`` returns where the data of an image lies, and who is told of what is wrong."""
        self.is_on = cache is not None
        self._access, self._cache, self._places_of = access, cache, places_of
        self._settings, self._tally = settings, tally
        self._keeping = CacheKeeping(cache.directory, catalogue) if cache is not None else None

    def state(self, caller: Caller) -> tuple[list[InCache], list[str]]:
        """Return what is in the cache, and which images are queued for it."""
        keeping = self._allowed(caller, "cache_list")
        return list(keeping.images()), keeping.directory.queued()

    def queue(self, caller: Caller, image_id: str) -> None:
        """Queue an image, and begin to fetch it.

        Raises:
            ImageNotFound, Forbidden: As ``Access.visible`` says.
            NotCacheable: It has no data, or none that could be kept.
        """
        keeping = self._keeping_or_raise()
        image = self._access.visible(caller, image_id, "cache_image")
        keeping.queue(image)
        self._fetch(image)

    def delete(self, caller: Caller, image_id: str) -> None:
        """Take an image out of the cache and its queue.

        Raises:
            NotCached: It is in neither.
        """
        self._allowed(caller, "cache_delete").delete(image_id)

    def clear(self, caller: Caller, target: str | None) -> None:
        """Empty the cache, its queue, or both.

        Raises:
            BadTarget: ``target`` is neither.
        """
        self._allowed(caller, "cache_delete").clear(target)

    def nodes(self, caller: Caller) -> list[str]:
        """Return the nodes that have cached an image; nobody knows, so raise ``NodesUnknown``."""
        self._allowed(caller, "list_cached_nodes")
        raise NodesUnknown

    def clean(self, caller: Caller) -> None:
        """Remove what broken fetches left."""
        self._allowed(caller, "cache_clean").directory.clean()

    def prune(self, caller: Caller) -> Removed:
        """Remove what is not needed or too much, and return how much that was."""
        return self._allowed(caller, "cache_prune").prune()

    def look_after(self) -> None:
        """Do what is due on this machine: fetch what is queued, remove what is too much."""
        if self._keeping is None:
            return
        directory = self._keeping.directory
        if directory.takes_turn("fetched", self._settings.prefetch_every_s):
            self._fetch_queued(self._keeping)
        if directory.takes_turn("pruned", self._settings.prune_every_s):
            self._keeping.prune()
        self._tally.cache_holds(sum(each.size for each in directory.images()))

    def _fetch_queued(self, keeping: CacheKeeping) -> None:
        for image_id in keeping.directory.queued():
            image = keeping.image(image_id)
            if image is None or image.status is not Status.ACTIVE or name_of(image) is None:
                keeping.directory.unqueue(image_id)
            else:
                self._fetch(image)

    def _fetch(self, image: Image) -> None:
        if self._cache is None:
            return
        try:
            places, report = self._places_of(image)
        except HeadwaterError as error:
            _log.warning("a queued image cannot be fetched now", extra={"image": image.id, "error": str(error)})
            return
        if self._cache.fetch(image, places, report):
            self._cache.directory.unqueue(image.id)

    def _keeping_or_raise(self) -> CacheKeeping:
        if self._keeping is None:
            raise NoCache
        return self._keeping

    def _allowed(self, caller: Caller, rule: str) -> CacheKeeping:
        keeping = self._keeping_or_raise()
        self._access.require_rule(rule, caller)
        return keeping
