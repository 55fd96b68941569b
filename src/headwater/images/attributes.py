"""What callers may say of an image, at its creation and by patches: pure rules.

The API shows an image as one flat object: base attributes and the user's own properties side by side.
``writable`` gives the part of it that callers may set, ``with_writable`` takes it back.
Source: Glance 33 as it answers; RFC 6902 for the JSON patch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headwater.errors import Conflict, Forbidden, Invalid, TooLarge
from headwater.images.model import FORMATS_MAY_CHANGE, Image, Visibility

WRITABLE = (
    "name",
    "disk_format",
    "container_format",
    "visibility",
    "protected",
    "min_ram",
    "min_disk",
    "owner",
    "os_hidden",
    "tags",
)
VALUE_LIMIT = 64 << 10  # bytes of one property's value. Source: what Glance's column holds on MySQL
PROPERTIES_LIMIT = 1 << 20  # bytes of the names and values of all properties of one image
OPERATION_LIMIT = 1000  # of one patch; clients send one for each attribute that changes
READ_ONLY = frozenset(
    {
        "status",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "created_at",
        "updated_at",
        "direct_url",
        "self",
        "file",
        "schema",
        "stores",
    }
)
RESERVED = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance"
_BASE = frozenset(WRITABLE) | READ_ONLY | RESERVED | {"id", "locations"}


class ReadOnlyAttribute(Forbidden):
    """Headwater sets this attribute itself."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Attribute '{name}' is read-only.")
        self.name = name


class ReservedAttribute(Forbidden):
    """A name that users may not give to a property."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Attribute '{name}' is reserved.")
        self.name = name


class AttributeNotRemovable(Forbidden):
    """Every image has this attribute; it can be replaced, not removed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Property {name} may not be removed.")
        self.name = name


class FormatFixed(Forbidden):
    """The format belongs to data that is there already."""

    def __init__(self, name: str, status: str) -> None:
        super().__init__(f"Attribute {name} can be only replaced for a queued image; this image is {status}.")
        self.name = name


class PropertyMissing(Conflict):
    """A patch replaces or removes a property that the image does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Property {name} does not exist.")
        self.name = name


class PropertyExists(Conflict):
    """A patch of the older media type adds a property that the image has already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Property {name} already present.")
        self.name = name


class LocationsInvisible(Forbidden):
    """Locations are not shown, so they cannot be set."""

    def __init__(self) -> None:
        super().__init__("It's not allowed to add, replace or remove locations if locations are invisible.")


class QuotaExceeded(TooLarge):
    """More of something than one image may have."""

    def __init__(self, what: str, attempted: int, limit: int) -> None:
        super().__init__(
            f"The limit has been exceeded on the number of allowed image {what}. "
            f"Attempted: {attempted}, Maximum: {limit}"
        )
        self.what, self.attempted, self.limit = what, attempted, limit


class PropertyTooLarge(TooLarge):
    """A property's value is longer than one may be."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(f"Property {name[:80]!r} would hold {size} bytes; {VALUE_LIMIT} is the most of one property")
        self.name, self.size = name, size


class PropertiesTooLarge(TooLarge):
    """The properties of one image are too large together."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The names and values of the image's properties would hold {size} bytes; "
            f"{PROPERTIES_LIMIT} is the most of one image"
        )
        self.size = size


class TooManyOperations(TooLarge):
    """A patch of more steps than one may have."""

    def __init__(self, count: int) -> None:
        super().__init__(f"A patch has {OPERATION_LIMIT} operations at most, not {count}: send several")
        self.count = count


class BadPatch(Invalid):
    """A patch document that says nothing that could be done."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a patch."""

    op: str  # add, replace or remove
    name: str
    value: Any = None
    strict: bool = False  # "add" does not overwrite (the v2.0 media type)
    position: str | None = None  # of a location: its place in the list, or "-" for the end


def is_property(name: str) -> bool:
    """Return whether ``name`` is a property that users add, and no attribute that every image has."""
    return name not in _BASE


def require_free(name: str) -> None:
    """Raise unless callers may set the attribute or property ``name``."""
    if name in READ_ONLY:
        raise ReadOnlyAttribute(name)
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise ReservedAttribute(name)


def writable(image: Image) -> dict[str, Any]:
    """Return what callers may set, as the flat object of the API."""
    document: dict[str, Any] = dict(image.properties)
    document.update({name: getattr(image, name) for name in WRITABLE})
    document["visibility"] = image.visibility.value
    document["tags"] = list(image.tags)
    return document


def with_writable(image: Image, document: Mapping[str, Any]) -> Image:
    """Return ``image`` with what ``document`` (checked against the schema) says."""
    base = {name: document[name] for name in WRITABLE if name in document}
    if "visibility" in base:
        base["visibility"] = Visibility(base["visibility"])
    if "tags" in base:
        base["tags"] = tuple(dict.fromkeys(base["tags"]))
    properties = {name: value for name, value in document.items() if name not in _BASE}
    return replace(image, **base, properties=properties)


