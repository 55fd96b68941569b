"""One stream to several stores: what a store that fails means for the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from headwater.errors import HeadwaterError
from headwater.images.data.buffers import ThreadBuffers
from headwater.images.data.gathering import pour
from headwater.images.data.pipeline import Lane
from headwater.images.data.session import ImageTooLarge
from headwater.images.imports.writing import StoreFailed, Target, Writing, targets_in
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore, ObjectWriter, Piece, Stored, StoreFull, StoreUnavailable
from headwater.threads import Pool

DATA = bytes(range(256)) * (20 << 10)  # 5 MiB: more than one buffer
NAMES = ("a", "b")


class Weak:
    """A writer that fails in one of its calls."""

    def __init__(self, writer: ObjectWriter, fails_in: str) -> None:
        self._writer, self._fails_in = writer, fails_in
        self.is_aborted = False

    def write(self, piece: Piece) -> None:
        if self._fails_in == "write":
            raise StoreFull("b")
        self._writer.write(piece)

    def commit(self) -> Stored:
        if self._fails_in == "commit":
            raise StoreUnavailable("b", "it is away")
        return self._writer.commit()

    def abort(self) -> None:
        self.is_aborted = True
        self._writer.abort()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool("writing", 3)
    yield pool
    pool.close()


def stores(monkeypatch: pytest.MonkeyPatch, fails_in: str | None) -> dict[str, ObjectStore]:
    made = {name: MemoryStore(name, MemoryStoreSettings(type="memory")) for name in NAMES}
    usual: Callable[..., ObjectWriter] = made["b"].begin

    def begin(key: str, size: int | None = None) -> ObjectWriter:
        if fails_in == "begin":
            raise StoreUnavailable("b", "it is away")
        return Weak(usual(key, size), fails_in or "")

    monkeypatch.setattr(made["b"], "begin", begin)
    return dict(made)


def written(
    made: dict[str, ObjectStore], targets: Sequence[Target], pool: Pool, *, must_all: bool = True, cap: int = 1 << 30
) -> tuple[list[str], str]:
    """Write ``DATA``, and return the stores that have it and its hash."""
    md5 = hashlib.md5()
    writing = Writing(targets, [Lane(md5.update, pool)], pool, must_all=must_all, needs_one=True, cap=cap)
    buffers = ThreadBuffers()
    try:
        writing.begin(made, len(DATA))
        pour([DATA], writing, buffers)
        buffers.settle()
        return [each.store for each in writing.commit()], md5.hexdigest()
    except BaseException:
        buffers.settle()
        writing.abort()
        raise
    finally:
        buffers.close()


def lying(made: dict[str, ObjectStore]) -> dict[str, list[bytes]]:
    return {name: [b"".join(store.read(each.key)) for each in store.list()] for name, store in made.items()}


def test_all_stores_have_what_came_once(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> None:
    made = stores(monkeypatch, None)
    assert written(made, targets_in("i", NAMES), pool) == (["a", "b"], hashlib.md5(DATA).hexdigest())
    assert lying(made) == {"a": [DATA], "b": [DATA]}


@pytest.mark.parametrize("fails_in", ["begin", "write", "commit"])
def test_where_one_is_enough_the_others_go_on(monkeypatch: pytest.MonkeyPatch, pool: Pool, fails_in: str) -> None:
    made, targets = stores(monkeypatch, fails_in), targets_in("i", NAMES)
    assert written(made, targets, pool, must_all=False) == (["a"], hashlib.md5(DATA).hexdigest())
    assert lying(made) == {"a": [DATA], "b": []}
    assert targets[0].error is None
    assert isinstance(targets[1].error, HeadwaterError)


@pytest.mark.parametrize("fails_in", ["begin", "write", "commit"])
def test_where_all_must_one_failure_is_named(monkeypatch: pytest.MonkeyPatch, pool: Pool, fails_in: str) -> None:
    made, targets = stores(monkeypatch, fails_in), targets_in("i", NAMES)
    with pytest.raises(StoreFailed, match="store b") as failed:
        written(made, targets, pool)
    assert failed.value.store == "b"
    assert lying(made)["b"] == []
    assert fails_in == "commit" or lying(made)["a"] == []  # else what is durable is for others to discard


def test_where_none_is_left_the_stream_fails(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> None:
    made = stores(monkeypatch, "write")
    with pytest.raises(StoreFailed, match="no room"):
        written(made, targets_in("i", ["b"]), pool, must_all=False)
    with pytest.raises(StoreFailed, match=r"section \[stores\] has none"):
        written(made, targets_in("i", ["nowhere"]), pool, must_all=False)


def test_too_much_is_noticed_before_it_is_written(monkeypatch: pytest.MonkeyPatch, pool: Pool) -> None:
    made = stores(monkeypatch, None)
    with pytest.raises(ImageTooLarge):
        written(made, targets_in("i", NAMES), pool, cap=len(DATA) - 1)
    assert lying(made) == {"a": [], "b": []}
