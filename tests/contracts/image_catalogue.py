"""Images for tests of the catalogue, and what is done to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contracts.unheard import UnheardImages
from headwater.images.catalogue.upload_records import Upload
from headwater.images.model import Image, Location, Status

NOON = 1_700_000_000_000_000
SECOND = 1_000_000

# Text that a language's order, folding of case or padding would mix up.
EXACT = ("a", "A", "a ", " a", "ä", "a\u0308", "Ä", "ß", "ss", "z", "_", "%", "\\", "'", '"', "😀", "\ufb01", "fi")


def an_image(name: str | None = None, **fields: Any) -> Image:
    """Return an image with a new id."""
    given: dict[str, Any] = {"id": str(uuid.uuid4()), "created_at": NOON, "updated_at": NOON, "name": name, **fields}
    return Image(**given)


def add(catalogue: UnheardImages, *images: Image) -> None:
    """Keep new images."""
    for image in images:
        catalogue.create(image, fresh_id=True)


def renamed(name: str) -> Callable[[Image], Image]:
    """Return a change of name."""
    return lambda image: replace(image, name=name)


def moved(status: Status, **fields: Any) -> Callable[[Image], Image]:
    """Return a change of status."""
    return lambda image: replace(image.moved_to(status), **fields)


def anything(_image: Image) -> None:
    """Allow the deletion of any image."""


def an_upload(image: Image) -> Upload:
    """Return an upload to ``image`` at a place of its own."""
    return Upload(image.id, Location("file", f"{image.id}.{uuid.uuid4().hex[:8]}"), "somebody", NOON)
