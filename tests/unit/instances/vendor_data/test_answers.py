"""Services are asked at once and once for all readers; each answer is kept for one edition of the record."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from headwater.instances.vendor_data.answers import Answers, TargetFailed
from unit.instances.examples import BARE, WEB_1


class Service:
    """Answers with how often it was asked, as long as it is well."""

    def __init__(self, name: str, meets: threading.Barrier | None = None) -> None:
        self.name = name
        self.asked = 0
        self.fails: Exception | None = None
        self._meets = meets

    def ask(self, body: bytes, deadline: float, /) -> bytes:
        self.asked += 1
        if self._meets is not None:
            self._meets.wait(30)
        if self.fails is not None:
            raise self.fails
        return b"%d" % self.asked


class Counts(Counter[str]):
    def vendor_data(self, target: str, what: str, /) -> None:
        self[f"{target} {what}"] += 1


class Steady:
    at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def one() -> Service:
    return Service("one")


@pytest.fixture
def answers(one: Service, clock: Steady, counts: Counts) -> Iterator[Answers]:
    answers = Answers([one, Service("two")], timeout_s=30, cache_s=60, tally=counts, clock_s=clock, kept_bytes=1000)
    yield answers
    answers.close()


def test_all_services_are_asked_at_the_same_time(counts: Counts) -> None:
    both = threading.Barrier(2)
    answers = Answers([Service("b", both), Service("a", both)], timeout_s=30, cache_s=60, tally=counts)
    found = asyncio.run(answers.of(WEB_1))
    answers.close()
    assert list(found.items()) == [("b", b"1"), ("a", b"1")]


def test_those_that_are_named_are_asked_and_no_others(answers: Answers, one: Service) -> None:
    assert asyncio.run(answers.of(WEB_1, "two")) == {"two": b"1"}
    assert one.asked == 0


def test_readers_at_the_same_time_are_one_question(answers: Answers, one: Service) -> None:
    async def read() -> list[dict[str, bytes]]:
        return await asyncio.gather(*(answers.of(WEB_1) for _ in range(20)))

    assert asyncio.run(read()) == [{"one": b"1", "two": b"1"}] * 20
    assert one.asked == 1


def test_a_reader_that_leaves_ends_the_question_of_no_other(counts: Counts) -> None:
    meet = threading.Barrier(2)
    answers = Answers([Service("one", meet)], timeout_s=30, cache_s=60, tally=counts)

    async def read() -> dict[str, bytes]:
        leaves, stays = (asyncio.create_task(answers.of(WEB_1)) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        meet.wait(30)
        return await stays

    assert asyncio.run(read()) == {"one": b"1"}
    answers.close()


def test_an_answer_is_kept_for_its_time(answers: Answers, clock: Steady, counts: Counts) -> None:
    asyncio.run(answers.of(WEB_1, "one"))
    clock.at += 59
    assert asyncio.run(answers.of(WEB_1, "one")) == {"one": b"1"}
    clock.at += 1
    assert asyncio.run(answers.of(WEB_1, "one")) == {"one": b"2"}
    assert counts == {"one answered": 2, "one kept": 1}


@pytest.mark.parametrize(
    "other",
    [replace(WEB_1, revision=WEB_1.revision + 1), replace(WEB_1, updated_at=WEB_1.updated_at + 1), BARE],
    ids=["changed", "registered-again", "another"],
)
def test_an_answer_is_that_of_one_edition_of_one_record(answers: Answers, one: Service, other: object) -> None:
    asyncio.run(answers.of(WEB_1))
    asyncio.run(answers.of(other))  # type: ignore[arg-type]
    assert one.asked == 2


def test_with_no_time_to_keep_each_read_asks(one: Service, counts: Counts) -> None:
    answers = Answers([one], timeout_s=30, cache_s=0, tally=counts)
    assert [asyncio.run(answers.of(WEB_1))["one"] for _ in range(3)] == [b"1", b"2", b"3"]
    answers.close()


@pytest.mark.parametrize(
    "error", [TargetFailed("one", "it answers 500"), RuntimeError("a fault")], ids=["known", "not"]
)
def test_what_fails_is_nothing_for_five_seconds_and_said_once(
    answers: Answers, one: Service, clock: Steady, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    one.fails = error
    assert asyncio.run(answers.of(WEB_1)) == {"one": b"{}", "two": b"1"}
    asyncio.run(answers.of(WEB_1))
    assert one.asked == 1
    clock.at += 5
    asyncio.run(answers.of(WEB_1))
    assert (one.asked, len(caplog.records), list(answers.failing())) == (2, 1, ["one"])
    one.fails, clock.at = None, clock.at + 5
    assert asyncio.run(answers.of(WEB_1)) == {"one": b"3", "two": b"1"}
    assert not answers.failing()


def test_the_oldest_answers_are_forgotten_when_there_are_many(answers: Answers, one: Service) -> None:
    for revision in range(10):
        asyncio.run(answers.of(replace(WEB_1, revision=revision), "one"))
    asyncio.run(answers.of(replace(WEB_1, revision=9), "one"))
    assert one.asked == 10
    asyncio.run(answers.of(replace(WEB_1, revision=0), "one"))
    assert one.asked == 11
