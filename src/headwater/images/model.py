"""What an image is and how it may change: pure rules, no I/O and no clock.

Source of the rules: the Image API of OpenStack (Glance 33), section 4.1 (the object) and section
16.1 (the moves between states).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from headwater.errors import Conflict, Forbidden, Invalid


class Status(StrEnum):
    """Where an image is between its creation and its end."""

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    KILLED = "killed"
    PENDING_DELETE = "pending_delete"
    DELETED = "deleted"


class Visibility(StrEnum):
    """Who sees an image besides its owner."""

    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


MOVES: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.QUEUED: frozenset(
            {Status.SAVING, Status.UPLOADING, Status.IMPORTING, Status.ACTIVE, Status.DELETED},
        ),
        Status.SAVING: frozenset({Status.ACTIVE, Status.KILLED, Status.DELETED, Status.QUEUED}),
        Status.UPLOADING: frozenset({Status.IMPORTING, Status.QUEUED, Status.DELETED}),
        Status.IMPORTING: frozenset({Status.ACTIVE, Status.DELETED, Status.QUEUED}),
        Status.ACTIVE: frozenset({Status.PENDING_DELETE, Status.DELETED, Status.DEACTIVATED}),
        Status.DEACTIVATED: frozenset({Status.ACTIVE, Status.DELETED}),
        Status.KILLED: frozenset({Status.DELETED}),
        Status.PENDING_DELETE: frozenset({Status.DELETED, Status.ACTIVE}),
        Status.DELETED: frozenset(),
    }
)

# Source: Glance answers 403 to a change of format outside these states.
FORMATS_MAY_CHANGE = frozenset({Status.QUEUED, Status.IMPORTING})


class StatusConflict(Conflict):
    """An image may not move between these two states."""

    def __init__(self, image_id: str, now: str, wanted: str) -> None:
        super().__init__(f"Image status transition from {now} to {wanted} is not allowed (image {image_id})")
        self.image_id, self.now, self.wanted = image_id, now, wanted


class ImageProtected(Forbidden):
    """A protected image is not deleted, whoever asks."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image {image_id} is protected and cannot be deleted.")
        self.image_id = image_id


class FormatsMissing(Invalid):
    """Data comes before anybody said what it is."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"Property {' and '.join(names)} must be set prior to saving data.")
        self.names = names


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One catalogue entry. A change makes a new Image; the old one stays as it was."""

    id: str  # lower-case UUID
    created_at: int  # microseconds since 1970, UTC; never changes
    updated_at: int
    name: str | None = None
    status: Status = Status.QUEUED
    visibility: Visibility = Visibility.SHARED
    os_hidden: bool = False
    protected: bool = False
    owner: str | None = None  # project id
    disk_format: str | None = None
    container_format: str | None = None
    size: int | None = None  # bytes; None until the data has arrived
    virtual_size: int | None = None  # bytes of the disk that a guest sees
    checksum: str | None = None  # MD5, hex
    os_hash_algo: str | None = None
    os_hash_value: str | None = None  # hex
    min_ram: int = 0  # MiB
    min_disk: int = 0  # GiB
    tags: tuple[str, ...] = ()  # in the order they were set, no duplicates
    properties: Mapping[str, str] = field(default_factory=dict)  # what users add: the flat keys of the API
    revision: int = 0  # grows by one with each change; a change names the one that it expects

    def moved_to(self, status: Status) -> Image:
        """Return this image in ``status``.

        Raises:
            StatusConflict: The Image API has no move from the present status to ``status``.
        """
        if status not in MOVES[self.status]:
            raise StatusConflict(self.id, self.status, status)
        if status is Status.QUEUED:
            return replace(self, status=status, size=None, virtual_size=None)
        return replace(self, status=status)

    def still_staged(self) -> Image:
        """Return this image waiting for another import of what is staged, after one failed: a move of ours alone."""
        return replace(self, status=Status.UPLOADING)

    def without_data(self) -> Image:
        """Return this image waiting again, as all that its only location holds was refused.

        That is no move that callers could make: they have got nothing of an image whose data was never found right.
        """
        unsized = replace(self, status=Status.QUEUED, size=None, virtual_size=None)
        return replace(unsized, checksum=None, os_hash_algo=None, os_hash_value=None)

    def require_formats(self) -> None:
        """Raise ``FormatsMissing`` when nobody has said what the data will be."""
        missing = [name for name in ("disk_format", "container_format") if getattr(self, name) is None]
        if missing:
            raise FormatsMissing(missing)

    def require_deletable(self) -> None:
        """Raise ``ImageProtected`` when nobody may delete this image."""
        if self.protected:
            raise ImageProtected(self.id)


@dataclass(frozen=True, slots=True)
class Location:
    """Where bytes of an image lie."""

    store: str
    object_key: str  # of an external location its URL

    @property
    def is_external(self) -> bool:
        """The bytes belong to others, who said where they are: they are read, and never removed."""
        return "://" in self.object_key  # no store takes such a key for an object of its own


# What was found when data was read whole.
RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLocation:
    """One of the places where an image's data is, and what users say of it."""

    at: Location
    metadata: Mapping[str, Any] = field(default_factory=dict)
    verdict: str | None = None  # RIGHT, WRONG or why it is refused; None: nobody has read all of it yet


Held = tuple[ImageLocation, ...]  # in the order in which callers see them
