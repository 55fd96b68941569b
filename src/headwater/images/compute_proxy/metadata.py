"""The metadata of an image, as the Compute API has it: its properties, changed one by one or all at once.

Who may do what is told by the use cases of the Image API, which carry every change out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headwater.errors import Forbidden, Invalid, NotFound
from headwater.identity.caller import Caller
from headwater.images import attributes
from headwater.images.attributes import Operation
from headwater.images.model import Image
from headwater.images.service import Images

# Source: the schema that Nova holds the keys of metadata against.
_KEY = re.compile(r"[A-Za-z0-9_:. -]{1,255}")


class BadMetadata(Invalid):
    """A body that holds no metadata."""


class ItemNotFound(NotFound):
    """The image has no metadata under this key."""

    def __init__(self, image_id: str, key: str) -> None:
        super().__init__(f"Invalid metadata key: image {image_id} has no {key[:80]!r}")
        self.image_id, self.key = image_id, key


class MetadataOverLimit(Forbidden):
    """The image would have more items than one may have."""

    def __init__(self, error: attributes.QuotaExceeded) -> None:
        super().__init__(f"Image metadata limit exceeded: {error.attempted} items, and {error.limit} at most are taken")


class Metadata:
    """The use cases; safe to use from several threads."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def all(self, caller: Caller, image_id: str) -> Mapping[str, str]:
        """Return all items, or raise ``ImageNotFound``."""
        return self._images.get(caller, image_id).properties

    def item(self, caller: Caller, image_id: str, key: str) -> str:
        """Return what is under ``key``, or raise ``ImageNotFound`` or ``ItemNotFound``."""
        found = self.all(caller, image_id).get(key)
        if found is None:
            raise ItemNotFound(image_id, key)
        return found

    def merge(self, caller: Caller, image_id: str, items: Mapping[str, str]) -> Mapping[str, str]:
        """Set some items, leave the others as they are, and return all.

        Raises:
            ImageNotFound, Forbidden: The image is not there for the caller, or not its to change.
            MetadataOverLimit: It would have too many.
        """
        return self._changed(caller, image_id, [Operation("add", key, value) for key, value in items.items()])

    def replace(self, caller: Caller, image_id: str, items: Mapping[str, str]) -> Mapping[str, str]:
        """Make ``items`` all that there are, and return them; raises as ``merge`` does.

        What Headwater itself notes of the image stays.

        Raises:
            PropertyMissing: Somebody else removed an item meanwhile.
        """
        image = self._images.get(caller, image_id)
        gone = [key for key in image.properties if key not in items and not _is_kept(key)]
        operations = [Operation("remove", key) for key in gone]
        operations += [
            Operation("add", key, value) for key, value in items.items() if image.properties.get(key) != value
        ]
        return self._changed(caller, image_id, operations)

    def remove(self, caller: Caller, image_id: str, key: str) -> None:
        """Take one item away, or raise as ``merge`` does, or ``ItemNotFound``."""
        self.item(caller, image_id, key)
        self._changed(caller, image_id, [Operation("remove", key)])

    def _changed(self, caller: Caller, image_id: str, operations: list[Operation]) -> Mapping[str, str]:
        for operation in operations:
            if not attributes.is_property(operation.name):
                raise BadMetadata(
                    f"{operation.name!r} is an attribute of every image and no metadata: change it with the Image API"
                )
        try:
            after: Image = self._images.patch(caller, image_id, operations)
        except attributes.QuotaExceeded as error:
            raise MetadataOverLimit(error) from error
        return after.properties


def read_all(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the items of ``{"metadata": {KEY: VALUE}}``, or raise ``BadMetadata``."""
    return _read(document, "metadata")


def read_item(document: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return the one item of ``{"meta": {KEY: VALUE}}``, or raise ``BadMetadata``."""
    found = _read(document, "meta")
    if len(found) != 1:
        raise BadMetadata('Invalid input for field/attribute meta: it holds one item, {"meta": {"KEY": "VALUE"}}')
    if key not in found:
        raise BadMetadata("Request body and URI mismatch: both name the same key")
    return found


def _read(document: Mapping[str, Any], name: str) -> dict[str, str]:
    found = document.get(name)
    if not isinstance(found, dict) or len(document) != 1:
        raise BadMetadata(f'Invalid input: the body is {{"{name}": {{"KEY": "VALUE"}}}} and nothing else')
    for key, value in found.items():
        if not _KEY.fullmatch(key):
            raise BadMetadata(
                f"Invalid input for field/attribute {name}: the key {key[:40]!r} is not 1 to 255 letters, digits, "
                "spaces, '-', '_', ':' and '.'"
            )
        if not isinstance(value, str):
            raise BadMetadata(f"Invalid input for field/attribute {key[:80]}: its value is a text")
    return found


def _is_kept(key: str) -> bool:
    return key.startswith(attributes.RESERVED_PREFIX)
