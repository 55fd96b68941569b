from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headwater.instances.serving.waiting import (
    MOST_S,
    MOST_WAITERS,
    WAITS_S,
    Changes,
    TooManyWait,
    WaitInvalid,
    is_same,
    is_wanted,
    once,
    timeout_of,
)


class States:
    """A catalogue in memory, which counts the questions."""

    def __init__(self) -> None:
        self.of = {"web1": 3, "web2": 5}
        self.asked: list[list[str]] = []

    def __call__(self, instance_ids: Sequence[str]) -> dict[str, int]:
        self.asked.append(sorted(instance_ids))
        return {each: self.of[each] for each in instance_ids if each in self.of}


async def looking(changes: Changes, *waits: asyncio.Task[bool]) -> None:
    while not all(each.done() for each in waits):
        await asyncio.to_thread(changes.look)
        await asyncio.sleep(0)


def test_who_waits_wakes_when_its_instance_changes_and_nobody_else_does() -> None:
    async def run() -> None:
        states = States()
        changes = Changes(states)
        one = asyncio.create_task(changes.after("web1", 3, 20))
        other = asyncio.create_task(changes.after("web2", 5, 20))
        await asyncio.sleep(0)
        changes.look()
        await asyncio.sleep(0)
        assert not one.done()
        states.of["web1"] = 4
        await asyncio.wait_for(looking(changes, one), 20)
        assert await one
        assert not other.done()
        assert states.asked[0] == ["web1", "web2"]  # one question for all
        del states.of["web2"]  # removed
        await asyncio.wait_for(looking(changes, other), 20)
        assert await other
        states.asked.clear()
        changes.look()
        assert states.asked == []  # nobody waits: nothing is asked

    asyncio.run(run())


def test_a_change_before_the_wait_wakes_too() -> None:
    async def run() -> None:
        changes = Changes(States())
        wait = asyncio.create_task(changes.after("web1", 2, 20))
        await asyncio.wait_for(looking(changes, wait), 20)
        assert await wait

    asyncio.run(run())


def test_nobody_waits_beyond_its_time_a_stop_or_while_the_service_is_drained() -> None:
    async def run() -> None:
        drained: list[str] = []
        changes = Changes(States(), lambda: drained)
        assert not await changes.after("web1", 3, 0.01)
        wait = asyncio.create_task(changes.after("web1", 3, 20))
        await asyncio.sleep(0)
        drained.append("drained")
        await asyncio.wait_for(looking(changes, wait), 20)
        assert not await wait
        drained.clear()
        wait = asyncio.create_task(changes.after("web1", 3, 20))
        await asyncio.sleep(0)
        changes.stop()
        assert not await asyncio.wait_for(wait, 20)
        assert not await changes.after("web1", 3, 20)  # and none begins to

    asyncio.run(run())


def test_one_instance_has_so_many_waiters_and_others_as_many() -> None:
    async def run() -> None:
        changes = Changes(States())
        waits = [asyncio.create_task(changes.after("web1", 3, 20)) for _ in range(MOST_WAITERS)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyWait):
            await changes.after("web1", 3, 20)
        assert not await changes.after("web2", 5, 0.01)
        waits[0].cancel()
        await asyncio.sleep(0)
        assert not await changes.after("web1", 3, 0.01)  # one that was left makes room
        changes.stop()
        await asyncio.gather(*waits[1:])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "wanted"), [(None, False), ("false", False), ("0", False), ("true", True), ("TRUE", True), ("1", True)]
)
def test_a_request_says_whether_it_waits(text: str | None, wanted: bool) -> None:
    assert is_wanted(text) is wanted


def test_what_is_no_answer_to_it_is_refused() -> None:
    for text in ("yes", "", "tru\u0435"):
        with pytest.raises(WaitInvalid):
            is_wanted(text)
    for text in ("-1", "1.5", "", "x", "\u0661", "9" * 20):
        with pytest.raises(WaitInvalid):
            timeout_of(text)
    assert (timeout_of(None), timeout_of("5"), timeout_of("999999")) == (WAITS_S, 5, MOST_S)


def test_a_tag_is_the_same_without_its_quotes() -> None:
    assert is_same("abc", '"abc"')
    assert is_same('W/"abc"', '"abc"')
    assert not is_same("0", '"abc"')


def test_a_parameter_that_is_given_twice_is_refused_by_its_name() -> None:
    assert once("last_etag", []) is None
    assert once("last_etag", ["a"]) == "a"
    with pytest.raises(WaitInvalid, match="last_etag must be given once"):
        once("last_etag", ["a", "a"])
