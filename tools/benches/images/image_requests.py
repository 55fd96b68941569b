"""Images made through the API, for the benches that need some."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from tools.benches.measuring.connection import Address, Connection


def create(address: Address, name: str = "bench") -> str:
    """Make an image that waits for data; return its id.

    No feed lists it: of a public image the server reads the data once more, beside what is measured, to tell feeds its
    SHA-256.
    """
    document = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "private"}
    with contextlib.closing(Connection(address)) as connection:
        return str(msgspec.json.decode(connection.call("POST", "/v2/images", document, expected=201))["id"])


def show(address: Address, image_id: str) -> dict[str, Any]:
    """Return the image as the API shows it."""
    with contextlib.closing(Connection(address)) as connection:
        found: dict[str, Any] = msgspec.json.decode(connection.get(path(image_id)))
        return found


def delete(address: Address, image_id: str) -> None:
    """Remove the image and its data."""
    with contextlib.closing(Connection(address)) as connection:
        connection.call("DELETE", path(image_id), expected=204)


def path(image_id: str) -> str:
    return f"/v2/images/{image_id}"


def data(image_id: str) -> str:
    return f"/v2/images/{image_id}/file"
