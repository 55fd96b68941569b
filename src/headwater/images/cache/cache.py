"""The cache as downloads see it: a file that is whole, one that grows, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from headwater.caching.directory import CacheUnavailable
from headwater.caching.fills import Fill
from headwater.images.cache.directory import CacheDirectory, name_of
from headwater.images.cache.fills import Fills, Tally
from headwater.images.locations.reading import Place, Report
from headwater.images.model import Image

_log = logging.getLogger(__name__)

PlacesOf = Callable[[Image], tuple[tuple[Place, ...], Report]]


class ImageCache:
    """Copies of images on this machine; safe to use from several threads."""

    def __init__(self, directory: CacheDirectory, fills: Fills, tally: Tally) -> None:
        self.directory = directory
        self._fills, self._tally = fills, tally

    def has(self, image: Image) -> bool:
        """Return whether an image is here, or is being fetched by this process: then no store is asked for it."""
        name = name_of(image)
        return name is not None and (self.directory.find(name) is not None or self._fills.running(name) is not None)

    def whole(self, image: Image) -> Path | None:
        """Return the file that holds all of an image's data, which counts as a hit."""
        name = name_of(image)
        found = self.directory.find(name) if name is not None else None
        if name is not None and found is not None:
            self.directory.hit(name)
            self._tally.cache_asked("hit")
        return found

    def growing(self, image: Image, places: Sequence[Place], wanted: range, report: Report) -> Fill | Path | None:
        """Return what is being fetched of an image, or has just become whole; ``None``: read it from its store.

        All of an image's data begins a fetch, where the store that is read first is no directory. A part begins none:
        whoever wants parts wants few of them, or all from several connections at once.
        """
        name = name_of(image)
        if name is None or places[0].store.abilities.gives_paths:
            return None
        is_whole = len(wanted) == image.size
        known = self._fills.running(name)
        if known is not None:
            has_come = is_whole or known.arrived >= wanted.stop
            self._tally.cache_asked("shared" if has_come else "miss")
            return known if has_come else None
        found = self._joined(name, image, places, report) if is_whole else None
        if isinstance(found, Path):
            self._tally.cache_asked("hit")
        else:
            self._tally.cache_asked("miss" if found is None or found.is_ours else "shared")
        return found

    def _joined(self, name: str, image: Image, places: Sequence[Place], report: Report) -> Fill | Path | None:
        try:
            return self._fills.join_image(name, image, places, report)
        except CacheUnavailable as error:
            _log.warning("an image is not cached", extra={"image": image.id, "error": str(error)})
            return None

    def fetch(self, image: Image, places: Sequence[Place], report: Report) -> bool:
        """Begin to fetch an image, whatever its store; return whether it is whole already."""
        name = name_of(image)
        return name is not None and isinstance(self._joined(name, image, places, report), Path)

    def forget(self, image_id: str) -> None:
        """Remove what is kept of an image that is deleted; where that fails, a later ``prune`` does."""
        try:
            self.directory.remove(image_id)
            self.directory.unqueue(image_id)
        except CacheUnavailable as error:
            _log.warning("a deleted image stays in the cache", extra={"image": image_id, "error": str(error)})

    def close(self) -> None:
        """Give up what is being fetched."""
        self._fills.close()
