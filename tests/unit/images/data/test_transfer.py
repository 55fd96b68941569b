"""Pieces of a download on their way from a thread that reads to the client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import pytest

from headwater.http.filesend import in_turn
from headwater.threads import Pool


class Source(Iterator[bytes]):
    """Gives pieces, and notes what is done with it."""

    def __init__(self, *pieces: bytes, fails: Exception | None = None) -> None:
        self._pieces, self._fails = list(pieces), fails
        self.begun, self.done = threading.Semaphore(0), threading.Semaphore(0)  # one for each piece that is asked for
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.events: list[str] = []

    def __next__(self) -> bytes:
        self.events.append("reads")
        self.begun.release()
        self.may_go_on.wait(20)
        self.events.append("read")
        self.done.release()
        if self._pieces:
            return self._pieces.pop(0)
        if self._fails is not None:
            raise self._fails
        raise StopIteration

    def close(self) -> None:
        self.events.append("closed")


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool("test", 2)
    yield made
    made.close()


def begun(source: Source, pool: Pool) -> AsyncGenerator[bytes, None]:
    return cast(AsyncGenerator[bytes, None], in_turn(source, pool))


async def reads(source: Source) -> bool:
    """Return whether another piece is asked for, soon."""
    return await asyncio.to_thread(source.begun.acquire, timeout=1)


def test_while_the_client_takes_a_piece_the_next_is_read_and_no_more(pool: Pool) -> None:
    async def take() -> None:
        source = Source(b"1", b"2", b"3", b"4")
        pieces = begun(source, pool)
        assert await anext(pieces) == b"1"
        assert [await reads(source) for _ in range(3)] == [True, True, False]
        assert await anext(pieces) == b"2"
        assert await reads(source)
        assert [piece async for piece in pieces] == [b"3", b"4"]
        assert source.events.count("closed") == 1

    asyncio.run(take())


def test_what_fails_ahead_is_raised_after_what_was_read_before(pool: Pool) -> None:
    async def take() -> None:
        source = Source(b"1", b"2", fails=ValueError("broken"))
        got = []
        with pytest.raises(ValueError, match="broken"):
            async for piece in begun(source, pool):
                got.append(piece)
        assert got == [b"1", b"2"]
        assert source.events[-1] == "closed"

    asyncio.run(take())


@pytest.mark.parametrize("leaves", ["between pieces", "while it waits"])
def test_what_is_read_from_is_closed_only_when_nobody_reads(pool: Pool, leaves: str) -> None:
    async def take() -> None:
        source = Source(b"1", b"2", b"3")
        pieces = begun(source, pool)
        assert await anext(pieces) == b"1"
        assert all([await asyncio.to_thread(source.done.acquire, timeout=1) for _ in range(2)])
        source.may_go_on.clear()
        assert await anext(pieces) == b"2"  # and the third is being read
        if leaves == "while it waits":
            waits = asyncio.create_task(anext(pieces))
            await asyncio.sleep(0.05)
            waits.cancel()
            ending: asyncio.Future[Any] = asyncio.gather(waits, return_exceptions=True)
        else:
            ending = asyncio.gather(pieces.aclose(), return_exceptions=True)
        await asyncio.sleep(0.05)
        assert "closed" not in source.events or source.events[-2:] == ["read", "closed"]
        source.may_go_on.set()
        await ending
        await asyncio.to_thread(lambda: None)
        for _ in range(200):
            if source.events[-1] == "closed":
                break
            await asyncio.sleep(0.02)
        assert source.events[-2:] == ["read", "closed"]

    asyncio.run(take())
