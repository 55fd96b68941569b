"""A store that is not there is never an empty store."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages
from headwater.cli.main import app
from headwater.database import tables
from headwater.database.engine import Database
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.images.data.admission import SAMPLE, Admission, Admitted, CatalogueAbsent, StoreAbsent
from headwater.images.model import Image
from headwater.stores.file import MARK, FileStore, FileStoreSettings
from headwater.stores.layers.awaited import AwaitedStore
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore, Stored, StoreUnavailable
from headwater.stores.web import HttpStore
from headwater.testing.object_store import content, marked, put
from templates import sqlite_catalogue


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def root(data_dir: Path) -> Path:
    return data_dir / "stores" / "file"


@pytest.fixture
def database(data_dir: Path) -> Iterator[Database]:
    database = Database(sqlite_catalogue(data_dir / "headwater.db"))
    yield database
    database.close()


def a_store(root: Path) -> FileStore:
    return FileStore("file", FileStoreSettings(), root)


def admit(database: Database, root: Path) -> str:
    """Admit what lies at ``root`` as a start does, and return its identity."""
    store = a_store(root)
    admitted = Admission(database).admit({"file": store})
    store.ping()
    return admitted.identities["file"]


def with_images(database: Database, root: Path, count: int) -> list[str]:
    """Let there be images whose objects lie at ``root``, in a store that was never marked; return the keys."""
    catalogue = UnheardImages(database)
    store = marked(a_store(root))
    rows = []
    for _ in range(count):
        image = an_image()
        add(catalogue, image)
        key = f"{image.id}.x"
        put(store, key, b"data")
        rows.append({"image_id": image.id, "position": 0, "store": "file", "object_key": key, "metadata": "{}"})
    database.write(lambda connection: connection.execute(insert(tables.image_locations), rows))
    (root / MARK).unlink()
    return [str(row["object_key"]) for row in rows]


def adopt(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), "store", "adopt", *words])


# --- First use ----------------------------------------------------------------------------------------


def test_a_first_start_marks_a_new_store_and_later_ones_know_it(database: Database, root: Path) -> None:
    identity = admit(database, root)
    assert (root / MARK).read_text() == f"{identity}\n"
    assert admit(database, root) == identity


def test_stores_that_keep_nothing_of_their_own_need_no_mark(database: Database) -> None:
    stores: dict[str, ObjectStore] = {
        "memory": MemoryStore("memory", MemoryStoreSettings(type="memory")),
        "web": HttpStore("web", Fetcher(FetchSettings())),
    }
    assert Admission(database).admit(stores) == Admitted()


def test_a_kill_between_the_mark_and_the_catalogues_row_is_no_harm(database: Database, root: Path) -> None:
    a_store(root).mark("a" * 32)
    assert admit(database, root) == "a" * 32
    assert admit(database, root) == "a" * 32


def _admit_at_once(url: str, root: Path, start: Any, got: Any) -> None:
    database = Database(url)
    start.wait()
    got.put(Admission(database).admit({"file": a_store(root)}).identities["file"])
    database.close()


def test_replicas_that_start_at_once_agree(database: Database, root: Path) -> None:
    url = f"sqlite:///{database.url.database}"
    context = multiprocessing.get_context("spawn")
    start, got = context.Barrier(4), context.Queue()
    replicas = [context.Process(target=_admit_at_once, args=(url, root, start, got)) for _ in range(4)]
    for replica in replicas:
        replica.start()
    identities = {got.get(timeout=60) for _ in replicas}
    for replica in replicas:
        replica.join(60)
    assert identities == {admit(database, root)}


# --- Stores from before the marks ---------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, SAMPLE + 3])
def test_a_store_in_use_from_before_the_marks_is_known_by_its_objects(
    database: Database, root: Path, count: int
) -> None:
    keys = with_images(database, root, count)
    identity = admit(database, root)
    assert (root / MARK).read_text() == f"{identity}\n"
    assert content(a_store(root), keys[0]) == b"data"


def test_a_store_that_has_lost_a_few_objects_is_known_by_the_others(database: Database, root: Path) -> None:
    keys = with_images(database, root, 5)
    for key in keys[:2]:
        a_store(root).delete(key)
    admit(database, root)


@pytest.mark.parametrize("left", ["nothing", "an empty directory", "the old layout", "some uploads of that time"])
def test_a_bare_mount_point_is_not_taken_for_a_store_from_before_the_marks(
    database: Database, root: Path, tmp_path: Path, left: str
) -> None:
    keys = with_images(database, root, 5)
    root.rename(tmp_path / "away")
    if left != "nothing":
        root.mkdir()
    if left == "the old layout":
        (root / "objects").mkdir()
        (root / "incoming").mkdir()
    if left == "some uploads of that time":
        put(marked(a_store(root)), keys[0], b"data")
        (root / MARK).unlink()
    before = sorted(root.rglob("*"))
    with pytest.raises(StoreAbsent, match=r"section \[stores.file\].*of 5 objects are not there.*store adopt file"):
        admit(database, root)
    assert sorted(root.rglob("*")) == before
    shutil.rmtree(root, ignore_errors=True)
    (tmp_path / "away").rename(root)
    admit(database, root)


def test_a_store_whose_images_were_all_deleted_is_taken(database: Database, root: Path) -> None:
    """Also with objects that an earlier release forgot."""
    with_images(database, root, 1)
    catalogue = UnheardImages(database)
    for image_id in database.read(lambda connection: list(connection.scalars(tables.images.select()))):
        catalogue.delete(image_id, Image.require_deletable, NOON)
    admit(database, root)


def test_a_full_store_from_before_the_marks_is_taken_without_one(
    database: Database, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, nobody could delete an image to make room."""
    with_images(database, root, 1)

    def fill(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", fill)
        assert Admission(database).admit({"file": a_store(root)}) == Admitted()
    admit(database, root)


# --- Stores that are not there ------------------------------------------------------------------------


def _away(root: Path) -> None:
    root.rename(root.with_name("away"))


def _bare(root: Path) -> None:
    _away(root)
    root.mkdir()


def _another(root: Path) -> None:
    _away(root)
    marked(a_store(root), "b" * 32)


def _unreachable(root: Path) -> None:
    _away(root)
    root.write_text("a file")


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (_away, "has no store-id; is it mounted?"),
        (_bare, "has no store-id; is it mounted?"),
        (_unreachable, "Not a directory"),
    ],
)
def test_a_start_without_a_store_finds_it_down_and_leaves_its_place_as_it_is(
    database: Database, root: Path, happens: Callable[[Path], None], told: str
) -> None:
    identity = admit(database, root)
    happens(root)
    before = sorted(root.parent.rglob("*"))
    store = a_store(root)
    found = Admission(database).admit({"file": store})
    assert (found.identities, found.awaited) == ({"file": identity}, {})
    for part in (str(root), told):
        assert part in found.down["file"]
    for use in (lambda: put(store, "k", b"data"), lambda: store.delete("k"), lambda: store.read("k")):
        with pytest.raises(StoreUnavailable):
            use()
    assert sorted(root.parent.rglob("*")) == before
    shutil.rmtree(root) if root.is_dir() else root.unlink(missing_ok=True)
    root.with_name("away").rename(root)
    put(store, "k", b"data")
    assert admit(database, root) == identity


