"""Which store is which, on every database."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert

from contracts.image_catalogue import add, an_image
from contracts.unheard import UnheardImages
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.data.admission import Admission, CatalogueAbsent, StoreAbsent
from headwater.stores.file import MARK, FileStore, FileStoreSettings
from headwater.testing.object_store import marked, put


def a_store(root: Path) -> FileStore:
    return FileStore("file", FileStoreSettings(), root)


def admit(database: Database, root: Path) -> str:
    return Admission(database).admit({"file": a_store(root)}).identities["file"]


def test_replicas_that_start_at_once_agree(database: Database, catalogue_url: str, tmp_path: Path) -> None:
    start, got = threading.Barrier(6), []

    def begin() -> None:
        replica = Database(catalogue_url)
        start.wait()
        got.append(admit(replica, tmp_path / "root"))
        replica.close()

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [admit(database, tmp_path / "root")] * 6


def test_a_store_is_known_by_its_objects_and_then_by_its_mark(database: Database, tmp_path: Path) -> None:
    root, image = tmp_path / "root", an_image()
    put(marked(a_store(root)), "k", b"data")
    (root / MARK).unlink()
    with pytest.raises(CatalogueAbsent, match="never had an image"):
        admit(database, root)
    add(UnheardImages(database), image)
    row = {"image_id": image.id, "position": 0, "store": "file", "object_key": "k", "metadata": "{}"}
    database.write(lambda connection: connection.execute(insert(tables.image_locations), row))
    with pytest.raises(StoreAbsent, match="1 of 1 objects are not there"):
        admit(database, tmp_path / "bare")
    identity = admit(database, root)
    shutil.rmtree(root)
    found = Admission(database).admit({"file": a_store(root)})
    assert (found.identities, found.awaited) == ({"file": identity}, {})
    assert "is it mounted" in found.down["file"]
    for _ in range(2):
        adopted = Admission(database).adopt("file", a_store(root))
        assert (adopted.looked_for, adopted.found) == (1, 0)
        assert admit(database, root) == adopted.identity != identity
