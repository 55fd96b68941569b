"""A slow source is asked once for many, seldom in all, and what it said last is better than nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from headwater.errors import Unavailable
from headwater.instances.sources.remembering import AskedElsewhere, Given, Remembered, SourceSilent, Times, Unserved

T = TypeVar("T")
TIMES = Times(fresh_s=10, ageing_s=40, stale_s=100, missing_s=2, waits_s=5)


class Source:
    """Answers as a test says, when the test lets it; the clock and who counts as well."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.says: Any = "one"
        self.asked: list[str] = []
        self.told: list[tuple[Given, float]] = []
        self.open = asyncio.Event()
        self.open.set()

    def load(self, key: str, _: Any) -> Any:
        self.asked.append(key)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def in_thread(self, work: Callable[[], T]) -> T:
        await self.open.wait()
        return work()

    def given(self, how: Given, age_s: float) -> None:
        self.told.append((how, age_s))

    def remembered(self, **given: Any) -> Remembered[str, str]:
        options = {"most": 100, **given}
        return Remembered(self.load, self.in_thread, TIMES, tally=self, clock=lambda: self.now, **options)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_many_who_ask_at_once_make_one_question() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        source.open.clear()
        waiting = [asyncio.create_task(remembered.of("a")) for _ in range(200)]
        await settled()
        source.open.set()
        assert await asyncio.gather(*waiting) == ["one"] * 200
        assert source.asked == ["a"]

    asyncio.run(ask())


def test_who_stops_waiting_takes_the_question_from_nobody() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        source.open.clear()
        first, second = (asyncio.create_task(remembered.of("a")) for _ in range(2))
        await settled()
        first.cancel()
        source.open.set()
        assert await second == "one"

    asyncio.run(ask())


def test_an_answer_is_fresh_then_ageing_then_waited_for() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        assert await remembered.of("a") == "one"
        source.says = "two"
        source.now += 9
        assert await remembered.of("a") == "one"
        assert source.asked == ["a"]
        source.now += 2
        assert await remembered.of("a") == "one"  # and asks meanwhile
        await settled()
        assert await remembered.of("a") == "two"
        source.says = "three"
        source.now += 40
        assert await remembered.of("a") == "three"
        assert [how for how, _ in source.told] == ["loaded", "fresh", "ageing", "fresh", "loaded"]
        assert len(source.asked) == 3

    asyncio.run(ask())


def test_an_old_answer_is_given_while_the_source_fails_and_not_for_ever() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        await remembered.of("a")
        source.says = Unavailable("down")
        source.now += 99
        assert await remembered.of("a") == "one"
        source.now += 1
        with pytest.raises(Unavailable, match="down"):
            await remembered.of("a")
        assert source.told[1:] == [("stale", 99), ("failed", 0.0)]
        source.says, source.now = "back", source.now + 2
        assert await remembered.of("a") == "back"

    asyncio.run(ask())


def test_a_source_that_fails_is_left_alone_for_a_moment() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        source.says = Unavailable("down")
        for key in ("a", "b", "a", "c"):
            with pytest.raises(Unavailable, match="down"):
                await remembered.of(key)
        assert source.asked == ["a"]
        source.now += 1
        with pytest.raises(Unavailable, match="down"):
            await remembered.of("b")
        assert source.asked == ["a", "b"]

    asyncio.run(ask())


def test_one_thing_that_cannot_be_served_keeps_nobody_from_others() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        source.says = Unserved("broken")
        for _ in range(2):
            with pytest.raises(Unserved):
                await remembered.of("a")
        assert source.asked == ["a"]
        source.says = "fine"
        assert await remembered.of("b") == "fine"

    asyncio.run(ask())


def test_an_unexpected_fault_is_a_silence_and_its_words_are_kept_back() -> None:
    async def ask() -> None:
        source = Source()
        source.says = ValueError("password=hunter2")
        with pytest.raises(SourceSilent) as caught:
            await source.remembered().of("a")
        assert "hunter2" not in str(caught.value)

    asyncio.run(ask())


def test_that_something_is_missing_is_remembered_shortly() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        source.says = None
        assert [await remembered.of("a") for _ in range(3)] == [None] * 3
        assert source.asked == ["a"]
        source.says, source.now = "there", source.now + 2
        assert await remembered.of("a") == "there"
        source.says, source.now = None, source.now + 41
        assert await remembered.of("a") is None  # it was removed, and nothing old is given

    asyncio.run(ask())


