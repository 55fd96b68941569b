"""When images were last used, on every database."""

from __future__ import annotations

import threading

from contracts.image_catalogue import NOON, add, an_image, anything
from contracts.unheard import UnheardImages
from headwater.database.engine import Database
from headwater.images.catalogue.retention.uses import GAP, HOUR, ImageUseRows
from questions import questions

MINUTE = HOUR // 60


def test_a_use_is_kept_to_the_hour_and_written_once_in_it(database: Database) -> None:
    uses, image = ImageUseRows(database), an_image()
    add(UnheardImages(database), image)
    assert uses.of([image.id]) == {}
    uses.note({image.id: NOON})
    with questions() as asked:
        uses.note({image.id: NOON + 59 * MINUTE})
        uses.note({image.id: NOON - 5 * HOUR})
    assert [each.statement.split()[0] for each in asked if "image_uses" in each.statement] == ["SELECT", "SELECT"]
    assert uses.of([image.id, "nobody"]) == {image.id: NOON}
    uses.note({image.id: NOON + 60 * MINUTE})
    assert uses.of([image.id]) == {image.id: NOON + HOUR}


def test_a_use_of_an_image_that_is_gone_is_none_and_goes_with_its_image(database: Database) -> None:
    uses, catalogue, image, other = ImageUseRows(database), UnheardImages(database), an_image(), an_image()
    add(catalogue, image, other)
    uses.note({"00000000-0000-4000-8000-000000000000": NOON, image.id: NOON, other.id: NOON})
    assert uses.of([image.id, other.id]) == {image.id: NOON, other.id: NOON}
    catalogue.delete(image.id, anything, NOON)
    assert uses.of([image.id, other.id]) == {other.id: NOON}


def test_many_images_are_noted_by_several_processes_at_once(database: Database) -> None:
    images = [an_image() for _ in range(30)]
    add(UnheardImages(database), *images)
    gathered = [{each.id: NOON + number for each in images} for number in range(4)]
    noting = [threading.Thread(target=ImageUseRows(database).note, args=(each,)) for each in gathered]
    for each in noting:
        each.start()
    for each in noting:
        each.join()
    found = ImageUseRows(database).of([each.id for each in images])
    assert len(found) == 30
    assert set(found.values()) <= {NOON + number for number in range(4)}


def test_since_when_uses_are_noted_is_known_while_somebody_goes_on(database: Database) -> None:
    uses = ImageUseRows(database)
    assert uses.since(NOON) is None
    uses.going_on(NOON)
    for hours in (1, 24, 48):
        assert uses.since(NOON + hours * HOUR) == NOON
        uses.going_on(NOON + hours * HOUR)
        uses.going_on(NOON)
    assert uses.since(NOON + (48 + 24) * HOUR) == NOON


def test_a_time_in_which_nobody_noted_uses_begins_anew(database: Database) -> None:
    uses, back = ImageUseRows(database), NOON + GAP + 1
    uses.going_on(NOON)
    assert uses.since(back) is None
    uses.going_on(back)
    assert uses.since(back) == back


def test_processes_that_begin_together_say_the_same(database: Database) -> None:
    starting = [threading.Thread(target=ImageUseRows(database).going_on, args=(NOON + each,)) for each in range(6)]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    since = ImageUseRows(database).since(NOON)
    assert since is not None
    assert NOON <= since < NOON + 6
