from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from headwater.errors import NotFound
from headwater.instances.serving.together import Together


class Thread:
    """Runs work when the test lets it, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = asyncio.Event()

    async def __call__(self, work: Callable[[], Any]) -> Any:
        self.calls += 1
        await self.open.wait()
        return work()


def run(test: Callable[[Thread], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(Thread())

    asyncio.run(main())


def test_what_comes_meanwhile_is_asked_together_and_the_same_only_once() -> None:
    asked: list[int] = []

    def ask(key: int, _moment: int) -> int:
        asked.append(key)
        return key * 2

    async def test(thread: Thread) -> None:
        together = Together(ask, thread, len)
        waits = [asyncio.create_task(together.of(key)) for key in [*range(50), *range(50)]]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        thread.open.set()
        assert await asyncio.gather(*waits) == [key * 2 for key in [*range(50), *range(50)]]
        assert sorted(asked) == list(range(50))
        assert thread.calls <= 4
        assert await together.of(7) == 14
        assert asked[-1] == 7  # no answer is older than its question

    run(test)


def test_one_that_finds_nothing_costs_the_others_nothing() -> None:
    def ask(key: int, _moment: int) -> int:
        if key == 3:
            raise NotFound("no 3")
        return key

    async def test(thread: Thread) -> None:
        thread.open.set()
        together = Together(ask, thread, len)
        found = await asyncio.gather(*(together.of(key) for key in range(5)), return_exceptions=True)
        assert isinstance(found[3], NotFound)
        assert [found[0], found[1], found[2], found[4]] == [0, 1, 2, 4]

    run(test)


def test_a_fault_reaches_who_asked_and_the_next_are_answered() -> None:
    async def test(thread: Thread) -> None:
        thread.open.set()
        faults = [RuntimeError("broken")]

        def ask(key: int, _moment: int) -> int:
            if faults:
                raise faults.pop()
            return key

        together = Together(ask, thread, len)
        with pytest.raises(RuntimeError):
            await together.of(1)
        assert await together.of(1) == 1

    run(test)


def test_who_leaves_keeps_nobody_from_an_answer() -> None:
    async def test(thread: Thread) -> None:
        together: Together[int, int, int] = Together(lambda key, _: key, thread, len)
        one, other = (asyncio.create_task(together.of(1)) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        thread.open.set()
        assert await other == 1

    run(test)


def test_who_asks_again_as_soon_as_there_is_an_answer_is_answered() -> None:
    async def test(thread: Thread) -> None:
        together: Together[int, int, int] = Together(lambda key, _: key, thread, len)

        async def again(key: int) -> list[int]:
            return [await together.of(key + 100 * each) for each in range(5)]

        waits = [asyncio.create_task(again(key)) for key in range(4)]
        await asyncio.sleep(0)
        thread.open.set()
        answers = await asyncio.wait_for(asyncio.gather(*waits), 10)
        assert answers == [[key + 100 * each for each in range(5)] for key in range(4)]

    run(test)


def test_the_moment_of_a_question_is_after_it_came() -> None:
    async def test(thread: Thread) -> None:
        moments = count(1)
        together: Together[str, int, int] = Together(lambda _, moment: moment, thread, lambda _: next(moments))
        waits = [asyncio.create_task(together.of(key)) for key in "abc"]
        await asyncio.sleep(0)
        assert next(moments) == 1
        thread.open.set()
        assert min(await asyncio.gather(*waits)) == 2

    run(test)
