from __future__ import annotations

import pytest

from headwater.stores.layers.layer import Direction, Operation
from headwater.stores.layers.metrics import CountedStore
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import BadKey, ObjectNotFound, StoreFull
from headwater.testing.object_store import content, put


class Seconds:
    """A clock that goes on by one with each look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class Counts:
    """A tally that keeps everything."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, float]] = []
        self.failures: list[str] = []
        self.bytes = {"read": 0, "write": 0}

    def worked(self, store: str, operation: Operation, seconds: float, *, failed: bool) -> None:
        self.done.append((store, operation, seconds))
        if failed:
            self.failures.append(operation)

    def passed(self, store: str, direction: Direction, count: int) -> None:
        assert store == "m"
        self.bytes[direction] += count


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def below() -> MemoryStore:
    return MemoryStore("m", MemoryStoreSettings(type="memory", capacity=100, chunk_size=4))


def test_operations_their_time_and_bytes_are_counted(counts: Counts, below: MemoryStore) -> None:
    store = CountedStore(below, counts, Seconds())
    put(store, "k", b"0123456789", b"abc")
    assert content(store, "k", 3, 9) == b"3456789ab"
    store.delete("k")
    assert [operation for _, operation, _ in counts.done] == [
        *("begin", "write", "write", "commit"),
        *("open", "read", "read", "read", "read"),  # three pieces, and that there are no more
        "delete",
    ]
    assert {(name, seconds) for name, _, seconds in counts.done} == {("m", 1.0)}
    assert counts.bytes == {"write": 13, "read": 9}
    assert counts.failures == []


def test_what_a_store_that_works_says_is_no_failure(counts: Counts, below: MemoryStore) -> None:
    store = CountedStore(below, counts)
    with pytest.raises(ObjectNotFound):
        store.stat("absent")
    with pytest.raises(BadKey):
        store.read("..")
    assert (len(counts.done), counts.failures) == (2, [])


def test_a_store_that_is_full_or_raises_whatever_has_failed(
    counts: Counts, below: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CountedStore(below, counts)
    with pytest.raises(StoreFull):
        store.begin("k", 101)
    monkeypatch.setattr(below, "ping", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        store.ping()
    assert counts.failures == ["begin", "ping"]
