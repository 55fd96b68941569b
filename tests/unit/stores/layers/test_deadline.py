from __future__ import annotations

import contextvars
import mmap
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.layers.deadline import MOST, REST_S, PromptStore, StoreHangs
from headwater.stores.memory import MemoryStore, MemoryStoreSettings, MemoryWriter
from headwater.stores.store import ObjectNotFound, ObjectStore, Piece, Stored, StoreUnavailable
from headwater.testing.object_store import content, marked, put

DEADLINE_S = 0.15
AT_ONCE_S = DEADLINE_S / 2


class Hanging(MemoryStore):
    """A store in which the operations of ``stuck`` do not come back before ``go_on``."""

    def __init__(self) -> None:
        super().__init__("m", MemoryStoreSettings(type="memory", chunk_size=2))
        self.stuck: set[str] = set()
        self.go_on = threading.Event()
        self.did: list[str] = []  # what came back, in order

    def do(self, what: str) -> None:
        if what in self.stuck:
            assert self.go_on.wait(30)
        self.did.append(what)

    def begin(self, key: str, size: int | None = None) -> MemoryWriter:
        self.do("begin")
        return HangingWriter(self, key)

    def read(self, key: str, start: int = 0, length: int | None = None) -> HangingPieces:
        self.do("open")
        return HangingPieces(self, super().read(key, start, length))

    def stat(self, key: str) -> Stored:
        self.do("stat")
        return super().stat(key)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        for each in super().list(prefix):
            self.do("list")
            yield each

    def path(self, key: str) -> None:
        self.do("path")
        super().path(key)

    def delete(self, key: str) -> None:
        self.do("delete")
        super().delete(key)

    def ping(self) -> None:
        self.do("ping")

    def mark(self, identity: str) -> str:
        self.do("mark")
        return identity


class HangingPieces(Iterator[bytes]):
    def __init__(self, store: Hanging, pieces: Iterator[bytes]) -> None:
        self._store, self._pieces = store, pieces

    def __next__(self) -> bytes:
        self._store.do("read")
        return next(self._pieces)

    def close(self) -> None:
        self._store.do("close")


class HangingWriter(MemoryWriter):
    def __init__(self, store: Hanging, key: str) -> None:
        super().__init__(store, key)
        self._hanging = store

    def write(self, piece: Piece) -> None:
        self._hanging.do("write")
        super().write(piece)

    def commit(self) -> Stored:
        self._hanging.do("commit")
        return super().commit()

    def abort(self) -> None:
        self._hanging.do("abort")
        super().abort()


@pytest.fixture
def below() -> Iterator[Hanging]:
    store = Hanging()
    put(store, "k", b"0123456789")
    store.did.clear()
    yield store
    store.go_on.set()


