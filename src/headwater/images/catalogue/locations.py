"""The locations of images as rows: an ordered list for each image, changed with it in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, delete, insert, select

from headwater.database.engine import Database
from headwater.database.tables import image_locations
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.rows import Keep, changed, locked, unheard
from headwater.images.model import Held, Image, ImageLocation, Location

_COLUMNS = (image_locations.c.store, image_locations.c.object_key, image_locations.c.metadata)


def held_by(connection: Connection, image_id: str) -> Held:
    """Return the locations of one image, in their order."""
    query = select(*_COLUMNS).where(image_locations.c.image_id == image_id).order_by(image_locations.c.position)
    return tuple(_location(*row) for row in connection.execute(query))


def keep_held(connection: Connection, image_id: str, before: Held, after: Held) -> list[Location]:
    """Replace the locations of one image, and return those of our own that are left to discard."""
    if after == before:
        return []
    connection.execute(delete(image_locations).where(image_locations.c.image_id == image_id))
    if after:
        rows = [
            {
                "image_id": image_id,
                "position": position,
                "store": each.at.store,
                "object_key": each.at.object_key,
                "metadata": msgspec.json.encode(each.metadata).decode(),
            }
            for position, each in enumerate(after)
        ]
        connection.execute(insert(image_locations), rows)
    staying = {each.at for each in after}
    return [each.at for each in before if each.at not in staying and not each.at.is_external]


def unguarded(_connection: Connection, _image: Image) -> None:
    """Let an image have any number of locations."""


class LocationRows:
    """The locations of all images; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, image_id: str) -> Held:
        """Return the locations of one image, in their order; none also when there is no such image."""
        return self._database.read(lambda connection: held_by(connection, image_id))

    def of_all(self, image_ids: Sequence[str]) -> dict[str, list[ImageLocation]]:
        """Return the locations of each image that has some."""
        table = image_locations
        query = (
            select(table.c.image_id, *_COLUMNS)
            .where(table.c.image_id.in_(image_ids))
            .order_by(table.c.image_id, table.c.position)
        )
        found: dict[str, list[ImageLocation]] = {}
        for image_id, *rest in self._database.read(lambda connection: connection.execute(query).all()):
            found.setdefault(image_id, []).append(_location(*rest))
        return found

    def change(
        self,
        image_id: str,
        change: Callable[[Image, Held], tuple[Image, Held]],
        now: int,
        keep: Keep = unheard,
        grown: Callable[[Connection, Image], None] = unguarded,
    ) -> tuple[Image, list[Location]]:
        """Change an image together with its locations; return it, and what of our own is left to discard.

        Args:
            grown: Raises when the image may not have more locations than it had.

        Raises:
            ImageNotFound: There is no such image.
        """

        def work(connection: Connection) -> tuple[Image, list[Location]]:
            before = held_by(connection, locked(connection, image_id).id)
            kept: list[Held] = []

            def both(image: Image) -> Image:
                after, held = change(image, before)
                kept.append(held)
                return after

            image = changed(connection, image_id, both, keep)
            left = keep_held(connection, image_id, before, kept[-1])
            if len(kept[-1]) > len(before):
                grown(connection, image)
            discard(connection, left, now)
            return image, left

        return self._database.write(work)


def _location(store: str, object_key: str, metadata: str) -> ImageLocation:
    return ImageLocation(at=Location(store, object_key), metadata=msgspec.json.decode(metadata))
