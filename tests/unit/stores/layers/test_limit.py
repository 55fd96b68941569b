from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.layers.limit import LimitedStore
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.s3.settings import S3StoreSettings
from headwater.stores.s3.store import S3Store
from headwater.stores.store import Stored
from headwater.testing.object_store import content, marked, put


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Busy(MemoryStore):
    """A store whose ``stat`` lasts until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__("m", MemoryStoreSettings(type="memory"))
        self.began = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def stat(self, key: str) -> Stored:
        self.began.release()
        assert self.go_on.acquire(timeout=30)
        return Stored(key, 0)


@pytest.fixture
def time() -> Time:
    return Time()


def limited(time: Time, *, read: float | None = None, write: float | None = None) -> LimitedStore:
    below = MemoryStore("m", MemoryStoreSettings(type="memory", chunk_size=1000))
    return LimitedStore(below, read_speed=read, write_speed=write, clock=time.clock, sleep=time.sleep)


def test_bytes_take_as_long_as_the_speed_says(time: Time) -> None:
    store = limited(time, read=1000, write=10_000)
    began = time.now
    put(store, "k", bytes(5000), bytes(5000))
    assert time.now - began == pytest.approx(1, abs=0.11)
    began = time.now
    assert len(content(store, "k")) == 10_000
    assert time.now - began == pytest.approx(10, abs=0.11)


def test_all_who_move_bytes_share_one_speed(time: Time) -> None:
    store = limited(time, write=1000)
    began = time.now
    writers = [store.begin(key) for key in ("a", "b")]
    for _ in range(5):
        for writer in writers:
            writer.write(bytes(1000))
    assert time.now - began == pytest.approx(10, abs=0.11)


def test_a_store_that_had_nothing_to_do_does_not_make_up_for_it(time: Time) -> None:
    store = limited(time, write=1000)
    writer = store.begin("k")
    time.sleep(3600)
    began = time.now
    writer.write(bytes(1000))
    assert time.now - began == pytest.approx(1, abs=0.11)


def test_a_file_is_given_only_where_no_speed_of_reading_is_gone_around(tmp_path: Path) -> None:
    files = marked(FileStore("files", FileStoreSettings(), tmp_path))
    put(files, "k", b"bytes")
    for store, gives in (
        (LimitedStore(files, concurrency=1, write_speed=1), True),
        (LimitedStore(files, read_speed=1e9), False),
    ):
        assert store.abilities.gives_paths is gives
        assert (store.path("k") is not None) is gives


def test_an_address_is_given_only_where_no_speed_of_reading_is_gone_around(tmp_path: Path) -> None:
    access = {"access_key": "key", "secret_key": "secret"}
    settings = {"type": "s3", "endpoint": "https://s3.example.org", "bucket": "images"} | access
    below = S3Store("s3", S3StoreSettings.model_validate(settings), tmp_path)
    for store, gives in (
        (LimitedStore(below, concurrency=1, write_speed=1), True),
        (LimitedStore(below, read_speed=1e9), False),
    ):
        assert store.abilities.gives_urls is gives
        assert (store.presigned("k", 60) is not None) is gives
    below.close()


def test_more_calls_than_may_work_wait_for_their_turn_and_a_ping_does_not() -> None:
    below = Busy()
    store = LimitedStore(below, concurrency=2)
    threads = [threading.Thread(target=store.stat, args=("k",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert below.began.acquire(timeout=30)
    assert not below.began.acquire(timeout=0.2)
    store.ping()
    below.go_on.release()
    assert below.began.acquire(timeout=30)
    assert not below.began.acquire(timeout=0.2)
    for _ in range(4):
        below.go_on.release()
    for thread in threads:
        thread.join(30)


def test_who_has_opened_or_begun_something_holds_no_turn() -> None:
    store = LimitedStore(MemoryStore("m", MemoryStoreSettings(type="memory", chunk_size=1)), concurrency=1)
    put(store, "k", b"bytes")
    reading, writer = store.read("k"), store.begin("other")
    next(reading)
    writer.write(b"x")
    assert store.stat("k") == Stored("k", 5)
    assert writer.commit() == Stored("other", 1)
    assert b"".join(reading) == b"ytes"


def test_a_turn_is_given_back_by_what_fails() -> None:
    store = LimitedStore(MemoryStore("m", MemoryStoreSettings(type="memory")), concurrency=1)
    for _ in range(3):
        with pytest.raises(Exception, match="absent"):
            store.stat("absent")
