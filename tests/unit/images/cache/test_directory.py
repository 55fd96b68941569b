"""The files of a cache: whole or not there, ours or not touched, never more than its size."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.image_catalogue import an_image
from headwater.caching.directory import CacheUnavailable, Filling, Removed, is_left, let_go
from headwater.errors import SettingsError
from headwater.images.cache.directory import CacheDirectory, name_of

HASH = "ab" * 64


def a_name(size: int = 100) -> str:
    return f"{uuid.uuid4()}.sha512.{HASH}.{size}"


def begun(cache: CacheDirectory, name: str) -> int:
    found = cache.begin(name)
    assert isinstance(found, Filling)
    assert found.is_ours
    return found.file


def fill(cache: CacheDirectory, name: str, *, at: float | None = None) -> Path:
    file = begun(cache, name)
    os.write(file, bytes(int(name.rpartition(".")[2])))
    assert cache.keep(name, file)
    os.close(file)
    path = cache.find(name)
    assert path is not None
    if at is not None:
        marked = int(at) * 10**9 + path.stat().st_mtime_ns % 10**9
        os.utime(path, ns=(marked, marked))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return CacheDirectory(tmp_path / "cache", 1000)


def test_an_image_is_named_by_its_id_its_hash_and_its_size() -> None:
    image = an_image(size=7, os_hash_algo="sha512", os_hash_value=HASH, checksum="cd" * 16)
    assert name_of(image) == f"{image.id}.sha512.{HASH}.7"
    assert name_of(an_image(size=7, checksum="cd" * 16)) is not None
    assert name_of(an_image(size=7)) is None
    assert name_of(an_image(size=0, checksum="cd" * 16)) is None
    assert name_of(an_image(checksum="cd" * 16)) is None


def test_what_is_kept_is_found_with_its_hits(cache: CacheDirectory) -> None:
    name = a_name()
    fill(cache, name, at=1000.0)
    cache.hit(name)
    cache.hit(name)
    (found,) = cache.images()
    assert (found.name, found.size, found.hits) == (name, 100, 2)
    assert found.last_accessed > int(found.last_modified) == 1000
    assert cache.begin(name) == cache.find(name)


def test_what_somebody_touched_is_not_there_any_more(cache: CacheDirectory) -> None:
    name = a_name()
    path = fill(cache, name)
    with path.open("r+b") as file:
        file.write(b"x")
    assert cache.find(name) is None
    assert cache.images() == []
    assert fill(cache, name).read_bytes() == bytes(100)


def test_a_file_system_that_keeps_no_such_times_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "utime", lambda *_, **__: None)
    cache = CacheDirectory(tmp_path, 1000)
    name = a_name()
    assert fill(cache, name) == cache.find(name)


def test_two_never_fetch_the_same(cache: CacheDirectory) -> None:
    name = a_name()
    file = begun(cache, name)
    second = cache.begin(name)
    assert isinstance(second, Filling)
    assert not second.is_ours
    assert not is_left(second.file)
    let_go(file)
    assert is_left(second.file)
    os.close(file)
    os.close(second.file)


def test_what_a_killed_process_left_is_fetched_anew(cache: CacheDirectory) -> None:
    name = a_name()
    left = (
        "import os, sys; from pathlib import Path; from headwater.images.cache.directory import CacheDirectory\n"
        "begun = CacheDirectory(Path(sys.argv[1]), 1 << 30).begin(sys.argv[2])\n"
        "os.write(begun.file, b'some of it')\n"
        "os._exit(0)"  # as when it is killed: nothing is cleaned up
    )
    subprocess.run([sys.executable, "-c", left, cache.root, name], check=True)
    assert (cache.root / "filling" / name).exists()
    file = begun(cache, name)
    assert os.fstat(file).st_size == 0
    os.close(file)


def test_what_was_deleted_while_it_was_fetched_is_not_kept(cache: CacheDirectory) -> None:
    name = a_name()
    file = begun(cache, name)
    assert cache.remove(name.partition(".")[0])
    other = begun(cache, name)  # by somebody else, who has come to nothing yet
    os.write(file, bytes(100))
    assert not cache.keep(name, file)
    cache.discard(name, file)
    assert cache.find(name) is None
    assert (cache.root / "filling" / name).exists()
    os.close(file)
    os.close(other)


def test_what_was_not_read_for_longest_makes_room(cache: CacheDirectory) -> None:
    old, new = a_name(400), a_name(400)
    fill(cache, old, at=1000.0)
    fill(cache, new, at=500.0)
    cache.hit(new)
    fill(cache, a_name(300))
    assert cache.find(old) is None
    assert cache.find(new) is not None


def test_what_does_not_fit_removes_nothing(cache: CacheDirectory) -> None:
    kept = a_name(100)
    fill(cache, kept)
    assert cache.begin(a_name(1001)) is None
    fetched = a_name(900)
    file = begun(cache, fetched)  # counts as it will be
    assert cache.begin(a_name(101)) is None
    assert cache.find(kept) is not None
    os.close(file)


def test_a_smaller_size_is_kept_to_by_the_next_pruning(cache: CacheDirectory) -> None:
    old, new, gone = a_name(400), a_name(400), a_name(100)
    for number, name in enumerate((old, new, gone)):
        fill(cache, name, at=1000.0 + number)
    smaller = CacheDirectory(cache.root, 500)
    assert smaller.prune(lambda name: name != gone) == Removed(2, 500)
    assert [each.name for each in smaller.images()] == [new]
    assert list((cache.root / "hits").iterdir()) == []


def test_a_full_disk_caches_nothing_new(cache: CacheDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 50})())
    assert cache.begin(a_name(100)) is None
    fill(cache, a_name(40))


@pytest.mark.parametrize("rubbish", ["symlink", "directory", "fifo", "shorter", "longer"])
def test_rubbish_under_a_good_name_is_not_given(cache: CacheDirectory, rubbish: str) -> None:
    name = a_name()
    path = cache.root / "images" / name
    elsewhere = cache.root / "elsewhere"
    elsewhere.write_bytes(bytes(100))
    make: dict[str, Callable[[], object]] = {
        "symlink": lambda: path.symlink_to(elsewhere),
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "shorter": lambda: path.write_bytes(bytes(99)),
        "longer": lambda: path.write_bytes(bytes(101)),
    }
    make[rubbish]()
    assert cache.find(name) is None
    assert cache.images() == []
    cache.clean()
    cache.clear()
    assert elsewhere.exists()


@pytest.mark.parametrize("room", ["images", "filling", "hits", "queue"])
def test_names_that_are_none_of_ours_stay(cache: CacheDirectory, room: str) -> None:
    strange = cache.root / room / "strange"
    strange.write_text("of somebody")
    cache.clean()
    cache.clear()
    assert cache.prune(lambda _: False) == Removed()
    assert cache.queued() == []
    assert strange.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_given(cache: CacheDirectory) -> None:
    name = a_name()
    os.chown(fill(cache, name), 12345, 12345)
    assert cache.find(name) is None
    assert cache.images() == []


@pytest.mark.parametrize("room", ["images", "filling", "hits", "queue"])
def test_a_directory_that_leads_elsewhere_is_refused(tmp_path: Path, room: str) -> None:
    (tmp_path / room).symlink_to(tmp_path)
    with pytest.raises(SettingsError, match="section \\[cache\\], key 'directory'"):
        CacheDirectory(tmp_path, 1000)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="section \\[cache\\], key 'directory'"):
        CacheDirectory(tmp_path / "file", 1000)


def test_a_queue_is_in_order_and_names_images_only(cache: CacheDirectory) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for number, image_id in enumerate((first, second)):
        cache.queue(image_id)
        os.utime(cache.root / "queue" / image_id, (number, number))
    assert cache.queued() == [first, second]
    assert cache.unqueue(first)
    assert not cache.unqueue(first)
    assert not cache.unqueue("../lock")
    assert cache.queued() == [second]


def test_one_process_takes_a_turn(cache: CacheDirectory) -> None:
    assert cache.takes_turn("pruned", 60)
    assert not CacheDirectory(cache.root, 1000).takes_turn("pruned", 60)
    os.utime(cache.root / "pruned", (0, 0))
    assert cache.takes_turn("pruned", 60)


@pytest.mark.parametrize(
    "lost", ["", "images", "filling", "hits", "queue"], ids=["all", "images", "filling", "hits", "queue"]
)
@pytest.mark.parametrize("then", ["fill", "list", "queue"])
def test_what_is_lost_while_it_is_used_is_made_anew_when_it_is_missed(
    cache: CacheDirectory, caplog: pytest.LogCaptureFixture, lost: str, then: str
) -> None:
    fill(cache, a_name())
    shutil.rmtree(cache.root / lost)
    if then == "fill":
        assert fill(cache, a_name()).exists()
    elif then == "list":
        assert len(cache.images()) == (0 if lost in ("", "images") else 1)
    else:
        cache.queue(an_id := str(uuid.uuid4()))
        assert cache.queued() == [an_id]
    for _ in range(3):
        fill(cache, a_name())
    assert [each.message for each in caplog.records] == ["the directory of a cache was gone, and is made anew"]
    assert {each.name: f"{each.stat().st_mode:o}" for each in cache.root.iterdir() if each.is_dir()} == dict.fromkeys(
        ("images", "filling", "hits", "queue"), "40700"
    )


@pytest.mark.timeout(20)
def test_who_holds_the_lock_makes_anew_what_is_lost_and_waits_for_nobody(cache: CacheDirectory) -> None:
    with cache.alone():
        shutil.rmtree(cache.root / "hits")
        assert cache.images() == []
    assert (cache.root / "hits").is_dir()


def test_what_is_lost_and_cannot_be_made_again_is_unavailable_until_it_can(cache: CacheDirectory) -> None:
    shutil.rmtree(cache.root)
    cache.root.write_bytes(b"in the way")
    with pytest.raises(CacheUnavailable, match="cannot keep anything in"):
        cache.images()
    for call in (cache.clear, cache.queued, lambda: cache.begin(a_name())):
        with pytest.raises(CacheUnavailable, match="does not work"):
            call()
    assert cache.find(a_name()) is None
    cache.hit(a_name())
    cache.root.unlink()
    assert fill(cache, a_name()).exists()
