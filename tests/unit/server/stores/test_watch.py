"""Stores that are down are told of, and are looked at again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from functional.headwater_process import wait_until
from headwater.errors import SettingsError
from headwater.images.locations.known_stores import StoreFault
from headwater.server.stores import watch
from headwater.server.stores.failures import StoreFailures
from headwater.server.stores.watch import EVERY_S, LIMIT_S, StoreWatch
from headwater.stores.layers.metrics import CountedStore
from headwater.stores.store import Abilities, StoreRefusesWrites, StoreUnavailable


class Looked:
    """A store that answers what the test says."""

    abilities = Abilities(shared_by_processes=True, gives_paths=False)
    name = "s"

    def __init__(self) -> None:
        self.fault: str | None = None
        self.is_full = False
        self.looks = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def ping(self) -> None:
        self.looks += 1
        self.may_answer.wait(20)
        if self.is_full:
            raise StoreRefusesWrites(self.name, is_full=True)
        if self.fault is not None:
            raise StoreUnavailable(self.name, self.fault)


class Ups(list[bool]):
    """What the operator is told."""

    def worked(self, _store: str, _operation: str, _seconds: float, *, failed: bool) -> None:
        """Count nothing."""

    def passed(self, _store: str, _direction: str, _count: int) -> None:
        """Count nothing."""

    def is_up(self, _store: str, *, up: bool) -> None:
        self.append(up)


class Watched:
    """A watch of one store, with a clock that the test moves."""

    def __init__(self, down: str | None = None, admit: Callable[[], object] | None = None) -> None:
        self.store, self.ups, self.now = Looked(), Ups(), 0.0
        failures = StoreFailures(self.ups)
        self.counted = CountedStore(self.store, failures)  # type: ignore[arg-type]  # what is asked of it is there
        self.watch = StoreWatch(
            {"s": self.counted},
            self.ups,
            down={} if down is None else {"s": down},
            admit={} if admit is None else {"s": admit},
            has_failed=failures.are_new,
            clock=lambda: self.now,
        )

    def look(self, after_s: float = 0.0) -> str | None:
        """Let it look, and wait for what it finds."""
        self.now += after_s
        self.watch.look()
        wait_until(lambda: self.watch._states["s"].began is None, "the look is over")
        fault = self.watch.faults().get("s")
        return None if fault is None else fault.reason

    def looks_within(self, seconds: float) -> int:
        before, end = self.store.looks, self.now + seconds
        while self.now < end:
            self.look(0.5)
        return self.store.looks - before


def test_a_store_that_stops_and_works_again_is_told_of_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", watch.__name__)
    watched = Watched()
    assert watched.look() is None
    watched.store.fault = "the disk is gone"
    assert watched.look(EVERY_S) == "the disk is gone"
    assert watched.looks_within(20) >= 3
    watched.store.fault = None
    assert watched.look(EVERY_S) is None
    assert watched.ups == [True, False, True]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "a store is down",
        "a store works again",
    ]


def test_a_store_that_is_down_is_asked_less_and_less_often() -> None:
    watched = Watched(down="it did not answer")
    assert watched.ups == [False]
    watched.store.fault = "it did not answer"
    soon, late = watched.looks_within(10), watched.looks_within(10)
    assert soon > late
    watched.looks_within(100)
    assert watched.looks_within(10 * EVERY_S) == 10


def test_a_store_that_hangs_is_down_and_holds_one_thread() -> None:
    watched = Watched()
    watched.store.may_answer.clear()
    for _ in range(30):
        watched.watch.look()
        watched.now += LIMIT_S / 5
    assert watched.watch.faults() == {"s": StoreFault(f"it does not answer within {LIMIT_S:g} s")}
    assert (watched.store.looks, watched.ups) == (1, [True, False])
    watched.store.may_answer.set()
    wait_until(lambda: not watched.watch.faults(), "it answers in the end")


def test_a_store_that_was_awaited_is_looked_at_once_it_is_admitted() -> None:
    refusals: list[Exception] = [StoreUnavailable("s", "no route"), SettingsError("it is another's")]

    def admit() -> None:
        if refusals:
            raise refusals.pop(0)

    watched = Watched("no route", admit)
    assert watched.look() == "no route"
    assert watched.look(EVERY_S) == "it is another's"
    assert watched.look(EVERY_S) is None
    assert watched.store.looks == 0
    assert watched.look(EVERY_S) is None
    assert watched.store.looks == 1


def test_a_store_that_raises_what_nobody_expects_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    with monkeypatch.context() as broken:
        broken.setattr(watched.store, "ping", lambda: 1 / 0)
        assert "ZeroDivisionError" in (watched.look() or "")
    assert watched.look(EVERY_S) is None


def test_a_store_in_which_something_failed_is_looked_at_the_next_moment() -> None:
    watched = Watched()
    assert watched.look() is None
    assert watched.looks_within(5) == 0
    watched.store.fault = "permission denied"
    with pytest.raises(StoreUnavailable):
        watched.counted.ping()
    assert watched.look(1) == "permission denied"
    with pytest.raises(StoreUnavailable):
        watched.counted.ping()
    assert watched.looks_within(20) <= 5, "what is known to fail makes no more looks"


def test_a_store_that_takes_nothing_and_gives_what_it_holds_is_not_down() -> None:
    watched = Watched()
    watched.store.is_full = True
    assert "it is full" in (watched.look() or "")
    assert [each.only_of_writes for each in watched.watch.faults().values()] == [True]
    assert set(watched.ups) == {True}
    watched.store.is_full = False
    assert watched.look(EVERY_S) is None


def test_who_asks_is_told_what_is_known_and_lets_it_be_looked_at() -> None:
    watched = Watched()
    assert watched.look() is None
    watched.store.fault = "permission denied"
    assert watched.watch.faults() == {}
    watched.watch.look_soon()
    watched.now += 1
    watched.watch.look()
    wait_until(
        lambda: watched.watch.faults() == {"s": StoreFault("permission denied")}, "the look that it began is over"
    )
