"""What Headwater keeps is its owner's only."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.database import schema
from headwater.database.engine import Database
from headwater.server import data_dir


@pytest.fixture(autouse=True)
def permissive() -> Iterator[None]:
    """Whatever the umask, here one that forbids nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_directory_and_its_database_are_made_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    data_dir.prepare(directory)
    assert mode(directory) == 0o700
    database = Database(f"sqlite:///{directory / 'headwater.db'}")
    assert database.file is not None
    data_dir.close_database(database.file)
    schema.upgrade(database)
    database.write(lambda connection: connection.exec_driver_sql("UPDATE catalogue_revisions SET revision = 1"))
    files = {path.name: mode(path) for path in directory.iterdir()}
    database.close()
    assert files == {f"headwater.db{part}": 0o600 for part in ("", "-wal", "-shm", "-writer")}


def test_an_installation_of_an_earlier_release_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "data"
    (directory / "stores" / "file").mkdir(parents=True)
    files = [directory / f"headwater.db{part}" for part in ("", "-wal", "-shm", "-writer")]
    for file in files:
        file.touch(0o664)
    data_dir.prepare(directory)
    data_dir.close_directories(directory)
    data_dir.close_database(files[0])
    assert [mode(path) for path in (directory, directory / "stores")] == [0o700, 0o700]
    assert [mode(file) for file in files] == [0o600] * 4
    assert caplog.records == []


@pytest.mark.parametrize("what", ["somebody's file", "shared by all"])
def test_a_directory_that_is_not_ours_alone_stays_as_it_is_and_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    directory, images = tmp_path / "data", tmp_path / "images"
    data_dir.prepare(directory)
    images.mkdir(0o750)
    if what == "somebody's file":
        (directory / "certificate.pem").touch()
        directory.chmod(0o755)
    else:
        directory.chmod(0o1777)
    before = mode(directory)
    with caplog.at_level(logging.WARNING):
        data_dir.close_directories(directory)
        data_dir.tell_of_open([images, tmp_path / "not there"])
    assert (mode(directory), mode(images)) == (before, 0o750)
    told = {(record.__dict__["path"], record.__dict__["mode"]) for record in caplog.records}
    assert told == {(str(directory), f"{before:o}"), (str(images), "750")}


def test_a_directory_that_hangs_keeps_nobody_from_looking_at_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, gone, usual, is_back = tmp_path / "images", tmp_path / "gone", Path.stat, threading.Event()
    images.mkdir(0o750)

    def stat(path: Path, **more: Any) -> os.stat_result:
        if path == gone:
            is_back.wait(60)
        return usual(path, **more)

    monkeypatch.setattr(Path, "stat", stat)
    with caplog.at_level(logging.WARNING):
        data_dir.tell_of_open([gone, images], wait_s=0.2)
    assert [record.__dict__["path"] for record in caplog.records] == [str(images)]
    assert not is_back.is_set()
    is_back.set()


def test_only_a_file_is_closed() -> None:
    assert Database("postgresql://a@b/c").file is None
    data_dir.close_database(None)
