"""What is found when a store is held against the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong with an object."""

    ORPHAN = "orphan"  # no row names it
    MISSING = "missing"  # a row names it, and it is not there
    DAMAGED = "damaged"  # it is not what its image is


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One object with which something is wrong."""

    store: str
    kind: Kind
    object_key: str
    image_id: str | None  # ``None``: the key is none that images have
    size: int | None  # bytes: of what lies there, or of what is missing
    reason: str
    removed: bool = False
