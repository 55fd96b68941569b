"""Creations that are tried again, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages
from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.identity.caller import OPERATOR, Caller
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.resumed.idempotency_keys import IdempotencyKeyRows
from headwater.images.creation import KEPT_S, CreatedAndGone, ImageCreation, KeyOfAnother
from headwater.images.data.scrubber import Scrubber
from headwater.images.schemas import SchemaViolation
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from unit.clock import Clock

ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def images(database: Database, clock: Clock) -> Images:
    access = Access(UnheardImages(database), EveryoneMay())
    scrubber = Scrubber(DiscardedObjectRows(database), {})
    return Images(access, Changes(database, access), scrubber, ImagesSettings(), clock=clock)


@pytest.fixture
def creation(database: Database, images: Images, clock: Clock) -> ImageCreation:
    return ImageCreation(images, IdempotencyKeyRows(database), clock)


def count(database: Database) -> int:
    query = select(func.count()).select_from(tables.images)
    return database.read(lambda connection: connection.execute(query).scalar_one())


def test_a_creation_that_is_tried_again_makes_one_image(creation: ImageCreation, database: Database) -> None:
    first = creation.create(OPERATOR, {"name": "x", "tags": ["a"]}, "k")
    assert creation.create(OPERATOR, {"tags": ["a"], "name": "x"}, "k") == first
    assert count(database) == 1
    assert creation.create(OPERATOR, {"name": "x", "tags": ["a"]}).id != first.id


def test_a_key_is_its_callers_own(creation: ImageCreation, database: Database) -> None:
    callers = [OPERATOR, *(Caller(project_id=p, user_id=u) for p, u in (("p", "u"), ("p", "v"), ("q", "u")))]
    made = {creation.create(caller, {"name": "x"}, "k").id for caller in callers for _ in range(2)}
    assert len(made) == count(database) == 4


@pytest.mark.parametrize("other", ["K", "k ", " k", "é", "e\u0301", "x" * 255])
def test_keys_are_compared_letter_by_letter(creation: ImageCreation, other: str) -> None:
    assert creation.create(OPERATOR, {}, "k").id != creation.create(OPERATOR, {}, other).id


def test_a_key_with_another_body_is_refused(creation: ImageCreation, database: Database) -> None:
    creation.create(OPERATOR, {"name": "x"}, "k")
    for other in ({"name": "y"}, {}, {"name": "x", "a": "b"}):
        with pytest.raises(KeyOfAnother):
            creation.create(OPERATOR, other, "k")
    assert count(database) == 1


def test_what_was_created_and_deleted_is_told_so(creation: ImageCreation, images: Images, database: Database) -> None:
    image = creation.create(OPERATOR, {}, "k")
    images.delete(OPERATOR, image.id)
    with pytest.raises(CreatedAndGone, match=image.id):
        creation.create(OPERATOR, {}, "k")
    assert count(database) == 0


def test_a_creation_that_fails_keeps_no_key(creation: ImageCreation) -> None:
    with pytest.raises(SchemaViolation):
        creation.create(OPERATOR, {"min_ram": "much"}, "k")
    assert creation.create(OPERATOR, {"min_ram": 1}, "k").min_ram == 1


def test_a_key_is_forgotten_when_its_time_is_over(creation: ImageCreation, database: Database, clock: Clock) -> None:
    first = creation.create(OPERATOR, {"name": "x"}, "k")
    clock.now += KEPT_S * 1_000_000
    creation.forget_expired()
    assert creation.create(OPERATOR, {"name": "x"}, "k") == first
    clock.now += 1
    second = creation.create(OPERATOR, {"name": "y"}, "k")  # also when nobody has forgotten it yet
    assert second.id != first.id
    clock.now += KEPT_S * 1_000_000 + 1
    assert IdempotencyKeyRows(database).forget_expired(clock.now) == 1


@pytest.mark.parametrize("document", [{"name": "x"}, {"id": ID}])
def test_of_many_at_once_one_makes_the_image_and_all_have_it(
    creation: ImageCreation, database: Database, document: dict[str, object]
) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: creation.create(OPERATOR, document, "k").id, range(16)))
    assert len(set(made)) == count(database) == 1


def test_of_many_at_once_with_one_key_and_other_bodies_one_is_taken(
    creation: ImageCreation, database: Database
) -> None:
    def create(number: int) -> type[HeadwaterError] | None:
        try:
            creation.create(OPERATOR, {"name": str(number)}, "k")
        except HeadwaterError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(create, range(16)))
    assert sorted(map(str, outcomes)) == sorted(map(str, [None, *[KeyOfAnother] * 15]))
    assert count(database) == 1


def test_an_id_that_is_taken_stays_taken(creation: ImageCreation) -> None:
    creation.create(OPERATOR, {"id": ID}, "k")
    with pytest.raises(ImageExists):
        creation.create(OPERATOR, {"id": ID}, "l")
