"""An image as the JSON object of the Compute API."""

from __future__ import annotations

from typing import Any

from headwater.clock import timestamp
from headwater.images.compute_proxy import words
from headwater.images.compute_proxy.http.places import Place
from headwater.images.model import Image


def brief_document(image: Image, place: Place) -> dict[str, Any]:
    """Return what a short list tells."""
    return {"id": image.id, "name": image.name, "links": place.image_links(image.id)}


def image_document(image: Image, place: Place) -> dict[str, Any]:
    """Return all that is told of an image."""
    document: dict[str, Any] = {
        "id": image.id,
        "name": image.name,
        "minRam": image.min_ram,
        "minDisk": image.min_disk,
        "metadata": dict(image.properties),
        "created": timestamp(image.created_at),
        "updated": timestamp(image.updated_at),
        "status": words.status(image),
        "progress": words.progress(image),
        "OS-EXT-IMG-SIZE:size": image.size or 0,
        "links": place.image_links(image.id),
    }
    server = image.properties.get("instance_uuid")
    if server is not None:
        document["server"] = {"id": server, "links": place.links("servers", server)}
    disk_config = words.disk_config(image)
    if disk_config is not None:
        document["OS-DCF:diskConfig"] = disk_config
    return document
