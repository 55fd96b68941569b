"""Images for the tests of the feed, and a source whose content a test changes."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from headwater.images.catalogue.public import Revision
from headwater.images.model import Image, Status, Visibility

NOON = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def image(number: int = 1, *, created: datetime = NOON, updated: datetime | None = None, **changes: Any) -> Image:
    """Return a public, active Ubuntu 24.04 image; ``changes`` are fields of the image, and else properties."""
    fields = {name: value for name, value in changes.items() if name in Image.__dataclass_fields__}
    properties = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
    properties |= {name: value for name, value in changes.items() if name not in fields}
    defaults: dict[str, Any] = {
        "id": str(uuid.UUID(int=number)),
        "created_at": microseconds(created),
        "updated_at": microseconds(updated or created),
        "status": Status.ACTIVE,
        "visibility": Visibility.PUBLIC,
        "disk_format": "qcow2",
        "container_format": "bare",
        "size": 1 << 20,
        "properties": {name: value for name, value in properties.items() if value is not None},
    }
    return Image(**(defaults | fields))


class ListedImages:
    """An image source that is a list; each change is a new revision. It counts how often it was read."""

    def __init__(self, images: Iterable[Image] = ()) -> None:
        self._images = {image.id: image for image in images}
        self._changes: list[set[str]] = []
        self.times_read = 0
        self.forgets = False  # what has changed

    def change_to(self, *images: Image) -> None:
        before, self._images = self._images, {image.id: image for image in images}
        ids = before.keys() | self._images.keys()
        self._changes.append({each for each in ids if before.get(each) != self._images.get(each)})

    def note(self, image_id: str) -> None:
        """Note that what is known of an image has changed."""
        self._changes.append({image_id})

    def revision(self) -> Revision:
        return Revision(len(self._changes), None)

    def everything(self) -> list[Image]:
        self.times_read += 1
        return list(self._images.values())

    def changed(self, since: Revision, until: Revision) -> set[str] | None:
        return None if self.forgets else set().union(*self._changes[since.number : until.number])

    def get(self, image_ids: Collection[str]) -> list[Image]:
        return [self._images[each] for each in image_ids if each in self._images]
