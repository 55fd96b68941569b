"""Who touches a file of a store takes away what was known of its bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.store import Proof
from headwater.testing.object_store import marked, put

SECOND = 10**9


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    put(store, "k", b"the bytes")
    return store


def proof(store: FileStore) -> Proof:
    found = store.proof("k")
    assert found is not None
    return found


def write_into(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"T")


def restore_without_nanoseconds(file: Path) -> None:
    os.utime(file, ns=(0, file.stat().st_mtime_ns // SECOND * SECOND))


def bring_another(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"THE BYTES")
    other.replace(file)


def cut(file: Path) -> None:
    os.truncate(file, 3)


@pytest.mark.parametrize("touch", [write_into, restore_without_nanoseconds, bring_another, cut, Path.touch])
def test_nothing_is_known_of_a_file_that_was_touched_until_it_is_read(
    store: FileStore, touch: Callable[[Path], None]
) -> None:
    before = proof(store)
    assert before.is_right
    touch(store.path("k"))
    now = proof(store)
    assert now.is_right is None
    store.prove("k", before, is_right=True)  # which was read before
    assert proof(store) == now
    store.prove("k", now, is_right=True)
    assert proof(store).is_right


def test_a_file_that_is_brought_back_with_its_time_is_known(store: FileStore, tmp_path: Path) -> None:
    file = store.path("k")
    shutil.copy2(file, tmp_path / "backup")
    write_into(file)
    shutil.copy2(tmp_path / "backup", file)
    assert proof(store).is_right


def test_the_seconds_of_a_file_stay_what_they_are(store: FileStore) -> None:
    file = store.path("k")
    os.utime(file, (12, 34))
    store.prove("k", proof(store), is_right=False)
    assert file.stat().st_mtime_ns // SECOND == 34
    assert (proof(store).is_right, file.stat().st_mtime_ns % 100) == (False, 0)  # which SMB keeps


def test_no_file_is_of_a_time_to_come(store: FileStore) -> None:
    state = store.path("k").stat()
    assert state.st_mtime_ns <= state.st_ctime_ns


def test_a_file_system_without_nanoseconds_is_recognised_once(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, utime = [], os.utime

    def by_seconds(file: int, *, ns: tuple[int, int]) -> None:
        made.append(file)
        utime(file, ns=(ns[0] // SECOND * SECOND, ns[1] // SECOND * SECOND))

    monkeypatch.setattr(os, "utime", by_seconds)
    for _ in range(2):
        put(store, "k", b"the bytes")
        assert store.proof("k") is None
    assert len(made) == 3  # two commits, and one look
    assert list((tmp_path / "files" / "incoming").iterdir()) == []


def test_where_nobody_may_set_times_files_are_stored_all_the_same(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    put(store, "k", b"other bytes")
    assert store.path("k").read_bytes() == b"other bytes"
    assert store.proof("k") is None


def test_where_nothing_can_be_written_files_are_read_before_they_are_trusted(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_into(store.path("k"))
    opened = os.open

    def open_to_read(path: str, flags: int, *more: int, **where: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return opened(path, flags, *more, **where)

    monkeypatch.setattr(os, "open", open_to_read)
    assert proof(store).is_right is None
