"""What is found when a store is held against the catalogue, and what is removed."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from contracts.image_catalogue import NOON, SECOND, an_image
from contracts.unheard import UnheardImages
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.objects import named_objects
from headwater.images.catalogue.store_marks import StoreMarkRows
from headwater.images.data.checking import orphans
from headwater.images.data.checking.check import StoreCheck, Totals, Wanted
from headwater.images.data.checking.finding import Finding
from headwater.images.model import RIGHT, WRONG, Image, Location
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectInUse, ObjectStore, Stored, StoreUnavailable
from headwater.testing.object_store import put

DATA = b"the data of an image"
HOUR = 3600


class Store(MemoryStore):
    """A store that may fail, and whose objects may be cloned."""

    def __init__(self, capacity: int = 1 << 30) -> None:
        super().__init__("here", MemoryStoreSettings(type="memory", capacity=capacity))
        self.cloned: set[str] = set()
        self.unreadable: set[str] = set()
        self.is_away = False

    def stat(self, key: str) -> Stored:
        self.ping()
        return super().stat(key)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if key in self.unreadable:
            raise StoreUnavailable(self.name, "Input/output error")
        return super().read(key, start, length)

    def delete(self, key: str) -> None:
        if key in self.cloned:
            raise ObjectInUse(self.name, key)
        super().delete(key)

    def ping(self) -> None:
        if self.is_away:
            raise StoreUnavailable(self.name, "it is away")


IMAGE_ID = "5f0f3c5e-6d0b-4c62-9a35-0d0f7d3f6b11"


@pytest.fixture
def store() -> Store:
    return Store()


def new_key(image_id: str) -> str:
    return f"{image_id}.{uuid.uuid4().hex[:16]}"


class Catalogue:
    """Images with data, as uploads leave them."""

    def __init__(self, database: Database, images: UnheardImages) -> None:
        self.database, self.images = database, images

    def image(self, store: ObjectStore | None, data: bytes = DATA, *, at: str = "here") -> tuple[Image, str]:
        """Make an image with data, and put that into a store; return it and its object's key."""
        image = replace(
            an_image(), size=len(data), os_hash_algo="sha512", os_hash_value=hashlib.sha512(data).hexdigest()
        )
        self.images.create(image, fresh_id=True)
        key = new_key(image.id)
        row = {"image_id": image.id, "position": 0, "store": at, "object_key": key, "metadata": "{}"}
        self.database.write(lambda connection: connection.execute(insert(tables.image_locations), row))
        if store is not None:
            put(store, key, data)
        return image, key

    def verdict(self, image: Image) -> str | None:
        (held,) = self.images.held(image.id)
        return held.verdict


@pytest.fixture
def catalogue_of(database: Database, catalogue: UnheardImages) -> Catalogue:
    return Catalogue(database, catalogue)


def check(database: Database, store: ObjectStore, **wanted: bool) -> tuple[list[Finding], Totals]:
    totals = Totals(store.name)
    return list(StoreCheck(database).found(store, Wanted(grace_s=0, **wanted), totals)), totals


def told(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.object_key) for finding in found]