def test_a_source_that_takes_too_long_is_silent_and_its_answer_is_kept_when_it_comes() -> None:
    async def ask() -> None:
        source = Source()
        times = Times(fresh_s=10, ageing_s=40, stale_s=100, missing_s=2, waits_s=0.01)
        remembered: Remembered[str, str] = Remembered(
            source.load, source.in_thread, times, most=9, tally=source, clock=lambda: source.now
        )
        source.open.clear()
        with pytest.raises(SourceSilent, match="not answer in time"):
            await remembered.of("a")
        source.open.set()
        await settled()
        assert await remembered.of("a") == "one"
        assert source.asked == ["a"]

    asyncio.run(ask())


def test_nobody_waits_for_a_silent_source_who_can_be_given_something() -> None:
    async def ask() -> None:
        source = Source()
        times = Times(fresh_s=10, ageing_s=40, stale_s=100, missing_s=2, waits_s=0.01)
        remembered: Remembered[str, str] = Remembered(
            source.load, source.in_thread, times, most=9, tally=source, clock=lambda: source.now
        )
        assert await remembered.of("a") == "one"
        source.open.clear()
        source.now += 50
        assert await remembered.of("a") == "one"  # after it has waited
        asking = asyncio.create_task(remembered.of("a"))
        await asyncio.sleep(0)
        assert (asking.done(), await asking) == (True, "one")
        source.says = "two"
        source.open.set()
        await settled()
        assert await remembered.of("a") == "two"
        assert source.asked == ["a", "a"]
        source.says = Unavailable("down")
        source.now += 50
        assert await remembered.of("a") == "two"
        source.open.clear()
        source.now += 2
        asking = asyncio.create_task(remembered.of("a"))
        await asyncio.sleep(0)
        assert (asking.done(), await asking) == (True, "two")

    asyncio.run(ask())


@pytest.mark.parametrize("limit", [{"most": 3}, {"most_weight": 9, "weight": len}], ids=["number", "weight"])
def test_those_asked_for_last_stay(limit: dict[str, Any]) -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered(**limit)
        for key in ("a", "b", "c", "a", "d", "a"):
            await remembered.of(key)
        assert source.asked == ["a", "b", "c", "d"]
        await remembered.of("b")
        assert source.asked[-1] == "b"

    asyncio.run(ask())


def test_what_others_remember_counts_by_its_age_and_is_asked_for_once() -> None:
    async def ask() -> None:
        source, recalled = Source(), []

        async def recall(key: str) -> str | None:
            recalled.append(key)
            await source.open.wait()
            return None if key == "new" else "kept"

        ages = {"kept": 12.0}
        remembered = source.remembered(recall=recall, age_s=lambda value: ages.get(value, 0.0))
        source.open.clear()
        asking = [asyncio.create_task(remembered.of("a")) for _ in range(9)]
        await settled()
        source.open.set()
        assert await asyncio.gather(*asking) == ["kept"] * 9
        assert set(source.told) == {("ageing", 12)}
        await settled()
        assert await remembered.of("a") == "one"
        assert source.asked == ["a"]
        ages["kept"] = 50.0
        source.says = Unavailable("down")
        assert await remembered.of("b") == "kept"
        assert ("stale", 50) in source.told
        ages["kept"] = 100.0
        for key in ("c", "new"):
            with pytest.raises(Unavailable):
                await remembered.of(key)
        assert recalled == ["a", "b", "c", "new"]

    asyncio.run(ask())


def test_who_remembers_nothing_as_it_fails_costs_nobody_an_answer() -> None:
    async def ask() -> None:
        source = Source()

        async def recall(_: str) -> str | None:
            raise RuntimeError("the catalogue is another one")

        assert await source.remembered(recall=recall).of("a") == "one"

    asyncio.run(ask())


def test_what_another_process_asks_for_says_nothing_of_the_source() -> None:
    async def ask() -> None:
        source = Source()
        remembered = source.remembered()
        await remembered.of("a")
        source.now += 50
        source.says = AskedElsewhere()
        assert await remembered.of("a") == "one"
        with pytest.raises(Unserved):
            await remembered.of("b")
        source.says = "fine"
        assert await remembered.of("c") == "fine"

    asyncio.run(ask())
