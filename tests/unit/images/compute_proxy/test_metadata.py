from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages
from headwater.database.engine import Database
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.attributes import PropertyMissing
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.images import changed
from headwater.images.compute_proxy.metadata import BadMetadata, ItemNotFound, Metadata, MetadataOverLimit
from headwater.images.data.scrubber import Scrubber
from headwater.images.model import Image
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from unit.clock import Clock


class House:
    def __init__(self, database: Database, catalogue: UnheardImages, clock: Clock) -> None:
        access = Access(catalogue, EveryoneMay())
        self.changes = Changes(database, access)
        settings = ImagesSettings(property_quota=3)
        self.images = Images(access, self.changes, Scrubber(DiscardedObjectRows(database), {}), settings, clock=clock)
        self.items = Metadata(self.images)

    def noted(self, image: Image, name: str, value: str) -> None:
        """Let Headwater itself note something of an image."""
        with self.changes.told(OPERATOR, "image.update", image.id) as change:
            change.commit(changed(image.id, lambda now: replace(now, properties={**now.properties, name: value})))


@pytest.fixture
def house(database: Database, catalogue: UnheardImages, clock: Clock) -> House:
    return House(database, catalogue, clock)


def test_what_headwater_notes_stays_when_all_metadata_is_replaced(house: House) -> None:
    image = house.images.create(OPERATOR, {"a": "1", "b": "2"})
    house.noted(image, "os_glance_failed_import", "far")
    after = house.items.replace(OPERATOR, image.id, {"b": "3", "c": "4"})
    assert after == {"b": "3", "c": "4", "os_glance_failed_import": "far"}


def test_a_change_is_done_whole_or_not_at_all(house: House) -> None:
    image = house.images.create(OPERATOR, {"a": "1"})
    with pytest.raises(MetadataOverLimit, match="4 items, and 3 at most"):
        house.items.merge(OPERATOR, image.id, {"b": "2", "c": "3", "d": "4"})
    with pytest.raises(BadMetadata, match="'tags' is an attribute of every image"):
        house.items.merge(OPERATOR, image.id, {"b": "2", "tags": "x"})
    assert house.items.all(OPERATOR, image.id) == {"a": "1"}


def test_an_item_that_somebody_else_removes_meanwhile_is_a_conflict(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = house.images.create(OPERATOR, {"a": "1", "b": "2"})
    seen = house.images.get(OPERATOR, image.id)
    house.items.remove(OPERATOR, image.id, "a")
    monkeypatch.setattr(house.images, "get", lambda _caller, _image_id: seen)
    with pytest.raises(PropertyMissing):
        house.items.replace(OPERATOR, image.id, {"b": "3"})
    monkeypatch.undo()
    assert house.items.all(OPERATOR, image.id) == {"b": "2"}
    with pytest.raises(ItemNotFound):
        house.items.remove(OPERATOR, image.id, "a")
