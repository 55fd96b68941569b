from __future__ import annotations

import asyncio
import mmap
import threading
import time
from collections.abc import Callable

import pytest

from headwater.images.data.buffers import BUFFERS, SPARE, LoopBuffers, Memory, ThreadBuffers

WAIT_S = 20
SHORT_S = 0.05


class Taking:
    """Somebody who takes a buffer, in a thread."""

    def __init__(self, stream: ThreadBuffers) -> None:
        self.buffer: mmap.mmap | None = None
        self._thread = threading.Thread(target=self._take, args=(stream,), daemon=True)
        self._thread.start()

    def _take(self, stream: ThreadBuffers) -> None:
        self.buffer = stream.take()

    def waits(self) -> bool:
        self._thread.join(SHORT_S)
        return self._thread.is_alive()

    def got(self) -> mmap.mmap:
        self._thread.join(WAIT_S)
        assert self.buffer is not None
        return self.buffer


def test_a_stream_has_so_many_and_then_waits_for_one_of_its_own() -> None:
    stream = ThreadBuffers(Memory(100))
    buffers = [stream.take() for _ in range(BUFFERS)]
    taking = Taking(stream)
    assert taking.waits()
    view = memoryview(buffers[0])
    stream.giver(buffers[0], view)()
    assert taking.got() is buffers[0]
    with pytest.raises(ValueError, match="released"):
        view.tobytes()


def test_every_stream_has_one_however_much_the_others_have() -> None:
    memory = Memory(2)
    greedy = ThreadBuffers(memory)
    for _ in range(3):
        greedy.take()
    others = [ThreadBuffers(memory) for _ in range(50)]
    for other in others:
        other.take()
    assert Taking(greedy).waits()
    assert Taking(others[0]).waits()


def test_what_one_stream_gives_back_another_may_take() -> None:
    memory = Memory(1)
    one, other = ThreadBuffers(memory), ThreadBuffers(memory)
    first, second = one.take(), one.take()
    other.take()
    taking = Taking(other)
    assert taking.waits()
    one.put(first)
    assert taking.got() is first
    waiting = Taking(one)
    assert waiting.waits()
    one.put(second)  # the one that it may always have
    assert waiting.got() is second


def test_who_is_slow_with_its_last_buffer_holds_nothing_that_others_need() -> None:
    memory = Memory(1)
    slow, quick = ThreadBuffers(memory), ThreadBuffers(memory)
    first, _kept = slow.take(), slow.take()
    slow.put(first)
    quick.take()
    quick.take()


def test_a_stream_has_settled_when_all_is_back() -> None:
    stream = ThreadBuffers(Memory())
    buffers = [stream.take(), stream.take()]
    settling = threading.Thread(target=stream.settle)
    settling.start()
    for buffer in buffers:
        settling.join(SHORT_S)
        assert settling.is_alive()
        stream.put(buffer)
    settling.join(WAIT_S)
    assert not settling.is_alive()


@pytest.mark.parametrize("close_first", [False, True])
def test_the_last_stream_leaves_no_memory(close_first: bool) -> None:
    memory = Memory()
    one, other = ThreadBuffers(memory), ThreadBuffers(memory)
    buffer = one.take()
    other.close()
    steps: list[Callable[[], None]] = [lambda: one.put(buffer), one.close]
    for step in reversed(steps) if close_first else steps:
        assert not buffer.closed
        step()
    assert buffer.closed


def test_few_that_are_free_are_kept() -> None:
    memory = Memory()
    streams = [ThreadBuffers(memory) for _ in range(3 * BUFFERS)]
    buffers = [stream.take() for stream in streams]
    for stream, buffer in zip(streams, buffers, strict=True):
        stream.put(buffer)
    assert [buffer.closed for buffer in buffers].count(False) == SPARE


def test_a_coroutine_waits_without_holding_the_loop() -> None:
    async def work() -> None:
        memory = Memory(0)
        stream = LoopBuffers(memory)
        for _ in range(100):
            buffer = await stream.take()
            taking = asyncio.ensure_future(stream.take())
            await asyncio.sleep(0)
            assert not taking.done()
            threading.Thread(target=stream.put, args=(buffer,)).start()
            stream.put(await asyncio.wait_for(taking, WAIT_S))
        buffer = await stream.take()
        threading.Timer(SHORT_S, stream.put, [buffer]).start()
        began = time.monotonic()
        await asyncio.wait_for(stream.settle(), WAIT_S)
        assert time.monotonic() - began >= SHORT_S / 2
        stream.close()

    asyncio.run(work())


def test_a_stream_that_is_given_up_while_it_waits_still_settles() -> None:
    async def work() -> None:
        stream = LoopBuffers(Memory(0))
        buffer = await stream.take()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.take(), SHORT_S)
        settling = asyncio.ensure_future(stream.settle())
        await asyncio.sleep(0)
        stream.close()
        threading.Thread(target=stream.put, args=(buffer,)).start()
        await asyncio.wait_for(settling, WAIT_S)

    asyncio.run(work())
