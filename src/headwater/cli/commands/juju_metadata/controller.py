"""The records of images that Juju keeps in a controller: here they are rows of the catalogue."""

from __future__ import annotations

import os
from dataclasses import replace

from headwater.cli import options
from headwater.cli.commands.juju_metadata.words import CommandFailed
from headwater.cli.commands.streams.juju import records
from headwater.streams.lookup.images import FoundImage
from headwater.streams.lookup.search import CUSTOM
from headwater.streams.lookup.search_path import CUSTOM_CLOUD


def add(image: FoundImage) -> tuple[int, int]:
    """Keep the record of an image; return how many are new, and how many changed the id of one that was there.

    Raises:
        CommandFailed: As Juju says it.
    """
    record = replace(image, region=image.region or _only_region(), source=CUSTOM, priority=CUSTOM_CLOUD)
    lacks = next((name for name in ("region", "version", "arch", "stream") if not getattr(record, name)), None)
    if lacks:
        raise CommandFailed(f"missing {lacks}: metadata for image {image.id} not valid")
    with records.opened() as rows:
        return rows.add([record])


def delete(image_id: str) -> int:
    """Remove every record of an image, and return how many there were."""
    if not any(record.id == image_id for record in records.known()):
        return 0
    with records.opened() as rows:
        return rows.delete(image_id)


def _only_region() -> str:
    """Return the region of the model, as far as one can be told."""
    clouds = options.sources().load().settings.streams.clouds
    return os.environ.get("OS_REGION_NAME", "") or (clouds[0].region if len(clouds) == 1 else "")