def test_a_start_with_another_store_in_its_place_is_refused_and_says_what_to_do(database: Database, root: Path) -> None:
    identity = admit(database, root)
    _another(root)
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(StoreAbsent) as caught:
        admit(database, root)
    for part in ("section [stores.file]", str(root), "has the store-id of another store", "headwater store adopt file"):
        assert part in str(caught.value)
    assert sorted(root.parent.rglob("*")) == before
    shutil.rmtree(root)
    root.with_name("away").rename(root)
    assert admit(database, root) == identity


class Deaf(MemoryStore):
    """A store that answers when the test lets it."""

    abilities = replace(MemoryStore.abilities, has_identity=True)

    def __init__(self, name: str) -> None:
        super().__init__(name, MemoryStoreSettings(type="memory"))
        self.answers = threading.Event()

    def list(self, prefix: str = "") -> Iterator[Stored]:
        self.answers.wait(20)
        return super().list(prefix)

    def mark(self, identity: str) -> str:
        self.answers.wait(20)
        return "d" * 32


def test_a_store_that_hangs_holds_up_no_other_and_is_awaited(database: Database, root: Path) -> None:
    deaf = Deaf("deaf")
    try:
        found = Admission(database).admit({"deaf": deaf, "file": a_store(root)}, wait_s=0.5)
    finally:
        deaf.answers.set()
    assert set(found.identities) == {"file"}
    assert found.down == found.awaited == {"deaf": "it did not answer within 0.5 s"}


