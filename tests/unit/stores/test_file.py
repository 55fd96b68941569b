from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from headwater.errors import SettingsError
from headwater.stores.fetch import Fetcher, FetchSettings
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.registry import open_stores
from headwater.stores.store import StoreUnavailable
from headwater.stores.web import HttpStoreSettings


def test_objects_lie_where_the_module_says(tmp_path: Path) -> None:
    store = FileStore("files", FileStoreSettings(), tmp_path)
    writer = store.begin("key")
    assert (tmp_path / "incoming" / "key").exists()
    writer.write(b"x")
    writer.commit()
    directory = hashlib.sha256(b"key").hexdigest()[:2]
    assert (tmp_path / "objects" / directory / "key").read_bytes() == b"x"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_an_object_is_not_for_everybody(tmp_path: Path) -> None:
    store = FileStore("files", FileStoreSettings(), tmp_path)
    store.begin("key").commit()
    assert store.path("key").stat().st_mode & 0o007 == 0


def test_a_root_of_the_settings_goes_over_the_default(tmp_path: Path) -> None:
    FileStore("files", FileStoreSettings(root=tmp_path / "mine"), tmp_path / "default").begin("k").commit()
    assert not (tmp_path / "default").exists()


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_directory_that_cannot_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    root = tmp_path / "a file" if place == "a file" else tmp_path / "a file" / "below"
    with pytest.raises(SettingsError, match=r"section \[stores\.files\], key 'root'.*give a directory") as caught:
        FileStore("files", FileStoreSettings(), root)
    assert str(root) in str(caught.value)


def test_a_store_whose_directory_vanished_is_unavailable(tmp_path: Path) -> None:
    store = FileStore("files", FileStoreSettings(), tmp_path / "store")
    writer = store.begin("k")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="store files does not work"):
        store.ping()
    with pytest.raises(StoreUnavailable):
        store.begin("other")
    with pytest.raises(StoreUnavailable):
        list(store.list())
    with pytest.raises(StoreUnavailable):
        writer.commit()
    writer.abort()


def test_a_disk_that_fails_is_unavailable_and_not_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore("files", FileStoreSettings(), tmp_path)
    writer = store.begin("k")

    def fail(*_arguments: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", fail)
        with pytest.raises(StoreUnavailable, match="Input/output error"):
            writer.write(b"x")
    writer.abort()
    assert list(store.list()) == []
    assert list((tmp_path / "incoming").iterdir()) == []


def test_bytes_are_flushed_before_they_are_visible_unless_the_settings_say_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        steps.append("flush directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "flush file")  # noqa: PTH112
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    for flush, expected in (
        (True, ["flush file", "flush directory", "rename", "flush directory"]),
        (False, ["rename"]),
    ):
        steps.clear()
        writer = FileStore("files", FileStoreSettings(fsync=flush), tmp_path / str(flush)).begin("k")
        writer.write(b"x")
        writer.commit()
        assert steps == expected


def test_stores_are_opened_in_the_order_of_the_settings(tmp_path: Path) -> None:
    stores = open_stores(
        {
            "m": MemoryStoreSettings(type="memory"),
            "f": FileStoreSettings(),
            "g": FileStoreSettings(root=tmp_path / "g"),
            "w": HttpStoreSettings(type="http"),
        },
        tmp_path,
        Fetcher(FetchSettings()),
    )
    assert list(stores) == ["m", "f", "g", "w"]
    assert [store.name for store in stores.values()] == ["m", "f", "g", "w"]
    assert [store.abilities.writes for store in stores.values()] == [True, True, True, False]
    assert isinstance(stores["m"], MemoryStore)
    assert (tmp_path / "stores" / "f" / "objects").is_dir()
    assert (tmp_path / "g" / "objects").is_dir()