def test_a_store_that_has_what_the_catalogue_says_is_well(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    catalogue_of.image(store)
    found, totals = check(database, store, read=True, remove_orphans=True)
    assert found == []
    assert totals.is_well
    assert (totals.listed.objects, totals.listed.bytes) == (1, len(DATA))


def test_what_no_row_names_is_an_orphan_and_stays_unless_its_removal_is_asked_for(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    image, _ = catalogue_of.image(store)
    left = new_key(image.id)
    put(store, left, b"left")
    found, totals = check(database, store)
    assert told(found) == [("orphan", left)]
    assert (found[0].image_id, found[0].size, found[0].removed) == (image.id, 4, False)
    assert (totals.orphan.objects, totals.orphan.bytes, totals.removed.objects) == (1, 4, 0)
    assert store.stat(left).size == 4

    found, totals = check(database, store, remove_orphans=True)
    assert found[0].removed
    assert (totals.removed.objects, totals.removed.bytes) == (1, 4)
    assert [each.key for each in store.list()] != [left]
    assert check(database, store)[1].is_well


def test_an_orphan_of_a_deleted_and_purged_image_is_removed(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    gone = str(uuid.uuid4())
    database.write(lambda connection: connection.execute(insert(tables.purged_images), {"id": gone}))
    put(store, new_key(gone), b"left")
    found, _ = check(database, store, remove_orphans=True)
    assert [finding.removed for finding in found] == [True]


@pytest.mark.parametrize("table", ["uploads", "resumable_uploads", "import_objects", "discarded_objects"])
def test_what_is_on_its_way_or_waits_for_its_removal_is_no_orphan(
    database: Database, catalogue_of: Catalogue, store: Store, table: str
) -> None:
    image, _ = catalogue_of.image(store)
    key = new_key(image.id)
    put(store, key, b"on its way")
    rows: dict[str, dict[str, object]] = {
        "uploads": {"image_id": image.id, "writer": "w", "expires_at": NOON},
        "resumable_uploads": {
            "id": "a" * 32,
            "image_id": image.id,
            "received": 0,
            "is_complete": False,
            "created_at": NOON,
            "expires_at": NOON,
            "digests": "{}",
        },
        "import_objects": {"image_id": image.id, "task_id": "t", "document": "{}"},
        "discarded_objects": {"discarded_at": NOON},
    }
    named = tables.metadata.tables[table]
    values = {name: value for name, value in rows[table].items() if name in named.c}
    row = {**values, "store": "here", "object_key": key}
    database.write(lambda connection: connection.execute(insert(named), row))
    assert check(database, store, remove_orphans=True)[0] == []
    assert store.stat(key).size == 10


def test_a_row_of_another_store_names_nothing_here(database: Database, catalogue_of: Catalogue, store: Store) -> None:
    _, key = catalogue_of.image(store, at="elsewhere")
    assert told(check(database, store)[0]) == [("orphan", key)]


@pytest.mark.parametrize("key", ["notes.txt", "a/b", IMAGE_ID, f"{IMAGE_ID}.{'0' * 15}", f"x{IMAGE_ID}.{'0' * 16}"])
def test_what_is_no_object_of_an_image_is_told_of_and_never_removed(
    database: Database, catalogue_of: Catalogue, store: Store, key: str
) -> None:
    catalogue_of.image(store)
    put(store, key, b"mine")
    found, _ = check(database, store, remove_orphans=True)
    assert told(found) == [("orphan", key)]
    assert (found[0].image_id, found[0].removed) == (None, False)
    assert store.stat(key).size == 4


def test_an_object_of_an_image_that_the_catalogue_never_had_is_never_removed(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    catalogue_of.image(store)
    key = new_key(str(uuid.uuid4()))
    put(store, key, b"of after the backup")
    found, _ = check(database, store, remove_orphans=True)
    assert [(each.removed, "backup" in each.reason) for each in found] == [(False, True)]
    assert store.stat(key).size == 19


def test_a_catalogue_that_never_had_an_image_removes_nothing(database: Database, store: Store) -> None:
    put(store, new_key(str(uuid.uuid4())), b"of another catalogue")
    assert [each.removed for each in check(database, store, remove_orphans=True)[0]] == [False]
    assert len(list(store.list())) == 1


def test_an_orphan_that_others_build_on_stays(database: Database, catalogue_of: Catalogue, store: Store) -> None:
    image, _ = catalogue_of.image(store)
    left, cloned = new_key(image.id), new_key(image.id)
    put(store, cloned, b"cloned")
    put(store, left, b"left")
    store.cloned.add(cloned)
    found, _ = check(database, store, remove_orphans=True)
    assert {each.object_key: each.removed for each in found} == {left: True, cloned: False}


def test_an_upload_that_ends_while_the_store_is_listed_is_no_orphan(
    database: Database, catalogue_of: Catalogue
) -> None:
    class Busy(Store):
        def list(self, prefix: str = "") -> Iterator[Stored]:
            _, key = catalogue_of.image(self)
            yield self.stat(key)

    assert check(database, Busy(), remove_orphans=True)[0] == []


def test_a_row_that_comes_after_the_first_look_saves_the_object(database: Database, catalogue_of: Catalogue) -> None:
    class Late(Store):
        def stat(self, key: str) -> Stored:
            if key == left:
                database.write(lambda connection: discard(connection, [Location("here", key)], NOON))
            return super().stat(key)

    store = Late()
    image, _ = catalogue_of.image(store)
    left = new_key(image.id)
    put(store, left, b"left")
    assert check(database, store, remove_orphans=True)[0] == []
    assert len(list(store.list())) == 2


def test_an_object_that_is_gone_at_the_second_look_is_not_told_of(database: Database, catalogue_of: Catalogue) -> None:
    class Forgetful(Store):
        def list(self, prefix: str = "") -> Iterator[Stored]:
            yield Stored(new_key(image.id), 5)
            yield from super().list(prefix)

    forgetful = Forgetful()
    image, _ = catalogue_of.image(forgetful)
    assert check(database, forgetful)[0] == []


def test_a_missing_object_is_told_of_with_its_image(database: Database, catalogue_of: Catalogue, store: Store) -> None:
    image, key = catalogue_of.image(None)
    found, totals = check(database, store)
    assert told(found) == [("missing", key)]
    assert found[0].image_id == image.id
    assert (totals.missing.objects, totals.missing.bytes) == (1, len(DATA))
    assert not totals.is_well


def test_staged_data_that_is_missing_or_cut_is_told_of(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    keys = sorted(new_key(str(uuid.uuid4())) for _ in range(2))
    rows = [
        {"store": "here", "object_key": key, "image_id": key[:36], "task_id": None, "size": 10, "document": "{}"}
        for key in keys
    ]
    database.write(lambda connection: connection.execute(insert(tables.import_objects), rows))
    put(store, keys[1], b"cut")
    assert told(check(database, store)[0]) == [("missing", keys[0]), ("damaged", keys[1])]


def test_an_image_that_is_deleted_while_its_object_is_looked_at_is_not_missing(
    database: Database, catalogue_of: Catalogue
) -> None:
    class Busy(Store):
        def stat(self, key: str) -> Stored:
            catalogue_of.images.delete(image.id, lambda _image: None, NOON)
            return super().stat(key)

    image, _ = catalogue_of.image(None)
    assert check(database, Busy())[0] == []


def test_an_object_of_another_size_is_damaged_and_the_verdict_is_kept(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    image, key = catalogue_of.image(store)
    put(store, key, DATA[:-1])
    found, totals = check(database, store)
    assert told(found) == [("damaged", key)]
    assert totals.damaged.objects == 1
    assert catalogue_of.verdict(image) == WRONG


def test_other_bytes_of_the_same_size_are_found_by_reading_only(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    image, key = catalogue_of.image(store)
    well, _ = catalogue_of.image(store)
    put(store, key, DATA.upper())
    assert check(database, store)[0] == []
    assert told(check(database, store, read=True)[0]) == [("damaged", key)]
    assert (catalogue_of.verdict(image), catalogue_of.verdict(well)) == (WRONG, RIGHT)
    put(store, key, DATA)
    assert check(database, store, read=True)[0] == []
    assert catalogue_of.verdict(image) == RIGHT


@pytest.mark.parametrize(("speed", "speeds"), [(1000.0, [1000.0]), (None, [])])
def test_reading_is_as_fast_as_it_may_be_and_tells_how_far_it_is(
    database: Database,
    catalogue_of: Catalogue,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    speed: float | None,
    speeds: list[float],
) -> None:
    asked: list[float | None] = []

    def limited(below: ObjectStore, *, read_speed: float | None) -> ObjectStore:
        asked.append(read_speed)
        return below

    monkeypatch.setattr("headwater.images.data.checking.check.LimitedStore", limited)
    for _ in range(3):
        catalogue_of.image(store)
    passed: list[int] = []
    wanted = Wanted(grace_s=0, read=True, speed=speed)
    assert list(StoreCheck(database).found(store, wanted, Totals("here"), passed.append)) == []
    assert asked == speeds
    assert sum(passed) == 3 * len(DATA) == StoreCheck(database).bytes_of("here")


def test_one_object_that_cannot_be_read_keeps_no_other_from_being_looked_at(
    database: Database, catalogue_of: Catalogue, store: Store
) -> None:
    keys = [catalogue_of.image(store)[1] for _ in range(3)]
    store.unreadable.add(keys[0])
    put(store, keys[1], DATA.upper())
    found, totals = check(database, store, read=True)
    assert sorted(told(found)) == sorted([("damaged", keys[0]), ("damaged", keys[1])])
    assert totals.error is None


def test_a_store_that_is_away_has_lost_nothing(database: Database, catalogue_of: Catalogue, store: Store) -> None:
    catalogue_of.image(store)
    store.is_away = True
    found, totals = check(database, store)
    assert found == []
    assert totals.error == "it is away"
    assert not totals.is_well


def test_pages_of_rows_and_objects_leave_nothing_out(
    database: Database, catalogue_of: Catalogue, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_objects, "PAGE", 3)
    monkeypatch.setattr(orphans, "PAGE", 3)
    there = [catalogue_of.image(store) for _ in range(10)]
    missing = {catalogue_of.image(None)[1] for _ in range(10)}
    left = {new_key(image.id) for image, _ in there}
    for key in left:
        put(store, key, b"left")
    found, totals = check(database, store)
    assert {each.object_key for each in found} == missing | left
    assert (totals.listed.objects, totals.orphan.objects, totals.missing.objects) == (20, 10, 10)


# --- A store that can tell which one it is, and when its objects were written ------------------------


@pytest.fixture
def files(tmp_path: Path, database: Database) -> FileStore:
    store = FileStore("here", FileStoreSettings(), tmp_path / "files")
    StoreMarkRows(database).keep("here", store.mark("a" * 32), NOON)
    return store


def test_what_was_written_lately_is_no_orphan_yet(
    database: Database, catalogue_of: Catalogue, files: FileStore
) -> None:
    image, _ = catalogue_of.image(files)
    left = new_key(image.id)
    put(files, left, b"left")
    written_at = files.stat(left).written_at
    assert written_at is not None

    def after(seconds: int) -> list[tuple[str, str]]:
        totals = Totals("here")
        checking = StoreCheck(database, lambda: written_at + seconds * SECOND)
        return told(list(checking.found(files, Wanted(grace_s=HOUR), totals)))

    assert after(HOUR - 1) == []
    assert after(HOUR) == [("orphan", left)]


def test_a_file_that_somebody_put_where_it_does_not_belong_is_told_of_and_stays(
    database: Database, catalogue_of: Catalogue, files: FileStore, tmp_path: Path
) -> None:
    image, _ = catalogue_of.image(files)
    elsewhere = tmp_path / "files" / "objects" / "zz"
    elsewhere.mkdir()
    left = elsewhere / new_key(image.id)
    left.write_bytes(b"left")
    found, _ = check(database, files, remove_orphans=True)
    assert [(each.object_key, each.removed) for each in found] == [(left.name, False)]
    assert "by hand" in found[0].reason
    assert left.exists()


def test_another_store_in_its_place_has_neither_orphans_nor_losses(
    database: Database, catalogue_of: Catalogue, files: FileStore
) -> None:
    image, _ = catalogue_of.image(files)
    put(files, new_key(image.id), b"left")
    StoreMarkRows(database).replace("here", "b" * 32, NOON)
    found, totals = check(database, files, remove_orphans=True)
    assert found == []
    assert "another store" in (totals.error or "")
    assert len(list(FileStore("here", FileStoreSettings(), files._root).list())) == 2


def test_a_store_that_no_service_has_used_is_not_compared(
    database: Database, catalogue_of: Catalogue, tmp_path: Path
) -> None:
    catalogue_of.image(None)
    new = FileStore("here", FileStoreSettings(), tmp_path / "new")
    found, totals = check(database, new)
    assert found == []
    assert "no service has used it" in (totals.error or "")
