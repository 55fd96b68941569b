"""Objects in this process's memory: for tests, and for trying Headwater out without a disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from headwater.stores.store import Abilities, ForeignUrl, ObjectNotFound, Piece, Stored, StoreFull, checked_key, is_key
from headwater.stores.store_type import StoreSettings, StoreType


class MemoryStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "memory"``."""

    abilities: ClassVar[Abilities] = Abilities(shared_by_processes=False, gives_paths=False, has_identity=False)

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
            return self._settings.capacity - sum(map(len, self._objects.values()))

    def put(self, key: str, data: bytes) -> Stored:
        """Make ``data`` visible under ``key``, whole."""
        with self._lock:
            self._objects[key] = data
        return Stored(key, len(data))

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

    def ping(self) -> None:
        """Memory is always there."""

    def close(self) -> None:
        with self._lock:
            self._objects.clear()

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


TYPE = StoreType("memory", MemoryStoreSettings, lambda name, settings, _: MemoryStore(name, settings))
