"""An Image service in memory, of which a test decides at which call a run is killed."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from headwater.errors import HeadwaterError
from headwater.streams.syncing.targets.target import Document, ImageVanished, Pieces, UseUnknown


class Killed(BaseException):
    """The process is gone."""


class MemoryTarget:
    """Images by id; ``calls`` says what was done to them, ``dies_at`` before which of these calls a run is killed."""

    place = "memory"

    def __init__(self) -> None:
        self.images: dict[str, Document] = {}
        self.data: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.dies_at: int | None = None
        self.dies_after = False  # what was asked for has been done, and nobody heard the answer
        self.converts_to: str | None = None
        self.offered: Sequence[str] = ("glance-direct", "web-download")
        self.users: dict[str, str] = {}  # by the id of an image
        self.knows_uses = True
        self.fails: dict[str, HeadwaterError] = {}  # by the name of a call
        self.verifies = False
        self.fetch: Callable[[str], bytes] | None = None
        self._ids = itertools.count(1)
        self._times = itertools.count(1)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.dies_at is not None and len(self.calls) == self.dies_at and not self.dies_after:
            raise Killed
        if name in self.fails:
            raise self.fails[name]

    def _answered(self) -> None:
        if self.dies_at is not None and len(self.calls) == self.dies_at and self.dies_after:
            raise Killed

    def images_of(self, content_id: str) -> Iterator[Document]:
        yield from [dict(each) for each in self.images.values() if each.get("content_id") == content_id]

    def get(self, image_id: str) -> Document | None:
        found = self.images.get(image_id)
        return None if found is None else dict(found)

    def create(self, document: Document, key: str) -> Document:
        self._called("create")
        image_id = f"00000000-0000-4000-8000-{next(self._ids):012}"
        moment = f"2026-01-01T00:00:{next(self._times) % 60:02}Z"
        made = {"os_hidden": False, "protected": False, "owner": None, "size": None, "checksum": None, **document}
        made |= {"id": image_id, "status": "queued", "created_at": moment, "updated_at": moment}
        self.images[image_id] = made
        self._answered()
        return dict(made)

    def upload(self, image_id: str, size: int, hashes: Mapping[str, str], pieces: Pieces) -> None:
        self._called("upload")
        self._take(image_id, size, pieces)
        self._activate(image_id)
        self._answered()

    def stage(self, image_id: str, size: int, pieces: Pieces) -> None:
        self._called("stage")
        self._take(image_id, size, pieces)
        self._image(image_id)["status"] = "uploading"
        self._answered()

    def _take(self, image_id: str, size: int, pieces: Pieces) -> None:
        image, received = self._image(image_id), b""
        assert image["status"] == "queued", image
        for piece in pieces():
            received += piece
        assert len(received) == size
        self.data[image_id] = received

    def begin_import(self, image_id: str, method: Document) -> None:
        self._called("import")
        if method["name"] == "web-download":
            assert self.fetch is not None
            self.data[image_id] = self.fetch(method["uri"])
        self._activate(image_id)
        if self.converts_to is not None:
            self._image(image_id)["disk_format"] = self.converts_to
        self._answered()

    def _activate(self, image_id: str) -> None:
        data = self.data[image_id]
        self._image(image_id).update(
            status="active",
            size=len(data),
            checksum=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            os_hash_algo="sha512",
            os_hash_value=hashlib.sha512(data).hexdigest(),
        )

    def why_failed(self, image_id: str) -> str | None:
        return None

    def methods(self) -> Sequence[str]:
        return self.offered

    def verifies_fetches(self) -> bool:
        return self.verifies

    def change(self, image_id: str, operations: Sequence[Document]) -> Document:
        self._called("change")
        image = self._image(image_id)
        for each in operations:
            name = each["path"][1:].replace("~1", "/").replace("~0", "~")
            if each["op"] == "remove":
                del image[name]
            else:
                image[name] = each["value"]
        self._answered()
        return dict(image)

    def deactivate(self, image_id: str) -> None:
        self._called("deactivate")
        self._image(image_id)["status"] = "deactivated"

    def delete(self, image_id: str) -> None:
        self._called("delete")
        self.images.pop(image_id, None)
        self.data.pop(image_id, None)
        self._answered()

    def user_of(self, image: Document, used_days: int) -> str | None:
        if not self.knows_uses:
            raise UseUnknown("nobody says")
        return self.users.get(image["id"])

    def _image(self, image_id: str) -> dict[str, Any]:
        if image_id not in self.images:
            raise ImageVanished(image_id)
        return self.images[image_id]

    def shown(self) -> list[tuple[str, str, str, bool]]:
        """Return product, version, status and whether it is hidden, of all images."""
        return sorted(
            (each["product_name"].split(":", 1)[1], each["version_name"], each["status"], each["os_hidden"])
            for each in self.images.values()
        )
