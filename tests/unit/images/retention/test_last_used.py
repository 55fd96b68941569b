from __future__ import annotations

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardLocations
from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.retention.uses import HOUR, ImageUseRows
from headwater.images.data.downloads import Downloads
from headwater.images.locations.service import Locations, Web
from headwater.images.model import Image, ImageLocation, Location, Status
from headwater.images.retention.last_used import LastUsed
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore
from questions import questions
from unit.clock import Clock


@pytest.fixture
def used(database: Database, clock: Clock) -> LastUsed:
    return LastUsed(ImageUseRows(database), clock)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("memory", MemoryStoreSettings(type="memory"))


@pytest.fixture
def image(database: Database, store: MemoryStore) -> Image:
    image = an_image(status=Status.ACTIVE, size=4, disk_format="raw", container_format="bare")
    add(UnheardImages(database), image)
    held = (ImageLocation(at=Location("memory", "k")),)
    UnheardLocations(database).change(image.id, lambda image, _: (image, held), NOON)
    store.put("k", b"data")
    return image


def test_a_thousand_downloads_ask_the_database_nothing_and_are_one_write(
    database: Database, catalogue: UnheardImages, used: LastUsed, clock: Clock, image: Image, store: MemoryStore
) -> None:
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {"memory": store}, used=used.note)
    used.keep()
    with questions() as asked:
        for _ in range(1000):
            assert downloads.open(OPERATOR, image.id)
    assert not any("image_uses" in each.statement for each in asked)
    with questions() as asked:
        used.keep()
        clock.now += HOUR - 1
        downloads.open(OPERATOR, image.id)
        used.keep()
    assert [each.statement.split()[0] for each in asked if "image_uses" in each.statement] == ["SELECT", "INSERT"]
    assert ImageUseRows(database).of([image.id]) == {image.id: NOON}
    clock.now += 1
    downloads.open(OPERATOR, image.id)
    used.keep()
    assert ImageUseRows(database).of([image.id]) == {image.id: NOON + HOUR}


def test_looking_at_headers_is_no_use_and_neither_is_a_download_of_nothing(
    database: Database, catalogue: UnheardImages, used: LastUsed, image: Image, store: MemoryStore
) -> None:
    queued = an_image()
    add(catalogue, queued)
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {"memory": store}, used=used.note)
    downloads.describe(OPERATOR, image.id)
    assert downloads.open(OPERATOR, queued.id) is None
    used.keep()
    assert ImageUseRows(database).of([image.id, queued.id]) == {}


@pytest.mark.parametrize("shows", [False, True])
def test_who_is_told_where_the_data_lies_uses_it_but_not_by_a_list(
    database: Database, catalogue: UnheardImages, used: LastUsed, image: Image, store: MemoryStore, shows: bool
) -> None:
    settings = ImagesSettings(show_image_direct_url=shows)
    stores: dict[str, ObjectStore] = {"memory": store}
    web = Web(stores, Fetcher(FetchSettings()), 1)
    access = Access(catalogue, EveryoneMay())
    locations = Locations(UnheardLocations(database), access, stores, web, settings, used=used.note)
    locations.shown(OPERATOR, [image])
    used.keep()
    assert ImageUseRows(database).of([image.id]) == {}
    locations.shown_alone(OPERATOR, image)
    used.keep()
    assert (image.id in ImageUseRows(database).of([image.id])) is shows
    locations.of_image(OPERATOR, image.id)
    used.keep()
    assert image.id in ImageUseRows(database).of([image.id])


def test_a_process_that_gives_no_data_out_does_not_say_that_uses_are_noted(
    database: Database, used: LastUsed, image: Image
) -> None:
    used.close()
    assert ImageUseRows(database).since(NOON) is None
    used.note(image.id)
    used.close()
    assert ImageUseRows(database).of([image.id]) == {image.id: NOON}


def test_lists_and_answers_ask_nothing_of_uses(catalogue: UnheardImages, image: Image) -> None:
    with questions() as asked:
        catalogue.page(Query())
        catalogue.get_for(image.id, "p")
    assert asked
    assert not any("image_uses" in each.statement for each in asked)


def test_what_could_not_be_noted_is_noted_later(
    database: Database, used: LastUsed, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: ImageUseRows, _used: object) -> None:
        raise Unavailable("not now")

    used.note(image.id)
    with monkeypatch.context() as context:
        context.setattr(ImageUseRows, "note", fails)
        with pytest.raises(Unavailable):
            used.keep()
    used.keep()
    assert image.id in ImageUseRows(database).of([image.id])
