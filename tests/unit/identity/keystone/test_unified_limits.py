"""What is kept of Keystone's limits, for how long, and what counts while it is away."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headwater.identity.keystone.unified_limits import REST_S, LimitsUnknown, ServiceLimits, UnifiedLimits

CACHE_S = 60.0


class FakeKeystone:
    """Answers with ``limits``; counts the questions."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.is_away = False
        self.limits = ServiceLimits({"image_count_total": 10})
        self.held: threading.Event | None = None  # an answer waits for this
        self.entered = threading.Event()

    def __call__(self) -> ServiceLimits:
        self.asked += 1
        self.entered.set()
        if self.held is not None:
            assert self.held.wait(20)
        if self.is_away:
            raise LimitsUnknown("it is away")
        return self.limits

    def steady(self) -> float:
        return self.now


@pytest.fixture
def keystone() -> FakeKeystone:
    return FakeKeystone()


@pytest.fixture
def limits(keystone: FakeKeystone) -> UnifiedLimits:
    return UnifiedLimits(keystone, CACHE_S, steady=keystone.steady)


def test_a_projects_own_limit_comes_before_the_registered_one() -> None:
    limits = ServiceLimits({"image_count_total": 10, "image_size_total": 5}, {"p": {"image_count_total": 0}})
    assert limits.of("p", "image_count_total") == 0
    assert limits.of("p", "image_size_total") == 5
    assert limits.of("another", "image_count_total") == 10


def test_what_is_not_registered_is_not_allowed() -> None:
    assert ServiceLimits().of("p", "image_count_total") == 0


def test_one_answer_serves_every_project_until_it_is_old(limits: UnifiedLimits, keystone: FakeKeystone) -> None:
    first = limits.read()
    keystone.limits = ServiceLimits({"image_count_total": 20})
    keystone.now += CACHE_S - 1
    assert limits.read() is first
    assert keystone.asked == 1
    keystone.now += 1
    assert limits.read() is keystone.limits
    assert keystone.asked == 2


def test_without_a_cache_every_reader_asks(keystone: FakeKeystone) -> None:
    limits = UnifiedLimits(keystone, 0, steady=keystone.steady)
    limits.read()
    keystone.limits = ServiceLimits({"image_count_total": 20})
    assert limits.read() is keystone.limits


def test_before_the_first_answer_nothing_is_allowed(limits: UnifiedLimits, keystone: FakeKeystone) -> None:
    keystone.is_away = True
    with pytest.raises(LimitsUnknown, match="it is away"):
        limits.read()
    with pytest.raises(LimitsUnknown, match="a moment ago"):
        limits.read()
    assert keystone.asked == 1
    keystone.is_away = False
    keystone.now += REST_S
    assert limits.read() is keystone.limits


def test_while_keystone_is_away_the_last_known_limits_hold(limits: UnifiedLimits, keystone: FakeKeystone) -> None:
    known = limits.read()
    keystone.is_away = True
    keystone.now += 100 * CACHE_S
    assert limits.read() is known
    assert limits.read() is known
    assert keystone.asked == 2, "Keystone is left in peace for a while"
    keystone.is_away, keystone.limits = False, ServiceLimits({"image_count_total": 20})
    keystone.now += REST_S
    assert limits.read() is keystone.limits


def test_nobody_waits_for_an_answer_but_who_asks(limits: UnifiedLimits, keystone: FakeKeystone) -> None:
    known = limits.read()
    keystone.now += CACHE_S
    keystone.held, keystone.limits = threading.Event(), ServiceLimits({"image_count_total": 20})
    keystone.entered.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(limits.read)
        assert keystone.entered.wait(20)
        assert limits.read() is known
        keystone.held.set()
        assert asking.result(20) is keystone.limits


def test_all_who_come_first_share_one_question(limits: UnifiedLimits, keystone: FakeKeystone) -> None:
    keystone.held = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        reading = [pool.submit(limits.read) for _ in range(8)]
        assert keystone.entered.wait(20)
        keystone.held.set()
        assert all(each.result(20) is keystone.limits for each in reading)
    assert keystone.asked == 1
