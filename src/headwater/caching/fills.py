"""One fetch for many readers: whoever wants data that is being fetched reads it from the file while that grows.

In one process readers wait for a fetch that tells them of each piece. A fetch of another process of this machine is
followed by looking at the size of its file, a few times a second. No reader holds a thread while it waits.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from headwater.caching.directory import KeptFiles, is_left, let_go, size_of
from headwater.errors import HeadwaterError, Unavailable
from headwater.threads import Pool

_LOOK_EVERY_S = 0.02


class Tally(Protocol):
    """Counts what is fetched, for the operator."""

    def cache_fetched(self, count: int) -> None:
        """Note that so many bytes were written into the cache."""


class _Stopping(Exception):
    """The process ends, so what it fetches has no future."""


class Fill:
    """A file that grows; used by several threads."""

    def __init__(self, file: int, size: int, *, is_ours: bool, begun: int = 0) -> None:
        """Take the open file, which is closed when nobody has this any more, and how long it will be.

        Args:
            is_ours: This process fetches it.
            begun: Bytes that are there already.
        """
        self.file, self.size, self.is_ours = file, size, is_ours
        self.arrived = begun
        self.is_over = False
        self.error: HeadwaterError | None = None  # what the fetch failed with, where that is known
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        weakref.finalize(self, os.close, file)

    @property
    def path(self) -> Path:
        """The file, by a name that it has as long as anybody has this, whatever becomes of its other names."""
        return Path(f"/dev/fd/{self.file}")

    async def beyond(self, at: int) -> bool:
        """Return once there is a byte at ``at``; ``False`` when the fetch is over and there is none."""
        while self.arrived <= at and not self.is_over:
            loop = asyncio.get_running_loop()
            told = loop.create_future()
            with self._lock:
                if self.arrived > at or self.is_over:
                    break
                self._waiting.append((loop, told))
            await told
        return self.arrived > at

    def read(self, at: int, count: int) -> bytes:
        """Return up to ``count`` of the bytes that there are from ``at``."""
        return os.pread(self.file, min(count, self.arrived - at), at)

    def write(self, piece: bytes) -> None:
        """Append a piece, and tell those who wait."""
        view = memoryview(piece)
        while view:
            view = view[os.pwrite(self.file, view, self.arrived + len(piece) - len(view)) :]
        self.grow(self.arrived + len(piece))

    def grow(self, arrived: int) -> None:
        """Tell those who wait that there are so many bytes."""
        if arrived > self.arrived:
            self.arrived = arrived
            self._tell()

    def end(self, error: HeadwaterError | None = None) -> None:
        """Tell those who wait that nothing more comes."""
        self.error, self.is_over = error, True
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop in {loop for loop, _ in waiting}:
            # One word for all of a loop; one that is closed has no readers any more.
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, [told for its, told in waiting if its is loop])


# Gives what is to be written after what is there already (``Fill.arrived``). The last piece is given only when all of
# it is right; an error other than ``Unavailable`` says that it is not. Closed by who reads it.
Data = Callable[[Fill], Iterator[bytes]]
Failed = Callable[[HeadwaterError], None]


def _wake(waiting: Sequence[asyncio.Future[None]]) -> None:
    for told in waiting:
        if not told.done():
            told.set_result(None)


class Fills:
    """What this process fetches or follows; safe to use from several threads."""

    def __init__(self, directory: KeptFiles, pool: Pool, tally: Tally, *, queues: bool = False) -> None:
        """Take the threads that fetch.

        Args:
            queues: Data for which there is no thread waits for one, with its readers; if not, it is not cached.
        """
        self._queues = queues
        self._directory, self._pool, self._tally = directory, pool, tally
        self._lock = threading.Lock()
        self._running: dict[str, Fill] = {}
        self._fetches = 0
        self._followed: dict[str, Fill] = {}
        self._eyes = Pool("cache-look", 1)
        self._is_closed = False

    def running(self, name: str) -> Fill | None:
        """Return what is being fetched under this name, as far as this process knows."""
        fill = self._running.get(name)
        return fill if fill is not None and not fill.is_over else None

    def join(self, name: str, data: Data, failed: Failed) -> Fill | Path | None:
        """Return what grows to the data of this name, beginning to fetch it where nobody does yet.

        Returns a file that is whole already; ``None`` where it cannot be cached now.

        Args:
            failed: Is told why a fetch that this call began did not end well.

        Raises:
            CacheUnavailable: The directory does not work.
        """
        with self._lock:
            known = self.running(name)
            if known is not None or self._is_closed:
                return known
            found = self._directory.begin(name)
            if found is None or isinstance(found, Path):
                return found
            if found.is_ours and not self._queues and self._fetches >= self._pool.size:
                self._leave(name, found.file, worth=found.begun > 0)
                os.close(found.file)
                return None
            fill = Fill(found.file, size_of(name), is_ours=found.is_ours, begun=found.begun)
            if found.is_ours:
                self._fetches += 1
                self._running[name] = fill
                self._pool.start(lambda: self._fetch(name, fill, data, failed))
            else:
                self._follow(name, fill)
            return fill

    def close(self) -> None:
        """Give up what is being fetched."""
        self._is_closed = True
        self._eyes.close()

    # --- Fetching --------------------------------------------------------------------------------

    def _fetch(self, name: str, fill: Fill, data: Data, failed: Failed) -> None:
        error: HeadwaterError | None = None
        kept, worth = False, False
        try:
            self._read(fill, data(fill))
            kept = self._directory.keep(name, fill.file)
        except HeadwaterError as failure:
            error, worth = failure, isinstance(failure, Unavailable)
        except _Stopping:
            error, worth = Unavailable("this process stops"), True
        except OSError as failure:
            error = Unavailable(f"the cache cannot be written: {failure.strerror or failure}")
        except Exception as failure:  # noqa: BLE001 - a store of others may raise anything; readers go on without us
            error = Unavailable(str(failure) or type(failure).__name__)
        finally:
            if not kept:
                self._leave(name, fill.file, worth=worth)
            with self._lock:
                self._fetches -= 1
                self._running.pop(name, None)
            let_go(fill.file)
            fill.end(error)
        if error is not None:
            failed(error)

    def _leave(self, name: str, file: int, *, worth: bool) -> None:
        """Give up what is not whole: for the next who wants it, where it is ``worth`` going on, or for nobody."""
        if not (worth and self._directory.resumes):
            self._directory.discard(name, file)

    def _read(self, fill: Fill, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                if self._is_closed:
                    raise _Stopping
                fill.write(piece)
                self._tally.cache_fetched(len(piece))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    # --- Following -------------------------------------------------------------------------------

    def _follow(self, name: str, fill: Fill) -> None:
        self._running[name] = self._followed[name] = fill
        if len(self._followed) == 1:
            self._eyes.start(self._look)

    def _look(self) -> None:
        """Look at the files that other processes write, until none is left."""
        while True:
            for name, fill in list(self._followed.items()):
                # In this order: what was written before its writer ended is seen.
                has_ended = self._is_closed or is_left(fill.file)
                fill.grow(os.fstat(fill.file).st_size)
                if has_ended or fill.arrived >= fill.size:
                    with self._lock:
                        del self._followed[name]
                        self._running.pop(name, None)
                    fill.end()
            with self._lock:
                if not self._followed:
                    return
            time.sleep(_LOOK_EVERY_S)
