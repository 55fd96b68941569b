from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.stores.layers.deadline import StoreHangs
from headwater.stores.layers.retry import RetriedStore
from headwater.stores.memory import MemoryStore, MemoryStoreSettings, MemoryWriter
from headwater.stores.store import (
    ObjectNotFound,
    ObjectStore,
    Piece,
    Stored,
    StoreFull,
    StoreRefusesWrites,
    StoreUnavailable,
)
from headwater.stores.web import HttpStore
from headwater.testing.object_store import content, put

DATA = bytes(range(200))


class Flaky(MemoryStore):
    """Fails so many times before it does what it is asked; readings break off after so many bytes each."""

    def __init__(self) -> None:
        super().__init__("m", MemoryStoreSettings(type="memory", chunk_size=7))
        self.fails = 0
        self.breaks: int | None = None
        self.asked: list[str] = []
        self.error: Callable[[], Exception] = lambda: StoreUnavailable("m", "it hiccups")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.fails:
            self.fails -= 1
            raise self.error()

    def begin(self, key: str, size: int | None = None) -> MemoryWriter:
        self._ask("begin")
        return FlakyWriter(self, key)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        self._ask(f"read {start} {length}")
        pieces = super().read(key, start, length)
        return pieces if self.breaks is None else self._breaking(pieces, self.breaks)

    def _breaking(self, pieces: Iterator[bytes], after: int) -> Iterator[bytes]:
        for piece in pieces:
            if after < len(piece):
                raise self.error()
            after -= len(piece)
            yield piece

    def stat(self, key: str) -> Stored:
        self._ask("stat")
        return super().stat(key)

    def delete(self, key: str) -> None:
        self._ask("delete")
        super().delete(key)

    def ping(self) -> None:
        self._ask("ping")


class FlakyWriter(MemoryWriter):
    def write(self, piece: Piece) -> None:
        assert isinstance(self._store, Flaky)
        self._store._ask("write")
        super().write(piece)

    def commit(self) -> Stored:
        assert isinstance(self._store, Flaky)
        self._store._ask("commit")
        return super().commit()


@pytest.fixture
def below() -> Flaky:
    store = Flaky()
    put(store, "k", DATA)
    store.asked.clear()
    return store


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def store(below: Flaky, pauses: list[float]) -> RetriedStore:
    return RetriedStore(below, 3, sleep=pauses.append, chance=lambda: 1.0)


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "stat": lambda store: store.stat("k"),
    "read": lambda store: content(store, "k"),
    "delete": lambda store: store.delete("k"),
    "ping": lambda store: store.ping(),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_does_the_same_twice_as_once_is_repeated(below: Flaky, store: RetriedStore, call: str) -> None:
    below.fails = 3
    CALLS[call](store)
    assert len(below.asked) == 4


@pytest.mark.parametrize("call", CALLS)
def test_what_fails_too_often_fails_as_it_did(below: Flaky, store: RetriedStore, call: str) -> None:
    below.fails = 4
    with pytest.raises(StoreUnavailable, match="hiccups"):
        CALLS[call](store)
    assert len(below.asked) == 4


def test_pauses_grow_and_differ(below: Flaky, pauses: list[float]) -> None:
    below.fails = 9
    RetriedStore(below, 9, sleep=pauses.append, chance=lambda: 1.0).ping()
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    pauses.clear()
    below.fails = 2
    RetriedStore(below, 9, sleep=pauses.append, chance=lambda: 0.0).ping()
    assert pauses == [0.05, 0.1]


def test_a_commit_is_repeated_where_the_store_says_that_it_may_be(below: Flaky, pauses: list[float]) -> None:
    below.abilities = replace(below.abilities, commits_again=True)
    writer = RetriedStore(below, 3, sleep=pauses.append, chance=lambda: 1.0).begin("new")
    writer.write(DATA)
    below.fails = 2
    assert writer.commit() == Stored("new", len(DATA))
    assert pauses == [0.1, 0.2]


def test_a_writing_is_begun_again_and_not_gone_on_with(below: Flaky, store: RetriedStore, pauses: list[float]) -> None:
    below.fails = 1
    writer = store.begin("new")
    assert pauses == [0.1]
    pauses.clear()
    below.fails = 1
    with pytest.raises(StoreUnavailable):
        writer.write(b"bytes")
    writer = store.begin("new")
    writer.write(b"bytes")
    below.fails = 1
    with pytest.raises(StoreUnavailable):
        writer.commit()
    assert below.asked == ["begin", "begin", "write", "begin", "write", "commit"]
    assert pauses == []


@pytest.mark.parametrize(
    "error",
    [
        StoreRefusesWrites("m", is_full=True),
        StoreHangs("m", 5),
        StoreFull("m"),
        ObjectNotFound("m", "k"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_will_not_pass_is_not_repeated(below: Flaky, store: RetriedStore, error: Exception) -> None:
    below.fails, below.error = 1, lambda: error
    with pytest.raises(type(error)):
        store.ping()
    assert below.asked == ["ping"]


@pytest.mark.parametrize(("start", "length"), [(0, None), (13, None), (0, 150), (13, 150), (13, 7), (150, 500)])
def test_a_reading_goes_on_at_the_byte_where_it_broke(
    below: Flaky, store: RetriedStore, start: int, length: int | None
) -> None:
    below.breaks = 20
    end = None if length is None else start + length
    assert content(store, "k", start, length) == DATA[start:end]


def test_a_reading_is_opened_again_for_the_rest_only(below: Flaky, store: RetriedStore) -> None:
    below.breaks = 20
    assert content(store, "k", 10, 40) == DATA[10:50]
    assert below.asked == ["read 10 40", "read 24 26", "read 38 12"]


def test_a_reading_that_does_not_get_any_further_fails(below: Flaky, store: RetriedStore, pauses: list[float]) -> None:
    below.breaks = 20
    reading = store.read("k")
    next(reading)
    below.breaks = 0
    next(reading)
    with pytest.raises(StoreUnavailable, match="hiccups"):
        list(reading)
    assert below.asked == ["read 0 None", *["read 14 None"] * 3]
    assert pauses == [0.1, 0.2, 0.4]


def test_a_reading_of_what_was_deleted_meanwhile_fails_as_it_broke(below: Flaky, store: RetriedStore) -> None:
    below.breaks = 20
    reading = store.read("k")
    next(reading)
    below.delete("k")
    with pytest.raises(StoreUnavailable, match="hiccups"):
        list(reading)


def test_what_belongs_to_others_is_not_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be something else by then."""
    web = HttpStore("web", Fetcher(FetchSettings()))
    opened: list[int] = []

    def read(key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        opened.append(start)
        yield b"begun"
        raise StoreUnavailable("web", "broke off")

    monkeypatch.setattr(web, "read", read)
    with pytest.raises(StoreUnavailable, match="broke off"):
        content(RetriedStore(web, 3, sleep=lambda _: None), "http://example.org/k")
    assert opened == [0]


def test_what_may_not_be_fetched_is_not_asked_for_again(pauses: list[float]) -> None:
    store = RetriedStore(HttpStore("web", Fetcher(FetchSettings())), 3, sleep=pauses.append)
    with pytest.raises(StoreUnavailable):
        store.read("http://127.0.0.1/k")
    assert pauses == []
