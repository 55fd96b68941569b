"""Lists of deleted images: however they are found, the page is the same, and what is read is hardly more than it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from contracts.image_catalogue import NOON, SECOND, add, an_image, anything
from contracts.unheard import UnheardImages, UnheardLocations, commit
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue import images as images_module
from headwater.images.catalogue import rows
from headwater.images.catalogue.deletions.pending_deletes import Deletion
from headwater.images.catalogue.lists.query import Condition, Query
from headwater.images.model import Image, ImageLocation, Location, Status
from headwater.images.v1 import deleted
from questions import plan, questions
from templates import sqlite_catalogue

COUNT = 120
DEFAULT = Query(sort=(("created_at", "desc"), ("id", "desc")), limit=7)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Images of two projects that were deleted in another order than they were created; some by an older release."""
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("deleted") / "catalogue.db"))
    catalogue, chance = UnheardImages(database), random.Random(1)
    images = [
        an_image(
            f"n{n % 5}",
            owner="a" if n % 3 else "b",
            size=chance.randrange(9),
            status=Status.ACTIVE if n % 2 else Status.QUEUED,
            created_at=NOON + n // 4 * SECOND,
            properties={"build": str(n % 10)},
        )
        for n in range(COUNT)
    ]
    add(catalogue, *images)
    chance.shuffle(images)
    for n, image in enumerate(images):
        catalogue.delete(image.id, anything, NOON + 1000 * SECOND + n // 2)
    older = [image.id for image in images[::20]]
    table = tables.deleted_images
    database.write(lambda c: c.execute(update(table).where(table.c.id.in_(older)).values(created_at=None)))
    yield database
    database.close()


def pages(catalogue: UnheardImages, query: Query, **more: Any) -> list[list[str]]:
    """Return the ids of every page."""
    found: list[list[str]] = []
    after: Image | None = None
    while page := deleted.page(catalogue, query, after=after, **more):
        found.append([each.image.id for each in page])
        after = page[-1].image
    return found


@pytest.mark.parametrize("owner", [None, "b"])
@pytest.mark.parametrize("since", [0, NOON + 1000 * SECOND + COUNT // 4])
@pytest.mark.parametrize(
    "query",
    [
        DEFAULT,
        replace(DEFAULT, sort=(("created_at", "asc"),)),
        replace(DEFAULT, sort=(("status", "desc"),)),
        replace(DEFAULT, sort=(("name", "asc"),)),
        replace(DEFAULT, sort=(("updated_at", "desc"),)),
        replace(DEFAULT, conditions=(Condition("name", "eq", "n3"),)),
        replace(DEFAULT, properties=(("build", "4"),)),
        replace(DEFAULT, limit=3),
        replace(DEFAULT, limit=500),
    ],
    ids=["default", "oldest first", "by status", "by name", "by update", "named", "with a property", "short", "all"],
)
def test_many_deleted_images_are_listed_as_few_are(
    database: Database, monkeypatch: pytest.MonkeyPatch, query: Query, since: int, owner: str | None
) -> None:
    catalogue = UnheardImages(database)
    as_few = pages(catalogue, query, since=since, owner=owner)
    assert as_few
    monkeypatch.setattr(deleted, "_FEW", 10)
    monkeypatch.setattr(deleted, "_BLOCK", 8)
    assert pages(catalogue, query, since=since, owner=owner) == as_few


def test_those_that_can_be_restored_have_a_status_of_their_own_by_which_lists_are_sorted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    catalogue, locations = UnheardImages(database), UnheardLocations(database)
    for n in range(20):
        image = an_image(status=Status.ACTIVE, created_at=NOON + n)
        add(catalogue, image)
        locations.change(image.id, lambda now, _: (now, (ImageLocation(at=Location("s", "k")),)), NOON)
        how = Deletion(at=NOON, scrub_at=NOON + bool(n % 3))
        if n % 3 == 0:
            locations.change(image.id, lambda now, _: (now, ()), NOON)
        commit(database, images_module.deleted(image.id, anything, how))
        database.write(lambda c: c.execute(tables.discarded_objects.delete()))
    query = replace(DEFAULT, sort=(("status", "asc"),), limit=4)
    for few in (1000, 5):
        monkeypatch.setattr(deleted, "_FEW", few)
        shown: list[deleted.Shown] = []
        while page := deleted.page(catalogue, query, since=0, owner=None, after=shown[-1].image if shown else None):
            shown += page
        statuses = [each.image.status for each in shown]
        assert statuses == [Status.DELETED] * 7 + [Status.PENDING_DELETE] * 13
    database.close()


@pytest.mark.parametrize("owner", [None, "b"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_a_page_of_many_deleted_images_reads_hardly_more_than_it_shows(
    database: Database, monkeypatch: pytest.MonkeyPatch, direction: Any, owner: str | None
) -> None:
    catalogue = UnheardImages(database)
    monkeypatch.setattr(deleted, "_FEW", 10)
    monkeypatch.setattr(deleted, "_BLOCK", 8)
    read: list[str] = []
    true_deleted_of = rows.deleted_of

    def noted(document: str) -> Image:
        read.append(document)
        return true_deleted_of(document)

    monkeypatch.setattr(images_module, "deleted_of", noted)
    query = replace(DEFAULT, sort=(("created_at", direction),))
    first = deleted.page(catalogue, query, since=0, owner=owner, after=None)
    assert len(first) == 7
    assert len(read) <= 8 + COUNT // 20
    read.clear()
    assert len(deleted.page(catalogue, query, since=0, owner=owner, after=first[-1].image)) == 7
    assert len(read) <= 16 + COUNT // 20


@pytest.mark.parametrize("owner", [None, "b"])
def test_every_question_is_a_range_of_an_index(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, owner: str | None
) -> None:
    catalogue = UnheardImages(database)
    monkeypatch.setattr(deleted, "_BLOCK", 8)
    with questions() as asked:
        for few in (10, 1000):
            monkeypatch.setattr(deleted, "_FEW", few)
            page = deleted.page(catalogue, DEFAULT, since=NOON, owner=owner, after=None)
            deleted.page(catalogue, DEFAULT, since=NOON, owner=owner, after=page[-1].image)
    assert len(asked) > 10
    for question in asked:
        steps = plan(database, question)
        searches = [step for step in steps if "deleted_images" in step]
        assert searches, steps
        assert all(step.startswith("SEARCH") and "INDEX" in step for step in searches), (question, steps)
        # Those deleted in one instant may be sorted by their ids; that is no sort of the whole.
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps, (question, steps)
