"""Public images whose files feeds go on giving after their deletion: kept for a time and counted by nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from contracts.image_catalogue import SECOND
from contracts.images.data.trash_service import ANN, HOUR, ROOT, TrashService
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.deletions.pending_deletes import NotPending
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, FingerprintRows
from headwater.images.catalogue.objects.named_objects import NamedObjects
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Image, Status, Visibility
from headwater.images.quotas.service import ProjectOverLimit

KEPT_S = 600
OPEN = FeedFiles(KEPT_S, of_everything_public=True)
HASH = "ab" * 64


def a_public_image(service: TrashService, **fields: Any) -> Image:
    return service.image(**{"visibility": Visibility.PUBLIC, "os_hash_value": HASH, "name": "noble", **fields})


def found_of(image: Image) -> Fingerprint:
    return Fingerprint(
        image_id=image.id,
        data_hash=HASH,
        sha256="cd" * 32,
        product="ubuntu:noble:amd64:default",
        metadata=b"\xfd7zXZ\0\xff",
        combined="ef" * 32,
        tried_at=5,
    )


@pytest.fixture
def service(database: Database) -> TrashService:
    """Without a trash."""
    return TrashService(database, 0, OPEN)


def test_the_image_is_gone_at_once_and_its_files_when_the_time_is_over(
    service: TrashService, database: Database
) -> None:
    image = a_public_image(service)
    rows = FingerprintRows(database)
    rows.keep(found_of(image))
    service.images.delete(ANN, image.id)

    with pytest.raises(ImageNotFound):
        service.catalogue.get(image.id)
    assert service.catalogue.find_deleted(image.id)[0].status is Status.ACTIVE  # which is told as deleted
    assert service.usage.of("p") == dict.fromkeys(service.usage.of("p"), 0)
    assert rows.of([image.id]) == {}
    kept = service.pending.served(image.id, service.clock.now)
    assert kept is not None
    assert (kept.image, kept.fingerprint) == (image, found_of(image))
    assert [each.at.store for each in kept.held] == ["one", "two"]
    assert service.pending.served_between(image.id[:8], f"{image.id[:8]}~", service.clock.now) == [kept]
    assert service.pending.served_between(f"{image.id[:8]}~", "~", service.clock.now) == []
    # What looks for objects that nobody needs finds that these are needed.
    keys = [each.at.object_key for each in kept.held if each.at.store == "one"]
    assert NamedObjects(database).named("one", keys) == set(keys)

    service.clock.now += (KEPT_S - 1) * SECOND
    assert service.trash.scrub() == 0
    assert service.lying() == 2
    service.clock.now += SECOND
    assert service.pending.served(image.id, service.clock.now) is None  # before anybody has removed it
    assert service.trash.scrub() == 1
    assert [each.store for each in service.discarded.oldest(10)] == ["one", "two"]
    assert service.pending.page(10) == []
    assert service.catalogue.find_deleted(image.id)[0].status is Status.DELETED


@pytest.mark.parametrize(
    "fields",
    [
        {"visibility": Visibility.PRIVATE},
        {"visibility": Visibility.COMMUNITY},
        {"visibility": Visibility.SHARED},
        {"os_hidden": True},
        {"status": Status.DEACTIVATED},
        {"status": Status.SAVING},
    ],
    ids=["private", "community", "shared", "hidden", "deactivated", "saving"],
)
def test_what_was_not_for_everybody_goes_at_once(service: TrashService, fields: dict[str, Any]) -> None:
    image = a_public_image(service, **fields)
    service.images.delete(ANN, image.id)
    assert service.pending.page(10) == []
    assert service.lying() == 0


def test_nothing_is_kept_where_the_time_is_none(database: Database) -> None:
    service = TrashService(database, 0, replace(OPEN, kept_s=0))
    service.images.delete(ANN, a_public_image(service).id)
    assert service.lying() == 0


def test_without_a_feed_for_everybody_it_is_kept_where_somebody_reads_it(database: Database) -> None:
    service = TrashService(database, 0, FeedFiles(KEPT_S, of_everything_public=False))
    read, unread, before = (a_public_image(service) for _ in range(3))
    FingerprintRows(database).keep(found_of(read))
    FingerprintRows(database).want(unread)
    FingerprintRows(database).keep(replace(found_of(before), data_hash="00" * 64))
    for each in (read, unread, before):
        service.images.delete(ANN, each.id)
    assert [each.image.id for each in service.pending.page(10)] == [read.id]


@pytest.mark.parametrize("trash_s", [60, HOUR], ids=["shorter", "longer"])
def test_the_trash_and_feeds_each_keep_it_for_their_time(database: Database, trash_s: int) -> None:
    service = TrashService(database, trash_s, OPEN)
    image = a_public_image(service)
    service.images.delete(ANN, image.id)
    assert service.catalogue.find_deleted(image.id)[0].status is Status.PENDING_DELETE
    assert service.usage.of("p")["image_count_total"] == 1

    service.clock.now += min(trash_s, KEPT_S) * SECOND
    assert service.trash.scrub() == 0
    is_served = trash_s < KEPT_S
    assert (service.pending.served(image.id, service.clock.now) is not None) == is_served
    assert service.usage.of("p")["image_count_total"] == (0 if is_served else 1)
    status = Status.DELETED if is_served else Status.PENDING_DELETE
    assert service.catalogue.find_deleted(image.id)[0].status is status

    service.clock.now += abs(trash_s - KEPT_S) * SECOND
    assert service.trash.scrub() == 1
    assert service.pending.page(10) == []


@pytest.mark.parametrize("trash_s", [0, HOUR], ids=["no trash", "trash"])
def test_it_comes_back_as_it_was_with_what_was_found_of_it(database: Database, trash_s: int) -> None:
    service = TrashService(database, trash_s, OPEN)
    image = a_public_image(service)
    rows = FingerprintRows(database)
    rows.keep(found_of(image))
    held = service.locations.of(image.id)
    service.images.delete(ANN, image.id)
    restored = service.trash.restore(ROOT, image.id).image
    assert replace(restored, updated_at=image.updated_at, revision=image.revision) == image
    assert service.locations.of(image.id) == held
    assert rows.of([image.id]) == {image.id: found_of(image)}
    assert service.pending.served(image.id, service.clock.now) is None


def test_who_has_filled_its_place_meanwhile_does_not_get_it_back(service: TrashService) -> None:
    image = a_public_image(service)
    service.images.delete(ANN, image.id)
    a_public_image(service)
    service.limits(image_count_total=1)
    with pytest.raises(ProjectOverLimit):
        service.trash.restore(ROOT, image.id)
    assert service.pending.served(image.id, service.clock.now) is not None


def test_an_operator_lets_it_go_at_once(service: TrashService) -> None:
    image = a_public_image(service)
    service.images.delete(ANN, image.id)
    service.trash.empty(ROOT, image.id)
    assert service.pending.served(image.id, service.clock.now) is None
    assert len(service.discarded.oldest(10)) == 2
    with pytest.raises(NotPending):
        service.trash.empty(ROOT, image.id)


def test_what_an_older_release_has_kept_is_in_the_trash_alone(database: Database) -> None:
    service = TrashService(database, HOUR)
    image = a_public_image(service)
    service.images.delete(ANN, image.id)
    rows = tables.pending_deletes
    document = msgspec.json.decode(database.read(lambda c: c.execute(select(rows.c.document)).scalar_one()))
    before = {name: document[name] for name in document if name not in ("is_counted", "served_until", "fingerprint")}
    database.write(lambda c: c.execute(update(rows).values(document=msgspec.json.encode(before).decode())))
    kept = service.pending.get(image.id)
    assert (kept.deletion.is_counted, kept.deletion.served_until, kept.fingerprint) == (True, 0, None)
