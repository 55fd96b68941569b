"""What becomes of bytes that nobody needs, whatever their stores do."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from headwater.database import schema
from headwater.database.engine import Database
from headwater.images.books import Books, discard
from headwater.images.model import Location
from headwater.images.sweeping import EVERY_S, Sweeping
from headwater.jobs.queue import Job, Jobs
from headwater.jobs.runner import Later, Runner
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore, StoreUnavailable
from headwater.testing.image_catalogue import NOON

JOB = Job("id", "sweep", {}, 1, NOON)


class Store(MemoryStore):
    """A store that may be away, and may have objects that stay."""

    def __init__(self, name: str) -> None:
        super().__init__(name, MemoryStoreSettings(type="memory"))
        self.is_away = False
        self.stays: set[str] = set()
        self.tried: list[str] = []

    def delete(self, key: str) -> None:
        self.tried.append(key)
        if self.is_away or key in self.stays:
            raise StoreUnavailable(self.name, "it does not remove that")
        super().delete(key)

    def ping(self) -> None:
        if self.is_away:
            raise StoreUnavailable(self.name, "it is away")


class Counted:
    def __init__(self) -> None:
        self.lies: Mapping[str, int] = {}
        self.failures: list[str] = []

    def left(self, by_store: Mapping[str, int]) -> None:
        self.lies = by_store

    def failed(self, store: str) -> None:
        self.failures.append(store)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    schema.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


class Sweeper:
    """Sweeps with a clock that the test moves."""

    def __init__(self, books: Books, *stores: ObjectStore) -> None:
        self.now = 1000.0
        self.counted = Counted()
        named = {store.name: store for store in stores}
        self.sweeping = Sweeping(books, named, self.counted, clock=lambda: self.now)

    def sweep(self, store: str) -> float:
        """Run the job of a store once; return after how many seconds it wants to run again."""
        with pytest.raises(Later) as later:
            self.sweeping.handlers[f"sweep:{store}"](JOB)
        return later.value.after_s


def throw_away(database: Database, store: str, *keys: str) -> None:
    database.write(lambda connection: discard(connection, [Location(store, key) for key in keys], NOON))


def test_rows_of_a_store_that_is_gone_keep_nothing_else_from_being_removed(database: Database, books: Books) -> None:
    throw_away(database, "gone", *(f"k{number}" for number in range(1000)))
    throw_away(database, "here", *(f"k{number}" for number in range(250)))
    sweeper = Sweeper(books, Store("here"))
    assert sweeper.sweep("here") == EVERY_S
    sweeper.sweeping.look()
    assert sweeper.counted.lies == {"here": 0, "gone": 1000}


def test_bytes_in_a_store_that_the_settings_do_not_name_are_told_of_once_an_hour(
    database: Database, books: Books, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Libraries that configure logging switch off every logger that is there.
    monkeypatch.setattr("headwater.images.sweeping._log.disabled", False)
    throw_away(database, "gone", "a", "b")
    sweeper = Sweeper(books, Store("here"))
    for _ in range(480):
        sweeper.sweeping.look()
        sweeper.now += EVERY_S
    told = [vars(record) for record in caplog.records if record.name == "headwater.images.sweeping"]
    assert [(facts["store"], facts["objects"]) for facts in told] == [("gone", 2)] * 2


def test_a_store_that_is_away_is_asked_less_and_less_often_and_nothing_is_forgotten(
    database: Database, books: Books
) -> None:
    throw_away(database, "here", "a", "b", "c")
    store = Store("here")
    sweeper = Sweeper(books, store)
    store.is_away = True
    assert [sweeper.sweep("here") for _ in range(8)] == [15, 30, 60, 120, 240, 480, 600, 600]
    assert store.tried == ["a"] * 8  # one try tells
    assert books.count_discarded() == {"here": 3}
    store.is_away = False
    assert sweeper.sweep("here") == EVERY_S
    assert books.count_discarded() == {}


def test_an_object_that_stays_is_passed_and_tried_after_pauses_that_grow(database: Database, books: Books) -> None:
    keys = [f"k{number:03}" for number in range(300)]
    throw_away(database, "here", *keys)
    store = Store("here")
    store.stays = {"k000", "k001"}
    sweeper = Sweeper(books, store)
    assert sweeper.sweep("here") == EVERY_S
    assert books.count_discarded() == {"here": 2}
    store.tried.clear()
    for _ in range(16):  # at 15, 30, … 240 s
        sweeper.now += EVERY_S
        sweeper.sweep("here")
    assert store.tried == ["k000", "k001"] * 4  # after 15, 30, 60 and 120 s more
    assert sweeper.counted.failures == ["here"] * 10
    throw_away(database, "here", "new")
    store.stays = set()
    sweeper.sweep("here")
    assert books.count_discarded() == {"here": 2}  # what is new does not wait with them
    sweeper.now += 3600
    sweeper.sweep("here")
    assert books.count_discarded() == {}


def test_an_error_nobody_thought_of_is_passed_too_and_does_not_end_the_only_job_that_sweeps(
    database: Database, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    throw_away(database, "here", "a", "b")
    store = Store("here")
    sweeper = Sweeper(books, store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "delete", lambda key: 1 / 0 if key == "a" else None)
        assert sweeper.sweep("here") == EVERY_S
        assert books.discarded_in("here", "", 9) == [Location("here", "a")]
        broken.setattr(store, "ping", lambda: 1 / 0)
        sweeper.now += EVERY_S
        assert sweeper.sweep("here") == EVERY_S
    sweeper.now += EVERY_S
    sweeper.sweep("here")
    assert books.count_discarded() == {}


def test_a_store_that_hangs_holds_up_no_other_and_one_process_sweeps_a_store(database: Database, books: Books) -> None:
    throw_away(database, "hangs", "a")
    throw_away(database, "works", "a", "b")
    hangs, works = Store("hangs"), Store("works")
    go_on, began = threading.Event(), threading.Semaphore(0)

    def hang(_key: str) -> None:
        began.release()
        assert go_on.wait(20)

    hangs.delete = hang  # type: ignore[method-assign, assignment]  # of this store alone
    jobs = Jobs(database)
    runners = []
    for name in ("one", "two"):
        handlers = Sweeper(books, hangs, works).sweeping.handlers
        runners.append(Runner(jobs, handlers, 2, clock=lambda: NOON, name=name))
        for kind in handlers:
            jobs.ensure(kind, NOON)
        runners[-1].look()
    assert began.acquire(timeout=20)
    done = threading.Event()
    for _ in range(2000):
        if books.count_discarded() == {"hangs": 1}:
            break
        done.wait(0.01)
    assert books.count_discarded() == {"hangs": 1}
    go_on.set()
    for runner in runners:
        runner.close()
    assert not began.acquire(blocking=False)
    assert books.count_discarded() == {}


def test_a_sweep_makes_way_for_the_end_of_its_process(database: Database, books: Books) -> None:
    throw_away(database, "here", "a")
    sweeping = Sweeping(books, {"here": Store("here")}, Counted(), stopping=lambda: True)
    with pytest.raises(Later) as later:
        sweeping.handlers["sweep:here"](JOB)
    assert later.value.after_s == 0
    assert books.count_discarded() == {"here": 1}


def test_names_of_stores_as_long_as_may_be_have_jobs_of_their_own(books: Books) -> None:
    names = ["x" * 63 + each for each in "ab"]
    kinds = list(Sweeper(books, *map(Store, names)).sweeping.handlers)
    assert len(set(kinds)) == 2
    assert all(len(kind) <= 64 for kind in kinds)