@pytest.fixture
def store(below: Hanging) -> Iterator[PromptStore]:
    prompt = PromptStore(below, DEADLINE_S)
    yield prompt
    below.go_on.set()
    prompt.close()


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes to raise that the store hangs."""
    began = time.monotonic()
    with pytest.raises(StoreHangs, match=r"store m does not work: it does not answer within 0\.15 s"):
        work()
    return time.monotonic() - began


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "mark": lambda store: store.mark("a" * 32),
    "begin": lambda store: store.begin("new"),
    "write": lambda store: put(store, "new", b"x"),
    "commit": lambda store: put(store, "new"),
    "open": lambda store: store.read("k"),
    "read": lambda store: content(store, "k"),
    "stat": lambda store: store.stat("k"),
    "path": lambda store: store.path("k"),
    "list": lambda store: list(store.list()),
    "delete": lambda store: store.delete("k"),
    "ping": lambda store: store.ping(),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_call_lasts_longer_than_the_deadline(below: Hanging, store: PromptStore, call: str) -> None:
    below.stuck = {call}
    assert DEADLINE_S <= seconds(lambda: CALLS[call](store)) < 5


def test_a_call_that_comes_back_in_time_gives_what_the_store_gives(store: PromptStore) -> None:
    assert store.stat("k") == Stored("k", 10)
    with pytest.raises(ObjectNotFound, match="absent"):
        store.stat("absent")
    assert content(store, "k", 1, 8) == b"12345678"


def test_while_a_store_hangs_one_caller_tries_it_and_the_others_fail_at_once(
    below: Hanging, store: PromptStore
) -> None:
    below.stuck = {"stat", "ping"}
    seconds(lambda: store.stat("k"))
    before = threading.active_count()
    with ThreadPoolExecutor(20) as callers:
        times = sorted(callers.map(lambda _: seconds(lambda: store.stat("k")), range(20)))
        assert threading.active_count() <= before + 20 + 2
    assert times[-1] >= DEADLINE_S
    assert sum(times) < 20 * DEADLINE_S / 2
    assert below.did == []


def test_a_store_that_comes_back_works_at_once(below: Hanging, store: PromptStore) -> None:
    below.stuck = {"stat"}
    for _ in range(3):
        seconds(lambda: store.stat("k"))
    below.stuck = set()
    assert store.stat("k") == Stored("k", 10)  # the one that tries
    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(lambda _: store.stat("k").size, range(50))) == {10}
    below.go_on.set()
    eventually(lambda: store._overdue == 0)


def test_one_call_that_takes_long_stops_no_other(below: Hanging, store: PromptStore) -> None:
    """As an object of which the disk is damaged: the store itself answers."""
    below.stuck = {"stat"}
    with ThreadPoolExecutor(2) as callers:
        slow = callers.submit(lambda: seconds(lambda: store.stat("k")))
        while not slow.done():
            store.ping()
        assert slow.result() >= DEADLINE_S
        store.ping()
        assert not store._hangs
        assert content(store, "k") == b"0123456789"


def test_what_hangs_for_ever_is_tried_more_and_more_rarely(below: Hanging) -> None:
    now = [1000.0]
    store = PromptStore(below, 0.01, clock=lambda: now[0])
    below.stuck = {"stat"}
    tried = 0
    for _ in range(3 * MOST):
        tried_before = store._overdue
        with pytest.raises(StoreHangs):
            store.stat("k")
        tried += store._overdue - tried_before
        now[0] += 1
    assert tried == MOST
    now[0] += REST_S
    below.stuck = set()
    store._deadline_s = 10.0  # a busy machine needs longer to begin a thread than this store was given
    assert store.stat("k") == Stored("k", 10)
    below.go_on.set()
    store.close()


def test_what_is_begun_or_opened_too_late_is_given_up(below: Hanging, store: PromptStore) -> None:
    below.stuck = {"begin", "open"}
    seconds(lambda: store.begin("new"))
    seconds(lambda: store.read("k"))
    below.go_on.set()
    eventually(lambda: len(below.did) == 4)
    assert sorted(below.did) == ["abort", "begin", "close", "open"]


@pytest.mark.parametrize("operation", ["write", "commit"])
def test_a_writing_is_aborted_when_what_it_waits_for_is_back_and_not_before(
    below: Hanging, store: PromptStore, operation: str
) -> None:
    writer = store.begin("new")
    below.stuck = {operation}
    seconds(lambda: writer.write(b"x") if operation == "write" else writer.commit())
    began = time.monotonic()
    writer.abort()
    assert time.monotonic() - began < AT_ONCE_S
    with pytest.raises(StoreHangs):
        writer.write(b"more")
    assert below.did == ["begin"]
    below.go_on.set()
    eventually(lambda: "abort" in below.did)
    assert below.did == ["begin", operation, "abort"]


def test_a_writing_that_was_not_tried_is_aborted_all_the_same(below: Hanging, store: PromptStore) -> None:
    writer = store.begin("new")
    below.stuck = {"stat"}
    with ThreadPoolExecutor(1) as caller:
        seconds(lambda: store.stat("k"))
        tries = caller.submit(lambda: seconds(lambda: store.stat("k")))
        eventually(lambda: store._is_tried)
        assert seconds(lambda: writer.write(b"x")) < AT_ONCE_S
        assert not tries.done()
        writer.abort()
    eventually(lambda: below.did == ["begin", "abort"])


def test_the_memory_of_a_piece_is_the_callers_again_whatever_the_store_does(below: Hanging, store: PromptStore) -> None:
    writer = store.begin("new")
    below.stuck = {"write"}
    with mmap.mmap(-1, 4096) as memory:
        memory[:4] = b"data"
        with memoryview(memory) as whole, whole[:4] as piece:
            seconds(lambda: writer.write(piece))
        memory[:4] = b"lost"
    assert memory.closed
    with pytest.raises(StoreHangs):
        writer.write(b"more")
    below.go_on.set()
    eventually(lambda: "write" in below.did)
    assert below.begin("other")._gathered == b""
    assert writer._writer._gathered == b"data"  # type: ignore[attr-defined]  # below the layer


def test_a_reading_that_hung_is_closed_when_it_is_back_and_gives_no_more(below: Hanging, store: PromptStore) -> None:
    reading = store.read("k")
    assert next(reading) == b"01"
    below.stuck = {"read"}
    seconds(lambda: next(reading))
    reading.close()  # type: ignore[attr-defined]  # as whoever drops it
    assert below.did == ["open", "read"]
    below.go_on.set()
    eventually(lambda: "close" in below.did)
    with pytest.raises(StoreHangs):
        next(reading)  # the piece that came too late would be missing


def test_no_path_is_given_as_whoever_sends_the_file_would_wait(tmp_path: Path) -> None:
    files = marked(FileStore("files", FileStoreSettings(), tmp_path))
    put(files, "k", b"bytes")
    store = PromptStore(files, 30)
    assert (store.abilities.gives_paths, store.path("k")) == (False, None)
    with pytest.raises(ObjectNotFound):
        store.path("absent")
    store.close()


def test_a_call_knows_for_which_request_it_works(below: Hanging, store: PromptStore) -> None:
    request = contextvars.ContextVar[str]("request")
    request.set("req-1")
    seen: list[str] = []
    below.do = lambda what: seen.append(request.get())  # type: ignore[method-assign]
    store.ping()
    assert seen == ["req-1"]


_HANG = """
import threading
from headwater.stores.layers.deadline import PromptStore
from headwater.stores.memory import MemoryStore, MemoryStoreSettings

