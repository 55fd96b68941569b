"""The locations of images as rows: an ordered list for each image, changed with it in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from headwater.database.engine import Database
from headwater.database.tables import image_locations
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.rows import locked, replaced
from headwater.images.catalogue.transaction import Step, Transaction
from headwater.images.model import Held, Image, ImageLocation, Location

_COLUMNS = (
    image_locations.c.store,
    image_locations.c.object_key,
    image_locations.c.metadata,
    image_locations.c.verdict,
)
_LONGEST = 1024  # characters of a verdict


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


# --- Steps of changes -----------------------------------------------------------------------------


def changed(
    image_id: str, change: Callable[[Image, Held], tuple[Image, Held]], now: int
) -> Step[tuple[Image, list[Location]]]:
    """Change an image together with its locations; return it, and what of our own is left to discard.

    Raises:
        ImageNotFound: There is no such image.
    """

    def step(transaction: Transaction) -> tuple[Image, list[Location]]:
        connection = transaction.connection
        image = locked(transaction, image_id)
        held = held_by(connection, image_id)
        changed, held_after = change(image, held)
        after = replaced(transaction, image, changed)
        left = _keep(connection, image_id, held, held_after)
        if len(held_after) > len(held):
            transaction.grew(after.owner, "image_size_total")
        discard(connection, left, now)
        return after, left

    return step


def given(image_id: str, held: Held) -> Step[None]:
    """Give locations to an image that has none, in the transaction that creates or changes it."""

    def step(transaction: Transaction) -> None:
        _keep(transaction.connection, image_id, (), held)

    return step


def held_by(connection: Connection, image_id: str) -> Held:
    """Return the locations of one image, in their order."""
    query = select(*_COLUMNS).where(image_locations.c.image_id == image_id).order_by(image_locations.c.position)
    return tuple(_location(*row) for row in connection.execute(query))


def _keep(connection: Connection, image_id: str, before: Held, after: Held) -> list[Location]:
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
                "verdict": each.verdict,
            }
            for position, each in enumerate(after)
        ]
        connection.execute(insert(image_locations), rows)
    staying = {each.at for each in after}
    return [each.at for each in before if each.at not in staying and not each.at.is_external]


def judge(connection: Connection, image_id: str, at: Location, verdict: str) -> None:
    """Note what was found when the data at a location was read whole."""
    table = image_locations.c
    here = (table.image_id == image_id, table.store == at.store, table.object_key == at.object_key)
    connection.execute(update(image_locations).where(*here).values(verdict=verdict[:_LONGEST]))


def _location(store: str, object_key: str, metadata: str, verdict: str | None) -> ImageLocation:
    return ImageLocation(at=Location(store, object_key), metadata=msgspec.json.decode(metadata), verdict=verdict)
