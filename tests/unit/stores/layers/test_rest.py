"""A store that fails slowly is left alone for a while."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headwater.stores.layers.rest import SLOW_S, RestingStore, StoreRests
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectNotFound, Stored, StoreUnavailable


class Slow(MemoryStore):
    """A store whose calls take as long as the test says, by a clock that the test moves."""

    def __init__(self) -> None:
        super().__init__("slow", MemoryStoreSettings(type="memory"))
        self.now, self.takes_s, self.asked = 0.0, 0.0, 0
        self.fails = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def stat(self, key: str) -> Stored:
        self.asked += 1
        self.may_answer.wait(20)
        self.now += self.takes_s
        if self.fails:
            raise StoreUnavailable(self.name, "no route to it")
        return super().stat(key)


def resting() -> tuple[Slow, RestingStore]:
    slow = Slow()
    slow.put("k", b"bytes")
    return slow, RestingStore(slow, lambda: slow.now)


def test_after_a_slow_failure_others_fail_at_once_and_say_why() -> None:
    slow, store = resting()
    slow.fails, slow.takes_s = True, SLOW_S
    with pytest.raises(StoreUnavailable, match=r"no route to it$"):
        store.stat("k")
    for _ in range(5):
        with pytest.raises(StoreRests, match="no route to it; it is not asked again for a moment"):
            store.stat("k")
        with pytest.raises(StoreRests):
            store.read("k")
    assert slow.asked == 1


def test_it_is_tried_again_less_and_less_often_and_the_first_answer_ends_it() -> None:
    slow, store = resting()
    slow.fails, slow.takes_s = True, SLOW_S
    asked = []
    for _ in range(2):
        before = slow.asked
        for _ in range(100):
            slow.now += 0.5
            with pytest.raises(StoreUnavailable):
                store.stat("k")
        asked.append(slow.asked - before)
    assert asked[0] > asked[1] > 0
    slow.now += 60
    slow.fails = False
    with pytest.raises(ObjectNotFound):  # which only a store says that is there
        store.stat("absent")
    slow.takes_s = 0
    assert store.stat("k").size == 5
    assert b"".join(store.read("k")) == b"bytes"


def test_one_call_at_a_time_tries() -> None:
    slow, store = resting()
    slow.fails, slow.takes_s = True, SLOW_S
    with pytest.raises(StoreUnavailable):
        store.stat("k")
    slow.now += 60
    slow.may_answer.clear()
    with ThreadPoolExecutor(1) as other:
        trying = other.submit(store.stat, "k")
        while slow.asked < 2:
            pass
        for _ in range(3):
            with pytest.raises(StoreRests):
                store.stat("k")
        slow.fails = False
        slow.may_answer.set()
        assert trying.result().size == 5
    assert store.stat("k").size == 5


def test_what_fails_at_once_is_asked_by_everybody_and_works_at_once_again() -> None:
    slow, store = resting()
    slow.fails = True
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            store.stat("k")
    assert slow.asked == 5
    slow.fails = False
    assert store.stat("k").size == 5


def test_a_store_that_answers_others_meanwhile_does_not_rest() -> None:
    slow, store = resting()
    slow.fails, slow.takes_s = True, SLOW_S
    slow.may_answer.clear()
    with ThreadPoolExecutor(1) as other:
        failing = other.submit(store.stat, "k")
        while not slow.asked:
            pass
        slow.now += 0.1
        assert b"".join(store.read("k")) == b"bytes"
        slow.may_answer.set()
        with pytest.raises(StoreUnavailable):
            failing.result()
    slow.fails = False
    assert store.stat("k").size == 5