class Stuck(MemoryStore):
    def ping(self):
        threading.Event().wait()

store = PromptStore(Stuck("m", MemoryStoreSettings(type="memory")), 0.1)
try:
    store.ping()
except Exception as error:
    print(error)
store.close()
"""


def test_a_process_ends_though_a_call_never_comes_back() -> None:
    done = subprocess.run([sys.executable, "-c", _HANG], capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == "store m does not work: it does not answer within 0.1 s\n"
    assert "Traceback" not in done.stderr


def test_a_thread_is_used_again_and_ends_with_the_store() -> None:
    def threads() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "headwater-store-of-one"]

    store = PromptStore(MemoryStore("of-one", MemoryStoreSettings(type="memory")), 60)
    for _ in range(200):
        store.ping()
    (thread,) = threads()
    store.close()
    thread.join(30)
    assert threads() == []


def test_a_thread_that_comes_back_too_late_is_used_again(below: Hanging, store: PromptStore) -> None:
    below.stuck = {"begin", "abort"}
    seconds(lambda: store.begin("new"))
    below.stuck = {"abort"}
    store.ping()
    below.go_on.set()
    eventually(lambda: below.did == ["ping", "begin", "abort"])
    eventually(lambda: store._errands._idle == 2)


def test_a_store_that_is_unavailable_says_why_itself(below: Hanging, store: PromptStore) -> None:
    def broken(what: str) -> None:
        raise StoreUnavailable("m", "no route")

    below.do = broken  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="no route"):
        store.ping()
