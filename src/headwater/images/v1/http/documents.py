"""An image as the JSON object of the API v1."""

from __future__ import annotations

from typing import Any

from headwater.clock import timestamp
from headwater.images.model import Visibility
from headwater.images.v1.deleted import Shown


def brief_document(shown: Shown) -> dict[str, Any]:
    """Return what a short list tells."""
    image = shown.image
    return {
        "id": image.id,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size or 0,
        "checksum": image.checksum,
    }


def image_document(shown: Shown) -> dict[str, Any]:
    """Return all that is told of an image; where its data lies is not."""
    image = shown.image
    return {
        "id": image.id,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size or 0,  # Source: Glance's v1 has no image without a size.
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "status": image.status.value,
        "is_public": image.visibility is Visibility.PUBLIC,
        "protected": image.protected,
        "owner": image.owner,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "created_at": _time(image.created_at),
        "updated_at": _time(image.updated_at),
        "deleted": shown.deleted_at is not None,
        "deleted_at": None if shown.deleted_at is None else _time(shown.deleted_at),
        "properties": dict(image.properties),
    }


def _time(at: int) -> str:
    return timestamp(at).removesuffix("Z")  # v1 writes UTC without saying so
