"""File names of images: ``NAME_VERSION.FORMAT``, made of the image alone, so that no other image changes it.

Readers such as systemd-sysupdate find a version between a fixed beginning and end, compare versions, and take the
highest. ``VERSION`` is ``DAY.SECOND.ID``: of which day the image is, when it was made, and the first digits of its id.
So it is in the order of age, hardly ever have two images the same name, and a name leads to its image by the id in it.

Nothing but letters, digits and ``.+_-`` is in a name, whatever its image is called, and none begins with a dot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from headwater.images.model import Image
from headwater.images.retention.families import day_of
from headwater.images.retention.names import dated

_LONGEST: Final = 120  # characters of a name; with the rest it is a file name everywhere
_OTHERS: Final = re.compile(r"[^A-Za-z0-9.+_-]+")
_ID_DIGITS: Final = 8
_FILE: Final = re.compile(r".+_[0-9]{8}\.[0-9]+\.([0-9a-f]{8})\.[a-z0-9.]+")
# What a file is called at its end, where that is not the image's format.
_FORMATS: Final = {"root-tar": "tar"}


def family_name(image: Image) -> str:
    """Return what an image and the others of its family are called, without a date, as a part of paths."""
    return _safe(dated(image.name).name if image.name else "") or "image"


def file_name(image: Image) -> str:
    """Return what the file of an image is called."""
    version = f"{day_of(image):%Y%m%d}.{image.created_at // 1_000_000}.{image.id[:_ID_DIGITS]}"
    return f"{family_name(image)}_{version}.{_ending(image)}"


def by_file_name(images: Iterable[Image]) -> dict[str, Image]:
    """Return images by the names of their files, in the order of these; of two that share one, the older."""
    found: dict[str, Image] = {}
    for image in sorted(images, key=lambda image: (image.created_at, image.id)):
        found.setdefault(file_name(image), image)
    return dict(sorted(found.items()))


def ids_of(name: str) -> tuple[str, str] | None:
    """Return the first and the last id that the image of a file may have; ``None``: no image's file is called so."""
    found = _FILE.fullmatch(name)
    if found is None:
        return None
    return f"{found[1]}-0000-0000-0000-000000000000", f"{found[1]}-ffff-ffff-ffff-ffffffffffff"


def _ending(image: Image) -> str:
    disk, container = image.disk_format or "raw", image.container_format or "bare"
    ending = _FORMATS.get(disk, disk) if container == "bare" else container
    return re.sub(r"[^a-z0-9]+", "", ending.lower()) or "raw"


def _safe(text: str) -> str:
    return _OTHERS.sub("-", text).strip("-._")[:_LONGEST].rstrip("-._")
