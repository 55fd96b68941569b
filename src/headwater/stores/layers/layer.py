"""A store around another one that adds nothing: what all layers have in common.

Whatever works in the store below goes through ``call``, piece by piece and page by page, and what was read or written
is told to ``passed``. Most layers change these two, and are the whole contract by that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar, cast

from headwater.stores.store import (
    ClonedStore,
    ObjectStore,
    ObjectWriter,
    Piece,
    Proof,
    ProvingStore,
    ResumedWriter,
    ResumingStore,
    Stored,
)

# What is done in a store. A reading is opened once and then read, a writing begun and then written and committed.
Operation = Literal[
    "identity",
    "mark",
    "ping",
    "stat",
    "path",
    "proof",
    "prove",
    "list",
    "delete",
    "require_unused",
    "open",
    "read",
    "begin",
    "resume",
    "write",
    "commit",
    "cut",
    "suspend",
    "abort",
]
Direction = Literal["read", "write"]

PAGE = 256  # objects of a list that are asked for at once

T = TypeVar("T")


class Layer:
    """A store around a store."""

    def __init__(self, below: ObjectStore) -> None:
        self.below = below
        self.name = below.name
        self.abilities = below.abilities

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, which is one operation in the store below."""
        return work()

    def passed(self, direction: Direction, count: int) -> None:
        """Learn that so many bytes were read or written."""

    # --- The contract ----------------------------------------------------------------------------

    def identity(self) -> str | None:
        return self.call("identity", self.below.identity)

    def mark(self, identity: str) -> str:
        return self.call("mark", lambda: self.below.mark(identity))

    def expect(self, identity: str) -> None:
        self.below.expect(identity)

    def begin(self, key: str, size: int | None = None) -> ObjectWriter:
        return Writing(self, self.call("begin", lambda: self.below.begin(key, size)))

    def resume(self, key: str, size: int | None = None) -> ResumedWriter:
        return ResumedWriting(self, self.call("resume", lambda: cast(ResumingStore, self.below).resume(key, size)))

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return Reading(self, self.call("open", lambda: self.below.read(key, start, length)))

    def path(self, key: str) -> Path | None:
        path = self.call("path", lambda: self.below.path(key))
        return path if self.abilities.gives_paths else None

    def url_of(self, key: str) -> str:
        return self.below.url_of(key)

    def key_of(self, url: str) -> str:
        return self.below.key_of(url)

    def presigned(self, key: str, expires_s: int) -> str | None:
        return self.below.presigned(key, expires_s) if self.abilities.gives_urls else None

    def stat(self, key: str) -> Stored:
        return self.call("stat", lambda: self.below.stat(key))

    def proof(self, key: str) -> Proof | None:
        return self.call("proof", lambda: cast(ProvingStore, self.below).proof(key))

    def prove(self, key: str, read: Proof, *, is_right: bool) -> None:
        self.call("prove", lambda: cast(ProvingStore, self.below).prove(key, read, is_right=is_right))

    def list(self, prefix: str = "") -> Iterator[Stored]:
        found = self.call("list", lambda: self.below.list(prefix))
        while page := self.call("list", lambda: tuple(itertools.islice(found, PAGE))):
            yield from page

    def delete(self, key: str) -> None:
        self.call("delete", lambda: self.below.delete(key))

    def require_unused(self, key: str) -> None:
        self.call("require_unused", lambda: cast(ClonedStore, self.below).require_unused(key))

    def ping(self) -> None:
        self.call("ping", self.below.ping)

    def close(self) -> None:
        self.below.close()


class Reading(Iterator[bytes]):
    """The bytes of one object on their way through a layer."""

    def __init__(self, layer: Layer, pieces: Iterator[bytes]) -> None:
        self._layer, self._pieces = layer, pieces

    def __next__(self) -> bytes:
        piece = self._layer.call("read", lambda: next(self._pieces, b""))
        if not piece:
            raise StopIteration
        self._layer.passed("read", len(piece))
        return piece

    def close(self) -> None:
        """Let go of what is read from."""
        close_reading(self._pieces)


class Writing:
    """One object on its way through a layer into a store."""

    def __init__(self, layer: Layer, writer: ObjectWriter) -> None:
        self._layer, self._writer = layer, writer

    def write(self, piece: Piece) -> None:
        self._layer.call("write", lambda: self._writer.write(piece))
        self._layer.passed("write", memoryview(piece).nbytes)

    def commit(self) -> Stored:
        return self._layer.call("commit", self._writer.commit)

    def abort(self) -> None:
        self._layer.call("abort", self._writer.abort)


class ResumedWriting(Writing):
    """One that outlasts its writer, on its way through a layer."""

    def __init__(self, layer: Layer, writer: ResumedWriter) -> None:
        super().__init__(layer, writer)
        self._resumed = writer

    @property
    def size(self) -> int:
        return self._resumed.size

    def written(self) -> Iterator[bytes]:
        return Reading(self._layer, self._layer.call("open", self._resumed.written))

    def cut(self, size: int) -> None:
        self._layer.call("cut", lambda: self._resumed.cut(size))

    def suspend(self) -> int:
        return self._layer.call("suspend", self._resumed.suspend)


def close_reading(pieces: Iterator[bytes]) -> None:
    """Let go of what is read from, where that is not left to the end of the iterator."""
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
