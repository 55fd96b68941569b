"""What becomes of bytes that nobody needs, whatever their stores do."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from contracts.image_catalogue import NOON
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import DiscardedObjectRows, discard
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.sweeping import EVERY_S, Sweeping
from headwater.images.model import Location
from headwater.jobs.queue import Job, Jobs
from headwater.jobs.runner import Later, Runner
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectInUse, ObjectStore, StoreUnavailable
from headwater.threads import Pool

JOB = Job("id", "sweep", {}, 1, NOON)


class Store(MemoryStore):
    """A store that may be away, and may have objects that stay."""

    def __init__(self, name: str) -> None:
        super().__init__(name, MemoryStoreSettings(type="memory"))
        self.is_away = False
        self.stays: set[str] = set()
        self.cloned: set[str] = set()
        self.tried: list[str] = []

    def delete(self, key: str) -> None:
        self.tried.append(key)
        if self.is_away or key in self.stays:
            raise StoreUnavailable(self.name, "it does not remove that")
        if key in self.cloned:
            raise ObjectInUse(self.name, key)
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
def discarded(database: Database) -> DiscardedObjectRows:
    return DiscardedObjectRows(database)


class Sweeper:
    """Sweeps with a clock that the test moves."""

    def __init__(self, discarded: DiscardedObjectRows, *stores: ObjectStore) -> None:
        self.now = 1000.0
        self.counted = Counted()
        named = {store.name: store for store in stores}
        self.sweeping = Sweeping(discarded, named, self.counted, clock=lambda: self.now)

    def sweep(self, store: str) -> float:
        """Run the job of a store once; return after how many seconds it wants to run again."""
        with pytest.raises(Later) as later:
            self.sweeping.handlers[f"sweep:{store}"](JOB)
        return later.value.after_s


def throw_away(database: Database, store: str, *keys: str) -> None:
    database.write(lambda connection: discard(connection, [Location(store, key) for key in keys], NOON))


def test_rows_of_a_store_that_is_gone_keep_nothing_else_from_being_removed(
    database: Database, discarded: DiscardedObjectRows
) -> None:
    throw_away(database, "gone", *(f"k{number}" for number in range(1000)))
    throw_away(database, "here", *(f"k{number}" for number in range(250)))
    sweeper = Sweeper(discarded, Store("here"))
    assert sweeper.sweep("here") == EVERY_S
    sweeper.sweeping.count()
    assert sweeper.counted.lies == {"here": 0, "gone": 1000}


def test_bytes_in_a_store_that_the_settings_do_not_name_are_told_of_once_an_hour(
    database: Database,
    discarded: DiscardedObjectRows,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Libraries that configure logging switch off every logger that is there.
    monkeypatch.setattr("headwater.images.data.sweeping._log.disabled", False)
    throw_away(database, "gone", "a", "b")
    sweeper = Sweeper(discarded, Store("here"))
    for _ in range(480):
        sweeper.sweeping.count()
        sweeper.now += EVERY_S
    told = [vars(record) for record in caplog.records if record.name == "headwater.images.data.sweeping"]
    assert [(facts["store"], facts["objects"]) for facts in told] == [("gone", 2)] * 2


def test_a_store_that_is_away_is_asked_less_and_less_often_and_nothing_is_forgotten(
    database: Database, discarded: DiscardedObjectRows
) -> None:
    throw_away(database, "here", "a", "b", "c")
    store = Store("here")
    sweeper = Sweeper(discarded, store)
    store.is_away = True
    assert [sweeper.sweep("here") for _ in range(8)] == [15, 30, 60, 120, 240, 480, 600, 600]
    assert store.tried == ["a"] * 8  # one try tells
    assert discarded.count() == {"here": 3}
    store.is_away = False
    assert sweeper.sweep("here") == EVERY_S
    assert discarded.count() == {}


def test_an_object_that_stays_is_passed_and_tried_after_pauses_that_grow(
    database: Database, discarded: DiscardedObjectRows
) -> None:
    keys = [f"k{number:03}" for number in range(300)]
    throw_away(database, "here", *keys)
    store = Store("here")
    store.stays = {"k000", "k001"}
    sweeper = Sweeper(discarded, store)
    assert sweeper.sweep("here") == EVERY_S
    assert discarded.count() == {"here": 2}
    store.tried.clear()
    for _ in range(16):  # at 15, 30, … 240 s
        sweeper.now += EVERY_S
        sweeper.sweep("here")
    assert store.tried == ["k000", "k001"] * 4  # after 15, 30, 60 and 120 s more
    assert sweeper.counted.failures == ["here"] * 10
    throw_away(database, "here", "new")
    store.stays = set()
    sweeper.sweep("here")
    assert discarded.count() == {"here": 2}  # what is new does not wait with them
    sweeper.now += 3600
    sweeper.sweep("here")
    assert discarded.count() == {}


def test_an_object_that_others_build_on_stays_without_noise_until_they_are_gone(
    database: Database,
    discarded: DiscardedObjectRows,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headwater.images.data.sweeping._log.disabled", False)
    throw_away(database, "here", "a", "b", "c")
    store = Store("here")
    store.cloned.add("b")
    sweeper = Sweeper(discarded, store)
    for _ in range(20):
        assert sweeper.sweep("here") == EVERY_S
        sweeper.now += EVERY_S
    assert discarded.count() == {"here": 1}
    assert 2 <= store.tried.count("b") <= 6  # after pauses that grow
    assert (sweeper.counted.failures, caplog.records) == ([], [])
    store.cloned.clear()
    sweeper.now += 3600
    sweeper.sweep("here")
    assert discarded.count() == {}


def test_an_error_nobody_thought_of_is_passed_too_and_does_not_end_the_only_job_that_sweeps(
    database: Database, discarded: DiscardedObjectRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    throw_away(database, "here", "a", "b")
    store = Store("here")
    sweeper = Sweeper(discarded, store)
    with monkeypatch.context() as broken:
        broken.setattr(store, "delete", lambda key: 1 / 0 if key == "a" else None)
        assert sweeper.sweep("here") == EVERY_S
        assert discarded.of_store("here", "", 9) == [Location("here", "a")]
        broken.setattr(store, "ping", lambda: 1 / 0)
        sweeper.now += EVERY_S
        assert sweeper.sweep("here") == EVERY_S
    sweeper.now += EVERY_S
    sweeper.sweep("here")
    assert discarded.count() == {}


def test_a_store_that_hangs_holds_up_no_other_and_one_process_sweeps_a_store(
    database: Database, discarded: DiscardedObjectRows
) -> None:
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
        handlers = Sweeper(discarded, hangs, works).sweeping.handlers
        runners.append(Runner(jobs, handlers, Pool("house", 2), clock=lambda: NOON, name=name))
        jobs.ensure(handlers, NOON)
        runners[-1].look()
    assert began.acquire(timeout=20)
    done = threading.Event()
    for _ in range(2000):
        if discarded.count() == {"hangs": 1}:
            break
        done.wait(0.01)
    assert discarded.count() == {"hangs": 1}
    go_on.set()
    for runner in runners:
        runner.close()
    assert not began.acquire(blocking=False)
    assert discarded.count() == {}


def test_a_sweep_makes_way_for_the_end_of_its_process(database: Database, discarded: DiscardedObjectRows) -> None:
    throw_away(database, "here", "a")
    sweeping = Sweeping(discarded, {"here": Store("here")}, Counted(), stopping=lambda: True)
    with pytest.raises(Later) as later:
        sweeping.handlers["sweep:here"](JOB)
    assert later.value.after_s == 0
    assert discarded.count() == {"here": 1}


def test_names_of_stores_as_long_as_may_be_have_jobs_of_their_own(discarded: DiscardedObjectRows) -> None:
    names = ["x" * 63 + each for each in "ab"]
    kinds = list(Sweeper(discarded, *map(Store, names)).sweeping.handlers)
    assert len(set(kinds)) == 2
    assert all(len(kind) <= 64 for kind in kinds)


def test_why_an_object_stays_is_noted_with_it_until_it_is_gone(
    database: Database, discarded: DiscardedObjectRows
) -> None:
    throw_away(database, "here", "a", "b", "c", "d")
    store = Store("here")
    store.stays, store.cloned = {"b"}, {"c"}
    sweeper = Sweeper(discarded, store)
    sweeper.sweep("here")
    sweeper.now += EVERY_S
    sweeper.sweep("here")
    b, c = discarded.page(10)
    assert (b.at, b.attempts, c.at, c.attempts) == (Location("here", "b"), 2, Location("here", "c"), 2)
    assert "it does not remove that" in (b.error or "")
    assert "in use" in (c.error or "")
    assert b.tried_at is not None
    assert discarded.page(10, b.at) == [c]
    store.stays, store.cloned = set(), set()
    sweeper.now += 4 * EVERY_S
    sweeper.sweep("here")
    assert discarded.page(10) == []


def test_a_store_that_is_away_is_the_reason_noted_with_the_object_that_was_tried(
    database: Database, discarded: DiscardedObjectRows
) -> None:
    throw_away(database, "here", "a", "b")
    store = Store("here")
    store.is_away = True
    Sweeper(discarded, store).sweep("here")
    a, b = discarded.page(10)
    assert (a.attempts, b.attempts, b.error) == (1, 0, None)
    assert "does not work" in (a.error or "")


def test_what_is_not_removed_at_once_is_noted_too(database: Database, discarded: DiscardedObjectRows) -> None:
    throw_away(database, "here", "a", "b")
    store = Store("here")
    store.stays, store.cloned = {"a"}, {"b"}
    scrubber = Scrubber(discarded, {"here": store}, clock=lambda: NOON)
    assert not any(scrubber.remove(Location("here", key)) for key in "ab")
    assert [(each.attempts, each.tried_at, bool(each.error)) for each in discarded.page(10)] == [(1, NOON, True)] * 2
