"""No call lasts longer than it may: a store that hangs, such as a directory of a dead file server, is unavailable.

A thread that waits for the kernel cannot be called back, so each call is made by a thread of the layer's own
(``errands.py``), and its caller waits no longer than the deadline. A call that is overdue stays behind with all that
it needs: the bytes that it writes are a copy, what it opens in the end is given up again, and what it used is touched
by nobody until it is back. While nothing comes back from a store, one call at a time tries it and all others fail at
once. So a dead store keeps one caller waiting at a time, and costs a thread for each try.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

from headwater.stores.layers.errands import Errand, Errands
from headwater.stores.layers.layer import Layer, Operation, close_reading
from headwater.stores.store import (
    ObjectStore,
    ObjectWriter,
    Piece,
    ResumedWriter,
    ResumingStore,
    Stored,
    StoreUnavailable,
)

T = TypeVar("T")

# So many overdue calls, and a store is tried that rarely: each try may leave one more thread behind for ever.
MOST, REST_S = 16, 600.0

_log = logging.getLogger(__name__)


class StoreHangs(StoreUnavailable):
    """The store does not answer in time."""

    may_pass = False  # to ask again would be to wait again

    def __init__(self, store: str, deadline_s: float) -> None:
        super().__init__(store, f"it does not answer within {deadline_s:g} s")
        self.deadline_s = deadline_s


class PromptStore(Layer):
    """A store of which every call ends in time."""

    def __init__(self, below: ObjectStore, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how long one call may last.

        No paths are given: whoever sends a file by its path waits for the store without a deadline.
        """
        super().__init__(below)
        self.abilities = replace(below.abilities, gives_paths=False)
        self._deadline_s, self._clock = deadline_s, clock
        self._errands = Errands(f"headwater-store-{self.name}")
        self._lock = threading.Lock()
        self._answered_at = self._tried_at = clock()
        self._overdue = 0
        self._hangs = self._is_tried = False  # nothing came back since a call began that is overdue; a call waits

    def call(self, operation: Operation, work: Callable[[], T]) -> T:
        errand: Errand[T] = Errand(work, _GIVEN_UP.get(operation))
        return self.within(errand)

    def hangs(self) -> StoreHangs:
        """Return what to raise for a call that did not come back."""
        return StoreHangs(self.name, self._deadline_s)

    def leave(self, errand: Errand[Any]) -> None:
        """Begin ``errand``, and wait for nothing."""
        self._errands.begin(errand)

    def within(self, errand: Errand[T]) -> T:
        """Return what ``errand`` gives.

        Raises:
            StoreHangs: It is overdue, or it was not begun because the store hangs.
        """
        tries = self._admit()
        began = self._clock()
        try:
            self._errands.begin(errand)
            if not errand.wait(self._deadline_s):
                self._miss(errand, began)
                raise self.hangs()
            self._answered()
        finally:
            if tries:
                self._is_tried = False
        return errand.result()

    def _admit(self) -> bool:
        """Return whether this call is the one that tries a store that hangs; raise when another one does."""
        with self._lock:
            if not self._hangs:
                return False
            rests = self._overdue >= MOST and self._clock() < self._tried_at + REST_S
            if self._is_tried or rests:
                raise self.hangs()
            self._is_tried, self._tried_at = True, self._clock()
            return True

    def _miss(self, errand: Errand[Any], began: float) -> None:
        with self._lock:
            self._overdue += 1
            hangs, self._hangs = self._hangs, self._answered_at < began
        if self._hangs and not hangs:
            _log.warning("a store hangs", extra={"store": self.name, "deadline_s": self._deadline_s})
        errand.afterwards(self._came_back)

    def _came_back(self) -> None:
        with self._lock:
            self._overdue -= 1
        self._answered()

    def _answered(self) -> None:
        with self._lock:
            self._answered_at, hangs, self._hangs = self._clock(), self._hangs, False
        if hangs:
            _log.warning("a store answers again", extra={"store": self.name})

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return _PromptReading(self, self.call("open", lambda: self.below.read(key, start, length)))

    def begin(self, key: str, size: int | None = None) -> ObjectWriter:
        return _PromptWriting(self, self.call("begin", lambda: self.below.begin(key, size)))

    def resume(self, key: str, size: int | None = None) -> ResumedWriter:
        return _PromptResumed(self, self.call("resume", lambda: cast(ResumingStore, self.below).resume(key, size)))

    def close(self) -> None:
        with contextlib.suppress(StoreHangs):
            self.within(Errand(self.below.close))
        self._errands.close()


# What becomes of a result that nobody waits for any more.
_GIVEN_UP: dict[Operation, Callable[[Any], None]] = {
    "begin": lambda writer: writer.abort(),
    "resume": lambda writer: writer.suspend(),
    "open": close_reading,
}


class _InUse:
    """What one call at a time uses; after one that did not come back in time it serves no other."""

    def __init__(self, store: PromptStore) -> None:
        self._store = store
        self._overdue: Errand[Any] | None = None
        self._is_broken = False

    def require_whole(self) -> None:
        """Raise ``StoreHangs`` if a call did not come back in time."""
        if self._is_broken:
            raise self._store.hangs()

    def within(self, work: Callable[[], T]) -> T:
        self.require_whole()
        errand = Errand(work)
        try:
            return self._store.within(errand)
        except StoreHangs:
            self._is_broken = True
            self._overdue = errand if errand.is_overdue else None
            raise

    def end(self, work: Callable[[], None]) -> None:
        """Do the last thing with it: now, or when a call that is overdue is back; who asks waits no longer."""
        if self._overdue is not None:
            self._overdue.afterwards(work)
            return
        errand = Errand(work)
        try:
            self._store.within(errand)
        except StoreHangs:
            if not errand.is_overdue:
                self._store.leave(errand)


class _PromptReading(Iterator[bytes]):
    def __init__(self, store: PromptStore, pieces: Iterator[bytes]) -> None:
        self._pieces, self._use = pieces, _InUse(store)

    def __next__(self) -> bytes:
        piece = self._use.within(lambda: next(self._pieces, b""))
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Let go of what is read from."""
        self._use.end(lambda: close_reading(self._pieces))


class _PromptWriting:
    def __init__(self, store: PromptStore, writer: ObjectWriter) -> None:
        self._writer, self._use = writer, _InUse(store)
        self._copy = mmap.mmap(-1, 1)  # begins at a page, as what is written past the page cache must

    def write(self, piece: Piece) -> None:
        self._use.require_whole()  # else the copy may still be read
        # The caller's memory is the caller's again when this returns, whether the store is done with it or not.
        with memoryview(piece) as given, given.cast("B") as view:
            count = view.nbytes
            if count > len(self._copy):
                self._copy = mmap.mmap(-1, count)
            self._copy[:count] = view

        def write() -> None:
            with memoryview(self._copy) as whole, whole[:count] as copied:
                self._writer.write(copied)

        self._use.within(write)

    def commit(self) -> Stored:
        return self._use.within(self._writer.commit)

    def abort(self) -> None:
        self._use.end(self._writer.abort)


class _PromptResumed(_PromptWriting):
    def __init__(self, store: PromptStore, writer: ResumedWriter) -> None:
        super().__init__(store, writer)
        self._store, self._resumed = store, writer

    @property
    def size(self) -> int:
        return self._resumed.size

    def written(self) -> Iterator[bytes]:
        return _PromptReading(self._store, self._use.within(self._resumed.written))

    def cut(self, size: int) -> None:
        self._use.within(lambda: self._resumed.cut(size))

    def suspend(self) -> int:
        return self._use.within(self._resumed.suspend)
