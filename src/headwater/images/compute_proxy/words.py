"""What the Compute API says of an image in words and numbers of its own: pure rules.

Source: the reference of the Compute API v2.1, its images; Nova up to microversion 2.35.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headwater.images.model import Image, Status

UNKNOWN = "UNKNOWN"
_WORDS: Mapping[Status, str] = MappingProxyType(
    {
        Status.QUEUED: "SAVING",
        Status.SAVING: "SAVING",
        Status.ACTIVE: "ACTIVE",
        Status.KILLED: "ERROR",
        Status.PENDING_DELETE: "DELETED",
        Status.DELETED: "DELETED",
    }
)
_PROGRESS: Mapping[Status, int] = MappingProxyType({Status.QUEUED: 25, Status.SAVING: 50, Status.ACTIVE: 100})
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})


def status(image: Image) -> str:
    """Return ``ACTIVE``, ``SAVING``, ``DELETED``, ``ERROR`` or ``UNKNOWN``."""
    return _WORDS.get(image.status, UNKNOWN)


def progress(image: Image) -> int:
    """Return how far the image has come, in percent."""
    return _PROGRESS.get(image.status, 0)


def statuses(word: str) -> tuple[str, ...]:
    """Return the states of the Image API that a word in a filter means, in any case; nothing for no such word.

    The words of the Image API itself are taken too, as Nova passed them on.
    """
    wanted = word.upper()
    meant = tuple(each.value for each in Status if _WORDS.get(each, UNKNOWN) == wanted)
    return meant or tuple(each.value for each in Status if each.value == word.lower())


def disk_config(image: Image) -> str | None:
    """Return ``AUTO`` or ``MANUAL``, as the image says whether its partition grows; ``None`` if it does not say."""
    said = image.properties.get("auto_disk_config")
    if said is None:
        return None
    return "AUTO" if said.strip().lower() in _TRUE else "MANUAL"
