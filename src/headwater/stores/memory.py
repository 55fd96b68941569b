"""Objects in this process's memory: for tests, and for trying Headwater out without a disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from headwater.stores.store import (
    Abilities,
    ForeignUrl,
    ObjectNotFound,
    Piece,
    Stored,
    StoreFull,
    WriteLost,
    WriterBusy,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreSettings, StoreType


class MemoryStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "memory"``."""

    abilities: ClassVar[Abilities] = Abilities(
        shared_by_processes=False, gives_paths=False, has_identity=False, resumes=True
    )

    type: Literal["memory"]
    capacity: Annotated[int, Field(description="Bytes that it takes in all.", ge=0)] = 1 << 30
    chunk_size: Annotated[int, Field(description="Largest piece read at once, in bytes.", ge=1, le=64 << 20)] = (
        256 << 10
    )


class MemoryStore:
    """A dictionary behind a lock; it ends with the process, so it serves one process only."""

    abilities = MemoryStoreSettings.abilities

    def __init__(self, name: str, settings: MemoryStoreSettings) -> None:
        self.name = name
        self._settings = settings
        self._objects: dict[str, bytes] = {}
        self._unfinished: dict[str, bytearray] = {}  # what may be resumed
        self._busy: set[str] = set()  # of these, what is written
        self._lock = threading.Lock()

    def identity(self) -> None:
        """Return ``None``: it ends with the process, so nobody could know it again."""

    def mark(self, identity: str) -> str:
        return identity

    def expect(self, identity: str) -> None:
        """Memory is always there."""

    def begin(self, key: str, size: int | None = None) -> MemoryWriter:
        checked_key(key)
        if size is not None and size > self.room():
            raise StoreFull(self.name, size)
        return MemoryWriter(self, key)

    def room(self) -> int:
        """Return how many more bytes it takes."""
        with self._lock:
            kept = (*self._objects.values(), *self._unfinished.values())
            return self._settings.capacity - sum(map(len, kept))

    def put(self, key: str, data: bytes) -> Stored:
        """Make ``data`` visible under ``key``, whole."""
        with self._lock:
            self._objects[key] = data
        return Stored(key, len(data))

    def resume(self, key: str, size: int | None = None) -> ResumedMemory:
        checked_key(key)
        room = self.room()
        with self._lock:
            if key in self._busy:
                raise WriterBusy(self.name, key)
            if key not in self._unfinished:
                self._unfinished[key] = bytearray(self._objects.pop(key, b""))
            if size is not None and size - len(self._unfinished[key]) > room:
                raise StoreFull(self.name, size)
            self._busy.add(key)
            return ResumedMemory(self, key, self._unfinished[key])

    def finish(self, key: str, gathered: bytearray) -> Stored:
        """Make what was resumed visible under ``key``, whole, unless it was deleted."""
        with self._lock:
            if self._unfinished.get(key) is not gathered:
                raise WriteLost(self.name, key)
            self._objects[key] = bytes(self._unfinished.pop(key))
            self._busy.discard(key)
            return Stored(key, len(gathered))

    def let_go(self, key: str, gathered: bytearray, *, keep: bool) -> None:
        """Let others resume what was written, or forget it."""
        with self._lock:
            if self._unfinished.get(key) is gathered:
                self._busy.discard(key)
                if not keep:
                    del self._unfinished[key]

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = self._object(key)
        end = len(data) if length is None else min(len(data), start + length)
        step = self._settings.chunk_size
        return (data[at : min(at + step, end)] for at in range(start, end, step))

    def path(self, key: str) -> None:
        self._object(key)

    def url_of(self, key: str) -> str:
        return f"memory://{self.name}/{checked_key(key)}"

    def key_of(self, url: str) -> str:
        here = f"memory://{self.name}/"
        if url.startswith(here) and is_key(url.removeprefix(here)):
            return url.removeprefix(here)
        raise ForeignUrl(self.name, url)

    def presigned(self, key: str, expires_s: int) -> None:
        """Return ``None``: nobody else reaches the memory of this process."""

    def stat(self, key: str) -> Stored:
        return Stored(key, len(self._object(key)))

    def list(self, prefix: str = "") -> Iterator[Stored]:
        with self._lock:
            found = [Stored(key, len(data)) for key, data in self._objects.items() if key.startswith(prefix)]
        return iter(found)

    def delete(self, key: str) -> None:
        checked_key(key)
        with self._lock:
            self._objects.pop(key, None)
            self._unfinished.pop(key, None)
            self._busy.discard(key)

    def ping(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        with self._lock:
            self._objects.clear()
            self._unfinished.clear()
            self._busy.clear()

    def _object(self, key: str) -> bytes:
        with self._lock:
            data = self._objects.get(checked_key(key))
        if data is None:
            raise ObjectNotFound(self.name, key)
        return data


class MemoryWriter:
    """Bytes that gather until they become an object."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store, self._key = store, key
        self._gathered = bytearray()

    def write(self, piece: Piece) -> None:
        if len(self._gathered) + len(piece) > self._store.room():
            raise StoreFull(self._store.name)
        self._gathered += piece

    def commit(self) -> Stored:
        return self._store.put(self._key, bytes(self._gathered))

    def abort(self) -> None:
        self._gathered.clear()


class ResumedMemory:
    """Bytes that gather, and stay when nobody writes."""

    def __init__(self, store: MemoryStore, key: str, gathered: bytearray) -> None:
        self._store, self._key, self._gathered = store, key, gathered
        self._over = False

    @property
    def size(self) -> int:
        return len(self._gathered)

    def written(self) -> Iterator[bytes]:
        yield bytes(self._gathered)

    def write(self, piece: Piece) -> None:
        if memoryview(piece).nbytes > self._store.room():
            raise StoreFull(self._store.name)
        self._gathered += piece

    def commit(self) -> Stored:
        self._over = True
        return self._store.finish(self._key, self._gathered)

    def cut(self, size: int) -> None:
        del self._gathered[size:]

    def suspend(self) -> int:
        self._over = True
        self._store.let_go(self._key, self._gathered, keep=True)
        return self.size

    def abort(self) -> None:
        if not self._over:
            self._over = True
            self._store.let_go(self._key, self._gathered, keep=False)


TYPE = StoreType("memory", MemoryStoreSettings, lambda name, settings, _: MemoryStore(name, settings))
