"""The locations of images on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages, UnheardLocations
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Held, Image, ImageLocation, Location

LONG = "https://images.example/" + "x" * 1000
OWN = ImageLocation(at=Location("file", "key.1"))
WEB = ImageLocation(at=Location("web", LONG), metadata={"ä": ["\x00", {"b": None}]})
THIRD = ImageLocation(at=Location("web", "http://images.example/3"))


@pytest.fixture
def image(database: Database) -> Image:
    image = an_image()
    add(UnheardImages(database), image)
    return image


def holds(database: Database, image: Image, *locations: ImageLocation) -> tuple[Image, list[Location]]:
    """Give the image these locations."""

    def change(before: Image, _held: Held) -> tuple[Image, Held]:
        return replace(before, updated_at=before.updated_at + 1), locations

    return UnheardLocations(database).change(image.id, change, NOON)


def test_locations_are_kept_in_their_order_with_what_is_said_of_them(database: Database, image: Image) -> None:
    rows = UnheardLocations(database)
    assert rows.of(image.id) == ()
    for order in ((OWN, WEB), (WEB, THIRD, OWN), (THIRD, OWN)):
        changed, _ = holds(database, image, *order)
        assert rows.of(image.id) == order
        assert rows.of_all([image.id, "absent"]) == {image.id: list(order)}
        assert UnheardImages(database).get(image.id) == changed


def test_our_own_bytes_are_looked_for_first(database: Database, image: Image) -> None:
    holds(database, image, WEB, OWN, THIRD)
    assert UnheardImages(database).locations(image.id) == [OWN.at, WEB.at, THIRD.at]


def test_only_our_own_bytes_are_discarded(database: Database, image: Image) -> None:
    holds(database, image, WEB, OWN, THIRD)
    _, left = holds(database, image, THIRD)
    assert left == [OWN.at]
    assert DiscardedObjectRows(database).oldest(10) == [OWN.at]
    _, left = holds(database, image, THIRD, ImageLocation(at=Location("file", "key.2")))
    assert left == []
    left = UnheardImages(database).delete(image.id, lambda _image: None, NOON)
    assert left == [Location("file", "key.2")]
    assert set(DiscardedObjectRows(database).oldest(10)) == {OWN.at, Location("file", "key.2")}
    assert UnheardLocations(database).of(image.id) == ()


def test_a_change_that_is_refused_changes_nothing(database: Database, image: Image) -> None:
    holds(database, image, WEB)
    before = UnheardImages(database).get(image.id)

    def refuse(_image: Image, _held: Held) -> tuple[Image, Held]:
        raise ImageNotFound(image.id)

    with pytest.raises(ImageNotFound):
        UnheardLocations(database).change(image.id, refuse, NOON)
    assert (UnheardLocations(database).of(image.id), UnheardImages(database).get(image.id)) == ((WEB,), before)
    with pytest.raises(ImageNotFound):
        UnheardLocations(database).change("absent", lambda image, held: (image, held), NOON)
