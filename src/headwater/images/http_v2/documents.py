"""An image as the JSON object of the Image API v2."""

from __future__ import annotations

from typing import Any

from headwater.clock import timestamp
from headwater.images.model import Image


def image_document(image: Image) -> dict[str, Any]:
    """Return the flat object: the user's properties first, then the base attributes."""
    path = f"/v2/images/{image.id}"
    return {
        **image.properties,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "status": image.status,
        "checksum": image.checksum,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner,
        "os_hidden": image.os_hidden,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "id": image.id,
        "created_at": timestamp(image.created_at),
        "updated_at": timestamp(image.updated_at),
        "tags": image.tags,
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }
