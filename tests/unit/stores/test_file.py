from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.stores.file import MARK, FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.registry import open_stores
from headwater.stores.store import ForeignUrl, StoreRefusesWrites, StoreUnavailable, WriteLost
from headwater.stores.store_type import Surroundings
from headwater.stores.web import HttpStoreSettings
from headwater.testing.object_store import content, marked, put


def test_objects_lie_where_the_module_says(tmp_path: Path) -> None:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path))
    writer = store.begin("key")
    assert (tmp_path / "incoming" / "key").exists()
    writer.write(b"x")
    writer.commit()
    directory = hashlib.sha256(b"key").hexdigest()[:2]
    assert (tmp_path / "objects" / directory / "key").read_bytes() == b"x"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_an_object_is_not_for_everybody(tmp_path: Path) -> None:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path))
    store.begin("key").commit()
    assert store.path("key").stat().st_mode & 0o007 == 0


def test_a_root_of_the_settings_goes_over_the_default(tmp_path: Path) -> None:
    marked(FileStore("files", FileStoreSettings(root=tmp_path / "mine"), tmp_path / "default")).begin("k").commit()
    assert (tmp_path / "mine" / MARK).exists()
    assert not (tmp_path / "default").exists()


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_directory_that_cannot_be_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    root = tmp_path / "a file" if place == "a file" else tmp_path / "a file" / "below"
    with pytest.raises(SettingsError, match=r"section \[stores\.files\], key 'root'.*give a directory") as caught:
        FileStore("files", FileStoreSettings(), root).mark("a" * 32)
    assert str(root) in str(caught.value)


def test_a_store_whose_directory_vanished_is_unavailable(tmp_path: Path) -> None:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path / "store"))
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
    store = marked(FileStore("files", FileStoreSettings(), tmp_path))
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


def test_a_directory_that_may_not_be_used_any_more_is_unavailable_and_loses_nothing() -> None:
    """Asked as another user, in a process of its own: root may do everything."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as root:  # others may not look into those of pytest
        store = marked(FileStore("files", FileStoreSettings(), Path(root)))
        put(store, "k", b"bytes")
        for each in (Path(root), *Path(root).rglob("*")):
            each.chmod(0o755)  # which lets others look, and no more
        words = [sys.executable, "-c", _AS_NOBODY, root]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == ""
        told = json.loads(done.stdout)
        assert set(told) == {"begin", "delete", "ping"}
        assert all("Permission denied" in reason for reason in told.values())
        assert content(store, "k") == b"bytes"


# What is read by others, such as the library itself, is loaded before.
_AS_NOBODY = """
import json, os, sys
from pathlib import Path
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.testing.object_store import content

store = FileStore("files", FileStoreSettings(), Path(sys.argv[1]))
store.expect(store.identity())
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
told = {}
for name, call in {"read": lambda: content(store, "k"), "begin": lambda: store.begin("new"),
                   "delete": lambda: store.delete("k"), "ping": store.ping}.items():
    try:
        call()
    except StoreUnavailable as error:
        told[name] = error.reason
print(json.dumps(told))
"""


def test_bytes_are_flushed_before_they_are_visible_unless_the_settings_say_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(descriptor: int) -> None:
        steps.append("flush directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "flush file")  # noqa: PTH112
        fsync(descriptor)

    def note_rename(*places: Any, **descriptors: Any) -> None:
        steps.append("rename")
        rename(*places, **descriptors)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    for flush, expected in (
        (True, ["flush file", "flush directory", "rename", "flush directory"]),
        (False, ["rename"]),
    ):
        store = marked(FileStore("files", FileStoreSettings(fsync=flush), tmp_path / str(flush)))
        steps.clear()
        writer = store.begin("k")
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
        Surroundings(tmp_path, Fetcher(FetchSettings())),
    )
    assert list(stores) == ["m", "f", "g", "w"]
    assert [store.name for store in stores.values()] == ["m", "f", "g", "w"]
    assert [store.abilities.writes for store in stores.values()] == [True, True, True, False]
    assert isinstance(stores["m"], MemoryStore)
    assert [store.abilities.has_identity for store in stores.values()] == [False, True, True, False]
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is known that a store is new
    stores["f"].mark("a" * 32)
    stores["g"].mark("b" * 32)
    assert (tmp_path / "stores" / "f" / "objects").is_dir()
    assert (tmp_path / "g" / "objects").is_dir()


# --- A store that is not there ------------------------------------------------------------------------


def test_a_bare_mount_point_is_not_the_store_and_stays_bare(tmp_path: Path) -> None:
    """As a file system that is unmounted: another, empty directory lies at the path."""
    root, away = tmp_path / "mount-point", tmp_path / "away"
    store = marked(FileStore("files", FileStoreSettings(), root))
    put(store, "k", b"kept")
    begun = store.begin("begun")
    begun.write(b"bytes")
    root.rename(away)
    root.mkdir()
    for old_layout in (False, True):
        if old_layout:  # what a release before this one made in a bare mount point
            (root / "objects").mkdir()
            (root / "incoming").mkdir()
        calls = (store.delete, store.begin, store.read, store.stat, store.path)
        for call in calls:
            with pytest.raises(StoreUnavailable, match="mount-point has no store-id; is it mounted"):
                call("k")
        with pytest.raises(StoreUnavailable):
            list(store.list())
        with pytest.raises(StoreUnavailable):
            store.ping()
        with pytest.raises(StoreUnavailable):
            begun.commit()
    assert sorted(path.name for path in root.rglob("*")) == ["incoming", "objects"]
    shutil.rmtree(root)
    away.rename(root)
    store.ping()
    assert content(store, "k") == b"kept"


def test_a_directory_that_is_exchanged_within_a_call_is_seen_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away between the look at its mark and the removal of the file."""
    root, away = tmp_path / "root", tmp_path / "away"
    store = marked(FileStore("files", FileStoreSettings(), root))
    put(store, "k", b"bytes")
    unlink = os.unlink

    def unmount_first(*path: Any, **where: Any) -> None:
        if root.exists():
            root.rename(away)
        unlink(*path, **where)

    with monkeypatch.context() as racing:
        racing.setattr(os, "unlink", unmount_first)
        store.delete("k")
    away.rename(root)
    assert list(store.list()) == []


def test_a_write_ends_only_where_it_began(tmp_path: Path) -> None:
    """The store's directory was replaced by a copy with the same mark: what lies in it is not what was written."""
    root = tmp_path / "root"
    store = marked(FileStore("files", FileStoreSettings(), root))
    writer = store.begin("k")
    shutil.copytree(root, tmp_path / "copy")
    writer.write(b"after the copy")
    root.rename(tmp_path / "away")
    (tmp_path / "copy").rename(root)
    with pytest.raises(WriteLost):
        writer.commit()
    assert list(store.list()) == []


@pytest.mark.parametrize("left", ["", "not an identity\n", "0123456789abcdef"], ids=["empty", "other", "torn"])
def test_a_mark_that_is_none_is_replaced(tmp_path: Path, left: str) -> None:
    store = FileStore("files", FileStoreSettings(), tmp_path)
    (tmp_path / MARK).write_text(left)
    assert store.identity() is None
    assert store.mark("a" * 32) == "a" * 32
    assert store.identity() == "a" * 32
    assert sorted(path.name for path in tmp_path.iterdir()) == ["incoming", "objects", MARK]


def test_a_file_system_without_links_is_marked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = FileStore("files", FileStoreSettings(), tmp_path)
    assert store.mark("a" * 32) == "a" * 32
    assert store.mark("b" * 32) == "a" * 32


@pytest.mark.parametrize(("number", "told"), [(28, "it is full"), (122, "it is full"), (30, "it is read only")])
def test_a_store_that_takes_nothing_says_so_when_pinged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path))
    put(store, "k", b"bytes")

    def refuse(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as refusing:
        refusing.setattr(os, "write", refuse)
        with pytest.raises(StoreRefusesWrites, match=told) as caught:
            store.ping()
    assert caught.value.told.startswith(f"The store files takes no data at the moment: {told}")
    assert content(store, "k") == b"bytes"
    assert list((tmp_path / "incoming").iterdir()) == []


def test_what_a_store_makes_is_its_owners_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = marked(FileStore("files", FileStoreSettings(), tmp_path / "root"))
        put(store, "k", b"bytes")
        store.begin("begun")
    finally:
        os.umask(before)
    made = [tmp_path / "root", *(tmp_path / "root").rglob("*")]
    assert len(made) == 7
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o600}


def test_a_key_that_is_a_path_makes_no_directories(tmp_path: Path) -> None:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path))
    put(store, "a/b/c", b"bytes")
    directory = hashlib.sha256(b"a/b/c").hexdigest()[:2]
    assert store.path("a/b/c") == tmp_path / "objects" / directory / "a~b~c"
    assert store.url_of("a/b/c") == f"file://{tmp_path}/objects/{directory}/a~b~c"
    store.delete("a/b/c")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / MARK]


def test_a_url_of_another_directory_or_of_a_wrong_place_in_it_is_refused(tmp_path: Path) -> None:
    store = FileStore("files", FileStoreSettings(), tmp_path / "a b")
    url = store.url_of("k")
    assert url.startswith(f"file://{tmp_path}/a%20b/objects/")
    assert store.key_of(url) == "k"
    other = FileStore("others", FileStoreSettings(), tmp_path / "other").url_of("k")
    for wrong in (other, url.replace("objects", "incoming"), url.replace("%20", " "), f"file://{tmp_path}/a%20b/k"):
        with pytest.raises(ForeignUrl, match="store files"):
            store.key_of(wrong)


def test_what_others_put_beside_objects_is_none(tmp_path: Path) -> None:
    store = marked(FileStore("here", FileStoreSettings(root=tmp_path), tmp_path))
    put(store, "key", b"data")
    (tmp_path / "objects" / "README").write_text("of somebody")
    for directory in [each for each in (tmp_path / "objects").iterdir() if each.is_dir()]:
        (directory / ".snapshot").mkdir()
    assert [each.key for each in store.list()] == ["key"]


def test_a_directory_of_objects_that_takes_none_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path))
    store.ping()
    # As another user finds it: tests may run as root, to whom everything is open.
    monkeypatch.setattr(os, "access", lambda place, *_, **__: place != "objects")
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        store.ping()
    assert list((tmp_path / "incoming").iterdir()) == []
