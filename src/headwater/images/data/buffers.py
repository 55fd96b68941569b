"""The memory that bytes pass through on their way in, bounded for all streams of the process together.

A stream is an upload, or a copy from the web. Its pieces are gathered into page-aligned buffers of ``BUFFER`` bytes,
each of which goes to the pipeline and comes back when hashes, inspection and store are done with it. Every stream
may have one buffer at any time, so that nobody waits for somebody who is slow. What it has beyond that, up to
``BUFFERS``, lets it receive, hash and store at the same time, and comes out of ``SPARE``, which all share. So
memory is one buffer for each stream and ``SPARE`` in all: many streams keep the processors busy with one each.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from headwater.images.data.pipeline import BUFFER

BUFFERS = 4  # of one stream at most
MARGIN = 4 << 10  # bytes behind each: what stands between chunks is received too, and leaves no rest to be asked for
SPARE = 8  # beyond the first of each stream, of all together


class Memory:
    """The buffers of some streams; safe to use from several threads."""

    def __init__(self, spare: int = SPARE) -> None:
        self._lock = threading.Lock()
        self._spare = spare
        self._free: list[mmap.mmap] = []
        self._streams = 0
        self._waiting: set[Buffers] = set()

    def joined(self) -> None:
        """Count a stream."""
        with self._lock:
            self._streams += 1

    def left(self) -> None:
        """Count a stream no more; the last one leaves nothing behind."""
        with self._lock:
            self._streams -= 1
            unused, self._free = ([], self._free) if self._streams else (self._free, [])
        _unmap(unused)

    def taken(self, stream: Buffers) -> mmap.mmap | None:
        """Return a buffer for ``stream``; without one, the stream is woken when there may be one."""
        with self._lock:
            if stream.held:
                if stream.held == BUFFERS or not self._spare:
                    self._waiting.add(stream)
                    return None
                self._spare -= 1
            stream.held += 1
            return self._free.pop() if self._free else mmap.mmap(-1, BUFFER + MARGIN)

    def put(self, stream: Buffers, buffer: mmap.mmap) -> None:
        """Take a buffer back."""
        with self._lock:
            stream.held -= 1
            if stream.held:
                self._spare += 1
            unused = [] if self._streams and len(self._free) < SPARE else [buffer]
            if not unused:
                self._free.append(buffer)
            waiting, self._waiting = self._waiting, set()
        _unmap(unused)
        for each in waiting:
            each.wake()

    def has_all(self, stream: Buffers) -> bool:
        """Return whether ``stream`` has given everything back; until then it is woken when it may have."""
        with self._lock:
            if stream.held:
                self._waiting.add(stream)
            return not stream.held


def _unmap(buffers: list[mmap.mmap]) -> None:
    for buffer in buffers:
        # What a lane raised may still hold a view of it, in its traceback; the memory then goes with that.
        with contextlib.suppress(BufferError):
            buffer.close()


PROCESS = Memory()


class Buffers(ABC):
    """The buffers of one stream: taken by one caller, given back from any thread; to be closed once all are back."""

    def __init__(self, memory: Memory = PROCESS) -> None:
        self.held = 0  # belongs to the memory
        self._memory = memory
        memory.joined()

    @abstractmethod
    def wake(self) -> None:
        """Let who waits look again."""

    def giver(self, buffer: mmap.mmap, view: memoryview) -> Callable[[], None]:
        """Return what gives ``buffer`` back, from any thread."""

        def give_back() -> None:
            view.release()
            self.put(buffer)

        return give_back

    def put(self, buffer: mmap.mmap) -> None:
        """Take a buffer back."""
        self._memory.put(self, buffer)

    def close(self) -> None:
        """Be no stream any more."""
        self._memory.left()


class LoopBuffers(Buffers):
    """Those of a stream that a coroutine receives."""

    def __init__(self, memory: Memory = PROCESS) -> None:
        super().__init__(memory)
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)

    async def take(self) -> mmap.mmap:
        """Return a buffer, once there is one."""
        while (buffer := self._memory.taken(self)) is None:
            await self._wait()
        return buffer

    async def settle(self) -> None:
        """Return when every buffer is back."""
        while not self._memory.has_all(self):
            await self._wait()

    async def _wait(self) -> None:
        # Whatever wakes comes through the loop, so nothing is missed between the look and this.
        self._woken.clear()
        await self._woken.wait()


class ThreadBuffers(Buffers):
    """Those of a stream that a thread receives."""

    def __init__(self, memory: Memory = PROCESS) -> None:
        super().__init__(memory)
        self._woken = threading.Semaphore(0)

    def wake(self) -> None:
        self._woken.release()

    def take(self) -> mmap.mmap:
        """Return a buffer, once there is one."""
        while (buffer := self._memory.taken(self)) is None:
            self._woken.acquire()
        return buffer

    def settle(self) -> None:
        """Return when every buffer is back."""
        while not self._memory.has_all(self):
            self._woken.acquire()
