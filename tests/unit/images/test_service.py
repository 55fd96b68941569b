from __future__ import annotations

import itertools
from typing import Any

import pytest

from contracts.image_catalogue import NOON
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.activity.journal import Entry, Journal
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.attributes import Operation, QuotaExceeded, ReadOnlyAttribute, ReservedAttribute
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.upload_records import Upload
from headwater.images.data.scrubber import Scrubber
from headwater.images.model import Image, ImageProtected, Location, Status, Visibility
from headwater.images.schemas import SchemaViolation
from headwater.images.service import ActionRefused, BadTag, Images, TagNotFound
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.testing.object_store import put
from unit.clock import Clock

ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def records(database: Database) -> UnheardUploads:
    return UnheardUploads(database)


@pytest.fixture
def discarded(database: Database) -> DiscardedObjectRows:
    return DiscardedObjectRows(database)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("memory", MemoryStoreSettings(type="memory"))


@pytest.fixture
def images(database: Database, catalogue: UnheardImages, store: MemoryStore, clock: Clock) -> Images:
    numbers = itertools.count(1)
    settings = ImagesSettings(property_quota=3, tag_quota=2)
    access = Access(catalogue, EveryoneMay())
    return Images(
        access,
        Changes(database, access),
        Scrubber(DiscardedObjectRows(database), {"memory": store}),
        settings,
        clock=clock,
        new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012}",
    )


def with_data(images: Images, records: UnheardUploads, store: MemoryStore, **document: Any) -> Image:
    image = images.create(OPERATOR, {"disk_format": "raw", "container_format": "bare", **document})
    location = Location("memory", f"{image.id}.x")
    put(store, location.object_key, b"data")
    records.begin_upload(Upload(image.id, location, "w", NOON), lambda now: now.moved_to(Status.SAVING))
    return records.finish_upload(image.id, location, lambda now: now.moved_to(Status.ACTIVE))


def test_a_new_image_waits_for_its_data(images: Images) -> None:
    image = images.create(OPERATOR, {"name": "x", "os_distro": "ubuntu", "tags": ["b", "a", "b"]})
    assert image == images.get(OPERATOR, image.id)
    assert (image.id, image.status) == ("00000000-0000-4000-8000-000000000001", Status.QUEUED)
    assert (image.created_at, image.updated_at) == (NOON, NOON)
    assert (image.visibility, image.tags, image.properties) == (Visibility.SHARED, ("b", "a"), {"os_distro": "ubuntu"})


def test_an_id_may_be_given_once_ever(images: Images) -> None:
    assert images.create(OPERATOR, {"id": ID.upper()}).id == ID
    with pytest.raises(ImageExists):
        images.create(OPERATOR, {"id": ID})
    images.delete(OPERATOR, ID)
    with pytest.raises(ImageExists):
        images.create(OPERATOR, {"id": ID.upper()})


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"status": "active"}, ReadOnlyAttribute),
        ({"size": 5}, ReadOnlyAttribute),
        ({"size": "five"}, ReadOnlyAttribute),
        ({"os_hash_value": "x"}, ReadOnlyAttribute),
        ({"locations": []}, ReservedAttribute),
        ({"os_glance_x": "y"}, ReservedAttribute),
        ({"deleted": "true"}, ReservedAttribute),
        ({"id": "x"}, SchemaViolation),
        ({"a": "1", "b": "1", "c": "1", "d": "1"}, QuotaExceeded),
        ({"tags": ["a", "b", "c"]}, QuotaExceeded),
    ],
)
def test_what_may_not_be_set_makes_no_image(
    images: Images, document: dict[str, Any], error: type[HeadwaterError]
) -> None:
    with pytest.raises(error):
        images.create(OPERATOR, document)
    assert images.page(OPERATOR, Query()) == []


def test_a_patch_is_all_or_nothing(images: Images) -> None:
    image = images.create(OPERATOR, {"name": "before", "p": "1"})
    for bad in (Operation("remove", "nothing"), Operation("replace", "name", 5), Operation("add", "status", "active")):
        with pytest.raises(HeadwaterError):
            images.patch(OPERATOR, image.id, [Operation("replace", "name", "after"), Operation("remove", "p"), bad])
        assert images.get(OPERATOR, image.id) == image
    after = images.patch(OPERATOR, image.id, [Operation("replace", "name", "after"), Operation("remove", "p")])
    assert (after.name, after.properties) == ("after", {})


def test_a_patch_is_checked_at_its_end_only(images: Images) -> None:
    image = images.create(OPERATOR, {})
    steps = [Operation("add", f"p{number}", "x") for number in range(5)]
    steps += [Operation("remove", f"p{number}") for number in range(5)]
    steps += [Operation("replace", "name", 5), Operation("replace", "name", "fine")]
    assert images.patch(OPERATOR, image.id, steps).name == "fine"


