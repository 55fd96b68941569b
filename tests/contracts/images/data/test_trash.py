"""Deleted images whose data is kept for a time: restored as they were or let go of, on every database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from sqlalchemy import select

from contracts.image_catalogue import NOON, SECOND, an_image
from contracts.images.data.trash_service import ANN, HOUR, ROOT, URL, TrashService
from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.identity.caller import Caller
from headwater.images.catalogue.deletions.pending_deletes import NotPending
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.objects.named_objects import NamedObjects
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.data.trash import DataGone
from headwater.images.member import Member, MemberStatus
from headwater.images.model import Location, Status, Visibility
from headwater.images.quotas.service import ProjectOverLimit


@pytest.fixture
def service(database: Database) -> TrashService:
    return TrashService(database)


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.DEACTIVATED])
def test_a_restored_image_is_all_that_it_was(service: TrashService, database: Database, status: Status) -> None:
    before = service.image(
        name="web",
        status=status,
        visibility=Visibility.SHARED,
        os_hidden=True,
        min_ram=7,
        checksum="c" * 32,
        tags=("b", "a"),
        properties={"os": "ubuntu", "long": "x" * 3000},
    )
    member = Member(image_id=before.id, member="q", status=MemberStatus.ACCEPTED, created_at=NOON, updated_at=NOON)
    service.members.add(replace(member, can_share=True), -1, lambda _: None)
    held = service.locations.of(before.id)
    service.images.delete(ANN, before.id)
    assert service.members.of(before.id) == []

    service.clock.now += 60 * SECOND
    restored = service.trash.restore(ROOT, before.id)
    assert (restored.gone, restored.unseen) == ((), ())
    assert restored.image == service.catalogue.get(before.id)
    assert replace(restored.image, updated_at=before.updated_at, revision=before.revision) == before
    assert restored.image.updated_at == service.clock.now
    assert service.locations.of(before.id) == held
    assert service.members.of(before.id) == [replace(member, can_share=True)]
    wanted = Query(tags=("a", "b"), properties=(("os", "ubuntu"),), os_hidden=True)
    assert [image.id for image in service.catalogue.page(wanted)] == [before.id]
    assert service.lying() == 2
    assert service.discarded.count() == {}
    assert database.read(lambda c: c.execute(select(tables.deleted_images)).all()) == []
    with pytest.raises(NotPending):
        service.trash.restore(ROOT, before.id)


def test_a_deleted_image_is_gone_for_everybody_and_its_data_stays(service: TrashService) -> None:
    image = service.image(visibility=Visibility.PUBLIC)
    service.images.delete(ANN, image.id)
    for caller in (ANN, ROOT):
        with pytest.raises(ImageNotFound):
            service.images.get(caller, image.id)
        with pytest.raises(ImageNotFound):
            service.images.delete(caller, image.id)
    assert list(service.catalogue.page(Query())) == []
    with pytest.raises(ImageExists):
        service.images.create(ROOT, {"id": image.id})
    assert service.catalogue.find_deleted(image.id)[0].status is Status.PENDING_DELETE
    assert service.lying() == 2
    (pending,) = service.trash.list()
    deletion = pending.deletion
    assert (pending.image, pending.stored_size) == (image, 8)
    assert (deletion.at, deletion.scrub_at) == (NOON, NOON + HOUR * SECOND)
    assert (deletion.user_id, deletion.project_id) == ("ann", "p")


def test_a_feed_hears_of_a_public_image_that_goes_and_comes_back(service: TrashService, database: Database) -> None:
    image = service.image(visibility=Visibility.PUBLIC)
    public = PublicImageRows(database)
    revisions = [public.revision()]
    service.images.delete(ANN, image.id)
    revisions.append(public.revision())
    service.trash.restore(ROOT, image.id)
    revisions.append(public.revision())
    assert len(set(revisions)) == 3


def test_its_data_goes_when_the_time_is_over_and_not_before(service: TrashService) -> None:
    image = service.image()
    service.images.delete(ANN, image.id)
    service.clock.now += HOUR * SECOND - 1
    assert service.trash.scrub() == 0
    service.clock.now += 1
    assert service.trash.scrub() == 1
    assert service.discarded.count() == {"one": 1, "two": 1}
    assert list(service.trash.list()) == []
    assert service.catalogue.find_deleted(image.id)[0].status is Status.DELETED
    with pytest.raises(NotPending, match=image.id):
        service.trash.restore(ROOT, image.id)
    assert service.trash.scrub() == 0
    scrubbed = [entry for entry in service.told if entry.action == "image.scrub"]
    assert [(entry.image_id, entry.caller) for entry in scrubbed] == [(image.id, None)]


def test_what_was_promised_at_the_deletion_holds_whatever_the_setting_becomes(
    service: TrashService, database: Database
) -> None:
    image = service.image()
    service.images.delete(ANN, image.id)
    later = TrashService(database, kept_s=0)
    assert later.trash.scrub() == 0
    assert later.pending.get(image.id).deletion.scrub_at == NOON + HOUR * SECOND


def test_what_was_let_go_by_hand_goes_at_once(service: TrashService) -> None:
    image = service.image()
    service.images.delete(ANN, image.id)
    service.trash.empty(ROOT, image.id)
    assert service.discarded.count() == {"one": 1, "two": 1}
    with pytest.raises(NotPending):
        service.trash.empty(ROOT, image.id)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SAVING, Status.UPLOADING, Status.IMPORTING, Status.KILLED])
def test_an_image_without_data_that_callers_could_use_is_deleted_at_once(service: TrashService, status: Status) -> None:
    image = service.image(status=status)
    service.images.delete(ANN, image.id)
    assert list(service.trash.list()) == []
    assert service.catalogue.find_deleted(image.id)[0].status is status
    assert service.lying() == 0


def test_an_active_image_without_a_location_is_deleted_at_once(service: TrashService) -> None:
    image = an_image(status=Status.ACTIVE, size=0)
    service.catalogue.create(image, fresh_id=True)
    service.images.delete(ANN, image.id)
    assert list(service.trash.list()) == []


def test_without_the_setting_nothing_is_kept(database: Database) -> None:
    service = TrashService(database, kept_s=0)
    service.images.delete(ANN, service.image().id)
    assert list(service.trash.list()) == []
    assert service.lying() == 0


def test_data_of_others_is_never_removed_and_comes_back(service: TrashService) -> None:
    images = [service.image(Location("web", URL)) for _ in range(2)]
    for image in images:
        service.images.delete(ANN, image.id)
    restored = service.trash.restore(ROOT, images[0].id)
    assert restored.unseen == ("web",)  # no store of this service reads it now
    assert [each.at for each in service.locations.of(images[0].id)] == [Location("web", URL)]
    service.clock.now += HOUR * SECOND
    assert service.trash.scrub() == 1
    assert service.discarded.count() == {}


def test_an_import_that_the_deletion_ended_holds_the_restored_image_no_more(service: TrashService) -> None:
    running = {"os_glance_import_task": "t", "os_glance_importing_to_stores": "two"}
    image = service.image(properties={"os": "ubuntu", "os_glance_failed_import": "", **running})
    service.images.delete(ANN, image.id)
    properties = service.trash.restore(ROOT, image.id).image.properties
    # Source: Nova and tempest wait until nothing is to come, and read what failed then.
    assert properties == {"os": "ubuntu", "os_glance_importing_to_stores": "", "os_glance_failed_import": "two"}


def test_an_image_is_not_restored_whose_data_is_in_no_store(service: TrashService) -> None:
    image = service.image()
    held = service.locations.of(image.id)
    service.images.delete(ANN, image.id)
    service.stores["one"].delete(held[0].at.object_key)
    assert service.pending.get(image.id)
    service.stores["two"].delete(held[1].at.object_key)
    with pytest.raises(DataGone, match="gone from one, two"):
        service.trash.restore(ROOT, image.id)
    assert service.pending.get(image.id)


def test_one_copy_is_enough_and_who_restores_hears_of_the_others(service: TrashService) -> None:
    image = service.image()
    key = service.locations.of(image.id)[0].at.object_key
    service.images.delete(ANN, image.id)
    service.stores["one"].delete(key)
    service.stores["two"].is_away = True
    restored = service.trash.restore(ROOT, image.id)
    assert (restored.gone, restored.unseen) == (("one",), ("two",))
    assert len(service.locations.of(image.id)) == 2


def test_a_deleted_image_counts_until_its_data_goes_and_is_not_restored_over_a_limit(service: TrashService) -> None:
    image = service.image(size=5)
    service.images.delete(ANN, image.id)
    used = service.usage.of("p")
    assert (used["image_count_total"], used["image_size_total"]) == (1, 10)

    service.limits(image_size_total=9)
    with pytest.raises(ProjectOverLimit, match="image_size_total"):
        service.trash.restore(ROOT, image.id)
    service.limits(image_count_total=0)
    with pytest.raises(ProjectOverLimit, match="image_count_total"):
        service.trash.restore(ROOT, image.id)
    assert service.usage.of("p") == used
    service.limits(image_count_total=1, image_size_total=10)
    service.trash.restore(ROOT, image.id)
    assert service.usage.of("p") == used

    service.images.delete(ANN, image.id)
    service.trash.empty(ROOT, image.id)
    assert set(service.usage.of("p").values()) == {0}


def test_an_image_without_bytes_needs_no_room_for_bytes(service: TrashService) -> None:
    empty = service.image(size=0)
    service.image(size=50)
    service.images.delete(ANN, empty.id)
    service.limits(image_size_total=1)
    assert service.trash.restore(ROOT, empty.id)


def test_a_purge_leaves_what_can_be_restored(service: TrashService) -> None:
    kept, gone = service.image(), service.image()
    for image in (kept, gone):
        service.images.delete(ANN, image.id)
    service.trash.empty(ROOT, gone.id)
    assert service.catalogue.purge(NOON + SECOND, 10) == 1
    assert service.catalogue.find_deleted(kept.id)
    assert service.trash.restore(ROOT, kept.id)


def test_what_another_release_has_purged_can_be_restored(service: TrashService, database: Database) -> None:
    image = service.image()
    service.images.delete(ANN, image.id)
    deleted, purged = tables.deleted_images, tables.purged_images
    database.write(lambda c: c.execute(deleted.delete().where(deleted.c.id == image.id)))
    database.write(lambda c: c.execute(purged.insert().values(id=image.id)))
    service.trash.restore(ROOT, image.id)
    service.images.delete(ANN, image.id)  # its id is nowhere twice
    assert service.pending.get(image.id)


def test_a_store_check_takes_no_object_for_an_orphan_that_can_be_restored(
    service: TrashService, database: Database
) -> None:
    image = service.image()
    at = service.locations.of(image.id)[0].at
    service.images.delete(ANN, image.id)
    rows = NamedObjects(database)
    assert rows.named(at.store, [at.object_key, f"{image.id}.{'0' * 16}"]) == {at.object_key}
    assert rows.named("two", [at.object_key]) == set()


@pytest.mark.parametrize("turn", range(5))
def test_who_restores_and_who_lets_go_at_once_are_told_apart(service: TrashService, turn: int) -> None:
    image = service.image()
    service.images.delete(ANN, image.id)
    start = Barrier(2)

    def run(act: Callable[[Caller, str], object]) -> str:
        start.wait()
        try:
            act(ROOT, image.id)
        except HeadwaterError as error:
            return type(error).__name__
        return act.__name__

    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(run, [service.trash.restore, service.trash.empty]))
    if ended == ["restore", "NotPending"]:
        assert service.catalogue.get(image.id)
        assert service.discarded.count() == {}
    else:
        assert ended == ["NotPending", "empty"]
        with pytest.raises(ImageNotFound):
            service.catalogue.get(image.id)
        assert service.discarded.count() == {"one": 1, "two": 1}


def test_an_image_whose_data_cannot_be_let_go_keeps_no_other(service: TrashService, database: Database) -> None:
    images = [service.image() for _ in range(3)]
    for image in images:
        service.images.delete(ANN, image.id)
        service.clock.now += 1
    at = service.pending.get(images[0].id).held[0].at
    row = {"store": at.store, "object_key": at.object_key, "discarded_at": NOON}
    database.write(lambda c: c.execute(tables.discarded_objects.insert().values(row)))  # what should never be
    service.clock.now += HOUR * SECOND
    assert service.trash.scrub() == 2
    assert [pending.image.id for pending in service.trash.list()] == [images[0].id]


def test_all_that_can_be_restored_is_listed_page_after_page_and_counted(
    service: TrashService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.images.data.trash._AT_ONCE", 2)
    images = [service.image() for _ in range(7)]
    for number, image in enumerate(images):
        service.clock.now = NOON + number // 3 * SECOND  # some at the same moment
        service.images.delete(ANN, image.id)
    listed = [pending.image.id for pending in service.trash.list()]
    assert sorted(listed) == sorted(image.id for image in images)
    assert set(listed[:3]) == {image.id for image in images[:3]}
    total = service.pending.total()
    assert (total.images, total.bytes, total.oldest) == (7, 56, NOON)
    service.clock.now = NOON + HOUR * SECOND + SECOND
    assert service.trash.scrub() == 6