def patched(image: Image, document: dict[str, Any], operation: Operation) -> None:
    """Carry out one operation on ``document``, the flat object of ``image``.

    Raises:
        ReadOnlyAttribute, ReservedAttribute, AttributeNotRemovable, FormatFixed, LocationsInvisible:
            The attribute is not the caller's to change, or not now.
        PropertyMissing, PropertyExists: The property is not as the operation expects.
    """
    name = operation.name
    if name == "locations":
        raise LocationsInvisible
    if name == "id":
        raise ReadOnlyAttribute(name)
    require_free(name)
    if name in WRITABLE:
        if operation.op == "remove":
            raise AttributeNotRemovable(name)
        if name in ("disk_format", "container_format") and image.status not in FORMATS_MAY_CHANGE:
            raise FormatFixed(name, image.status)
    elif operation.op != "add" and name not in document:
        raise PropertyMissing(name)
    elif operation.op == "add" and operation.strict and name in document:
        raise PropertyExists(name)
    if operation.op == "remove":
        del document[name]
    else:
        document[name] = operation.value


def require_quotas(before: Image | None, after: Image, *, properties: int, tags: int) -> None:
    """Raise ``QuotaExceeded`` when ``after`` has more than the limits allow and more than ``before`` had.

    A limit of -1 is none.

    Raises:
        PropertyTooLarge, PropertiesTooLarge: The same of the bytes that properties hold.
    """
    had = before.properties if before else {}
    counted = [name for name in after.properties if not name.startswith(RESERVED_PREFIX)]
    if -1 < properties < len(counted) and any(name not in had for name in counted):
        raise QuotaExceeded("properties", len(counted), properties)
    had_tags = before.tags if before else ()
    if -1 < tags < len(after.tags) and len(after.tags) > len(had_tags):
        raise QuotaExceeded("tags", len(after.tags), tags)
    _require_sizes(had, after.properties)


def _require_sizes(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    if after == before:
        return
    for name, value in after.items():
        if value != before.get(name) and (size := len(value.encode())) > VALUE_LIMIT:
            raise PropertyTooLarge(name, size)
    size = _size(after)
    if size > PROPERTIES_LIMIT and size > _size(before):
        raise PropertiesTooLarge(size)


def _size(properties: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in properties.items())


# --- The two forms of a patch ---------------------------------------------------------------------

V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"

_OPS = ("add", "remove", "replace")


def operations(media_type: str, body: Any) -> list[Operation]:
    """Read a patch document.

    Args:
        media_type: ``V21`` (``{"op": "add", "path": "/x", "value": …}``) or ``V20``
            (``{"add": "/x", "value": …}``).

    Raises:
        BadPatch: It is not a list of operations that exist, on paths that an image has.
        TooManyOperations: There are more than ``OPERATION_LIMIT``.
    """
    if not isinstance(body, list):
        raise BadPatch("Request body must be a JSON array of operation objects.")
    if len(body) > OPERATION_LIMIT:
        raise TooManyOperations(len(body))
    return [_operation(media_type, each) for each in body]


def _operation(media_type: str, raw: Any) -> Operation:
    if not isinstance(raw, dict):
        raise BadPatch("Operations must be JSON objects.")
    if media_type == V21:
        op, path = raw.get("op"), raw.get("path")
        if op is None:
            raise BadPatch('Unable to find "op" in the JSON Schema change: each operation needs "op" and "path".')
    else:
        op = next((name for name in ("add", "replace", "remove", "move", "copy", "test") if name in raw), None)
        if op is None:
            raise BadPatch("Operation objects must contain exactly one member named add, replace or remove.")
        path = raw[op]
    if op not in _OPS:
        raise BadPatch(f"Invalid operation: `{str(op)[:40]}`. It must be one of the following: {', '.join(_OPS)}.")
    if op != "remove" and "value" not in raw:
        raise BadPatch(f'Operation "{op}" requires a member named "value".')
    name, position = _pointed(op, path)
    return Operation(op, name, raw.get("value"), strict=media_type == V20, position=position)


def _pointed(op: str, path: Any) -> tuple[str, str | None]:
    """Return the name that a JSON pointer points to, and in the list of locations the place too."""
    if not isinstance(path, str):
        raise BadPatch('Each operation needs a member named "path" that is a string.')
    shown = path[:80]
    if not path.startswith("/"):
        raise BadPatch(f"Pointer `{shown}` does not start with '/'.")
    if "//" in path or path.endswith("/"):
        raise BadPatch(f"Pointer `{shown}` contains an empty part; name one attribute, as in /name.")
    if re.search(r"~(?![01])", path):
        raise BadPatch(f"Pointer `{shown}` contains '~' that is not part of '~0' (~) or '~1' (/).")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    # Source: Glance takes single locations to add and remove, and the whole list to replace.
    depth = 2 if parts[0] == "locations" and op != "replace" else 1
    if len(parts) != depth:
        example = "/locations/-" if depth == 2 else "/name"
        raise BadPatch(f"Invalid JSON pointer for this resource: '{shown}'; name one attribute, as in {example}.")
    return parts[0], parts[1] if depth == 2 else None
