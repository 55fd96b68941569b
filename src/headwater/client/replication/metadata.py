"""What is known of an image, as it goes from one service to another: what is created, and what differs later."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from headwater.client.service import Document

MARK = "replicated_from"  # the property that tells a copy from an image that the target had itself
_ONCE = ("name", "disk_format", "container_format", "min_disk", "min_ram")
_LAST = ("os_hidden", "protected", "visibility")  # set when all else is right
_OF_SERVICE = frozenset(
    {
        *("id", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at"),
        *("updated_at", "self", "file", "schema", "owner", "locations", "direct_url", "stores", "tags", MARK),
    }
)
_FIXED = frozenset({"disk_format", "container_format"})  # not to be changed once there are data


def mark_of(url: str) -> str:
    """Return the mark of copies from this service; its address may be nobody's business at the target."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def creation(source: Document, mark: str, *, keep_owner: bool, smallest: bool) -> Document:
    """Return what the copy is created with.

    Args:
        smallest: Only what cannot be set later.
    """
    made: Document = {"id": source["id"]}
    made |= {key: source[key] for key in _ONCE if source.get(key) is not None}
    if keep_owner and source.get("owner"):
        made["owner"] = source["owner"]
    if smallest:
        return made
    return {**made, **properties(source), MARK: mark, "tags": sorted(source.get("tags") or ())}


def properties(image: Document) -> dict[str, str]:
    """Return what people have said of an image, besides what the API itself knows."""
    return {
        key: value
        for key, value in image.items()
        if isinstance(value, str)
        and key not in _OF_SERVICE
        and key not in _ONCE
        and key not in _LAST
        and not key.startswith("os_glance_")
    }


def changes(source: Document, target: Document) -> list[Document]:
    """Return the operations of a JSON patch that make what is known of ``target`` what is known of ``source``."""
    wanted, found = properties(source), properties(target)
    operations = [
        _put(key, source[key])
        for key in _ONCE
        if key not in _FIXED and source.get(key) is not None and source[key] != target.get(key)
    ]
    if set(source.get("tags") or ()) != set(target.get("tags") or ()):
        operations.append(_put("tags", sorted(source.get("tags") or ())))
    operations += [_put(key, wanted[key]) for key in sorted(wanted) if wanted[key] != found.get(key)]
    operations += [{"op": "remove", "path": _pointer(key)} for key in sorted(found) if key not in wanted]
    operations += [
        _put(key, source[key]) for key in _LAST if source.get(key) is not None and source[key] != target.get(key)
    ]
    return operations


def named(operations: Sequence[Document]) -> list[str]:
    """Return the names of what operations change."""
    return [str(each["path"])[1:].replace("~1", "/").replace("~0", "~") for each in operations]


def marking(mark: str) -> Document:
    """Return the operation that marks a copy."""
    return _put(MARK, mark)


def _put(name: str, value: Any) -> Document:
    return {"op": "add", "path": _pointer(name), "value": value}


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def same_data(source: Document, target: Document) -> tuple[bool, str | None]:
    """Return whether two images have the same data, and the digest that both services tell; none: by size alone."""
    for name, tells in (("os_hash_value", source.get("os_hash_algo")), ("checksum", "md5")):
        one, other = source.get(name), target.get(name)
        if one and other and (name == "checksum" or tells == target.get("os_hash_algo")):
            return one == other, tells
    sizes = source.get("size"), target.get("size")
    return None in sizes or sizes[0] == sizes[1], None