def test_a_change_is_later_than_what_it_changes_even_when_the_clock_stands(images: Images, clock: Clock) -> None:
    image = images.create(OPERATOR, {"name": "x"})
    first = images.patch(OPERATOR, image.id, [Operation("replace", "name", "y")])
    assert first.updated_at == NOON + 1
    clock.now -= 10_000_000
    assert images.patch(OPERATOR, image.id, [Operation("replace", "name", "z")]).updated_at == NOON + 2
    clock.now = NOON + 50
    assert images.patch(OPERATOR, image.id, [Operation("replace", "name", "a")]).updated_at == NOON + 50


def test_a_patch_that_changes_nothing_leaves_the_time_too(images: Images, clock: Clock) -> None:
    image = images.create(OPERATOR, {"name": "x"})
    clock.now += 5
    assert (
        images.patch(OPERATOR, image.id, [])
        == images.patch(OPERATOR, image.id, [Operation("replace", "name", "x")])
        == image
    )


def test_tags_come_and_go_one_by_one(images: Images, clock: Clock) -> None:
    image = images.create(OPERATOR, {"tags": ["a"]})
    images.add_tag(OPERATOR, image.id, "b")
    images.add_tag(OPERATOR, image.id, "b")
    assert images.get(OPERATOR, image.id).tags == ("a", "b")
    assert images.get(OPERATOR, image.id).revision == 1
    with pytest.raises(QuotaExceeded, match="tags"):
        images.add_tag(OPERATOR, image.id, "c")
    images.remove_tag(OPERATOR, image.id, "a")
    with pytest.raises(TagNotFound, match="'a'"):
        images.remove_tag(OPERATOR, image.id, "a")
    assert images.get(OPERATOR, image.id).tags == ("b",)
    for bad in ("", "x" * 256, "a\x00"):
        with pytest.raises(BadTag):
            images.add_tag(OPERATOR, image.id, bad)
    with pytest.raises(ImageNotFound):
        images.add_tag(OPERATOR, "nobody", "x")


def test_deactivate_and_reactivate_may_be_repeated(images: Images, records: UnheardUploads, store: MemoryStore) -> None:
    image = with_data(images, records, store)
    for action, status in (
        (images.deactivate, Status.DEACTIVATED),
        (images.deactivate, Status.DEACTIVATED),
        (images.reactivate, Status.ACTIVE),
        (images.reactivate, Status.ACTIVE),
    ):
        action(OPERATOR, image.id)
        assert images.get(OPERATOR, image.id).status is status


def test_an_image_without_data_is_neither_deactivated_nor_reactivated(images: Images) -> None:
    image = images.create(OPERATOR, {})
    for action, verb in ((images.deactivate, "deactivate"), (images.reactivate, "reactivate")):
        with pytest.raises(ActionRefused, match=f"Not allowed to {verb} image in status 'queued'"):
            action(OPERATOR, image.id)
    assert images.get(OPERATOR, image.id) == image


def test_deleting_an_image_removes_its_bytes(
    images: Images,
    catalogue: UnheardImages,
    records: UnheardUploads,
    discarded: DiscardedObjectRows,
    store: MemoryStore,
) -> None:
    image = with_data(images, records, store)
    images.delete(OPERATOR, image.id)
    assert list(store.list()) == []
    assert discarded.oldest(10) == []
    with pytest.raises(ImageNotFound):
        images.delete(OPERATOR, image.id)


def test_a_protected_image_stays_with_its_bytes(images: Images, records: UnheardUploads, store: MemoryStore) -> None:
    image = with_data(images, records, store, protected=True)
    with pytest.raises(ImageProtected):
        images.delete(OPERATOR, image.id)
    assert images.get(OPERATOR, image.id) == image
    assert len(list(store.list())) == 1


def test_an_image_can_be_deleted_while_its_store_does_not_work(
    images: Images,
    records: UnheardUploads,
    discarded: DiscardedObjectRows,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = with_data(images, records, store)

    def fail(_key: str) -> None:
        raise StoreUnavailable("memory", "it is broken")

    monkeypatch.setattr(store, "delete", fail)
    images.delete(OPERATOR, image.id)
    with pytest.raises(ImageNotFound):
        images.get(OPERATOR, image.id)
    assert discarded.oldest(10) == [Location("memory", f"{image.id}.x")]


def test_an_id_is_told_to_the_journal_once_it_is_known_to_be_one(
    database: Database, catalogue: UnheardImages, store: MemoryStore, clock: Clock
) -> None:
    told: list[str | None] = []

    class Listener:
        def moved(self, entry: Entry) -> tuple[()]:
            """Wait for the end."""
            return ()

        def ended(self, entry: Entry, error: BaseException | None) -> None:
            told.append(entry.image_id)

    access = Access(catalogue, EveryoneMay())
    images = Images(
        access,
        Changes(database, access, journal=Journal([Listener()])),
        Scrubber(DiscardedObjectRows(database), {"memory": store}),
        ImagesSettings(),
        clock=clock,
    )
    with pytest.raises(SchemaViolation):
        images.create(OPERATOR, {"id": "x" * 1_000_000})
    images.create(OPERATOR, {"id": ID.upper()})
    assert told == [None, ID]