def test_a_store_that_was_never_reached_is_not_used_before_it_is_admitted(database: Database, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("a file")
    found = Admission(database).admit({"file": a_store(root)})
    assert not found.identities
    assert "Not a directory" in found.awaited["file"]
    root.unlink()
    store = AwaitedStore(a_store(root), found.awaited["file"])
    for use in (
        lambda: put(store, "k", b"data"),
        lambda: store.delete("k"),
        lambda: store.read("k"),
        lambda: store.stat("k"),
        lambda: list(store.list()),
        store.ping,
        lambda: store.mark("a" * 32),
    ):
        with pytest.raises(StoreUnavailable, match=r"was not reached yet.*Not a directory"):
            use()
    assert not root.exists()
    identity = Admission(database).admit_one("file", store.below)
    assert identity is not None
    store.expect(identity)
    put(store, "k", b"data")
    assert content(store, "k") == b"data"


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_new_catalogue_beside_a_used_store_is_refused_and_says_what_to_do(
    database: Database, root: Path, is_marked: bool
) -> None:
    store = marked(a_store(root))
    put(store, "k", b"of the catalogue that is not here")
    if not is_marked:
        (root / MARK).unlink()
    with pytest.raises(CatalogueAbsent) as caught:
        admit(database, root)
    for part in ("section [stores.file]", str(database.url.database), "'url'", "headwater store adopt file"):
        assert part in str(caught.value)
    assert (root / MARK).exists() == is_marked


# --- Adopting on purpose ------------------------------------------------------------------------------


def test_another_store_is_adopted_on_purpose_only(database: Database, data_dir: Path, root: Path) -> None:
    admit(database, root)
    _another(root)
    done = adopt(data_dir, "file")
    assert (done.exit_code, done.stdout) == (
        0,
        "store file: adopted, 0 of 0 objects that were looked for are there\n",
    )
    assert admit(database, root) == "b" * 32


def test_an_empty_store_is_adopted_in_place_of_one_that_is_lost(database: Database, data_dir: Path, root: Path) -> None:
    with_images(database, root, 3)
    lost = admit(database, root)
    shutil.rmtree(root)
    document = json.loads(adopt(data_dir, "file", "--json").stdout)
    assert document == {"name": "file", "identity": admit(database, root), "looked_for": 3, "found": 0}
    assert document["identity"] != lost


def test_a_new_catalogue_begins_anew_beside_old_objects_on_purpose_only(data_dir: Path, root: Path) -> None:
    put(marked(a_store(root)), "k", b"old")
    assert adopt(data_dir, "file").exit_code == 0
    database = Database(f"sqlite:///{data_dir / 'headwater.db'}")
    admit(database, root)
    database.close()
    assert content(a_store(root), "k") == b"old"


def test_what_is_no_store_of_ours_cannot_be_adopted(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text('[stores.file]\ntype = "file"\n[stores.web]\ntype = "http"\n')
    for name in ("web", "nobody"):
        words = ["--config", str(tmp_path / "headwater.toml"), "--data-dir", str(data_dir), "store", "adopt", name]
        assert f"there is no store '{name}'" in str(CliRunner().invoke(app, words).exception)
    assert not data_dir.exists()
