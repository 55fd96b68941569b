"""Which objects rows name, on every database."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import insert

from contracts.image_catalogue import NOON, an_image
from contracts.unheard import UnheardImages
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.objects import named_objects
from headwater.images.catalogue.objects.named_objects import NamedObject, NamedObjects, image_of
from headwater.images.model import Location


def new_key(image_id: str) -> str:
    return f"{image_id}.{uuid.uuid4().hex[:16]}"


def locate(database: Database, image_id: str, *keys: str, store: str = "here") -> None:
    rows = [
        {"image_id": image_id, "position": position, "store": store, "object_key": key, "metadata": "{}"}
        for position, key in enumerate(keys)
    ]
    database.write(lambda connection: connection.execute(insert(tables.image_locations), rows))


def stage(database: Database, key: str, *, task_id: str | None = None) -> None:
    row = {"store": "here", "object_key": key, "image_id": key[:36], "task_id": task_id, "size": 7, "document": "{}"}
    database.write(lambda connection: connection.execute(insert(tables.import_objects), row))


def images(database: Database, count: int, size: int = 5) -> list[str]:
    made = [an_image(size=size) for _ in range(count)]
    for image in made:
        UnheardImages(database).create(image, fresh_id=True)
    return sorted(image.id for image in made)


def test_every_kind_of_row_names_its_object_and_no_other(database: Database) -> None:
    ids = images(database, 6)
    keys = [new_key(each) for each in ids]
    locate(database, ids[0], keys[0])
    stage(database, keys[1])
    stage(database, keys[2], task_id="task")
    database.write(lambda connection: discard(connection, [Location("here", keys[3])], NOON))
    upload = {"image_id": ids[4], "store": "here", "object_key": keys[4], "writer": "w", "expires_at": NOON}
    database.write(lambda connection: connection.execute(insert(tables.uploads), upload))
    others = [keys[5], new_key(ids[0]), keys[0].upper(), "notes.txt"]
    rows = NamedObjects(database)
    assert rows.named("here", [*keys, *others]) == set(keys[:5])
    assert rows.named("elsewhere", keys) == set()
    assert rows.named("here", keys[:1]) == {keys[0]}


def test_a_key_of_another_form_that_a_row_has_is_named(database: Database) -> None:
    (image_id,) = images(database, 1)
    locate(database, image_id, "old/form")
    assert image_of("old/form") is None
    assert NamedObjects(database).named("here", ["old/form", "other"]) == {"old/form"}


def test_an_image_that_was_deleted_or_purged_is_known(database: Database) -> None:
    lives, deleted = images(database, 2)
    purged, never = str(uuid.uuid4()), str(uuid.uuid4())
    UnheardImages(database).delete(deleted, lambda _image: None, NOON)
    database.write(lambda connection: connection.execute(insert(tables.purged_images), {"id": purged}))
    assert NamedObjects(database).known_images([lives, deleted, purged, never]) == {lives, deleted, purged}


def test_pages_give_each_object_of_a_store_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_objects, "PAGE", 3)
    ids = images(database, 10)
    expected = []
    for image_id in ids:
        several = [new_key(image_id) for _ in range(4)]
        locate(database, image_id, *several[:2], "https://example.com/an-image", *several[2:])
        expected += [NamedObject(image_id, Location("here", key), 5) for key in several]
    (elsewhere,) = images(database, 1)
    locate(database, elsewhere, new_key(elsewhere), store="elsewhere")
    staged = sorted(new_key(str(uuid.uuid4())) for _ in range(7))
    for key in staged:
        stage(database, key)
    stage(database, new_key(ids[0]), task_id="on its way")
    rows = NamedObjects(database)
    assert list(rows.of_store("here")) == [
        *(NamedObject(key[:36], Location("here", key), 7, is_staged=True) for key in staged),
        *expected,
    ]
    assert rows.total("elsewhere") == 5
    assert rows.total("nowhere") == 0


def test_a_row_that_has_gone_names_nothing_any_more(database: Database) -> None:
    (image_id,) = images(database, 1)
    locate(database, image_id, new_key(image_id))
    stage(database, new_key(image_id))
    rows = NamedObjects(database)
    staged, held = rows.of_store("here")
    assert rows.still_names(held)
    assert rows.still_names(staged)
    UnheardImages(database).delete(image_id, lambda _image: None, NOON)
    assert not rows.still_names(held)
    assert not rows.still_names(staged)
