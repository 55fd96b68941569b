"""What the cache fetches of an image: its data from the places where it lies, held against the image's hash."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from headwater.caching import fills
from headwater.caching.fills import Fill
from headwater.errors import HeadwaterError
from headwater.images.locations.reading import DataDamaged, DataRefused, HashCheck, Place, Reading, Report
from headwater.images.model import Image

_log = logging.getLogger(__name__)


class Tally(fills.Tally, Protocol):
    """Counts what the cache does, for the operator."""

    def cache_asked(self, result: str) -> None:
        """Note that data was wanted: a ``hit``, a ``shared`` fetch, or a ``miss``."""

    def cache_holds(self, size: int) -> None:
        """Note how many bytes of images are in it."""


class Fills(fills.Fills):
    """What this process fetches of images or follows; safe to use from several threads."""

    def join_image(self, name: str, image: Image, places: Sequence[Place], report: Report) -> Fill | Path | None:
        """Return what grows to the data of an image, as ``join`` does."""

        def data(fill: Fill) -> Reading:
            return Reading(image, [_checked(image, each) for each in places], range(fill.size), report)

        def failed(error: HeadwaterError) -> None:
            _log.warning("an image is not cached", extra={"image": image.id, "error": str(error)})

        return self.join(name, data, failed)


def is_wrong(fill: Fill) -> bool:
    """Return whether a fetch ended because what came is not the image's data."""
    return isinstance(fill.error, DataDamaged | DataRefused)


def _checked(image: Image, place: Place) -> Place:
    """Return a place whose data is held against the hash of the image, whatever else it is held against."""
    return replace(place, check=place.check or _hash_check(image, place))


def _hash_check(image: Image, place: Place) -> Callable[[], HashCheck]:
    return lambda: HashCheck(image, place.at)
