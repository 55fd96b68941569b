from __future__ import annotations

import pytest

from headwater.instances.serving.limits import MOST_WAIT_S, AskedTooOften, Limits


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_boot_waits_for_nothing(clock: Clock) -> None:
    limits = Limits(1, 60, clock)
    assert [limits.wait_s("web1") for _ in range(60)] == [0.0] * 60


def test_who_asks_in_a_loop_waits_for_its_turn_and_is_then_refused(clock: Clock) -> None:
    limits = Limits(10, 60, clock)
    for _ in range(60):
        limits.wait_s("web1")
    assert [limits.wait_s("web1") for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(AskedTooOften) as refused:
        for _ in range(1000):
            limits.wait_s("web1")
    assert int(refused.value.headers["Retry-After"]) >= MOST_WAIT_S
    assert limits.wait_s("web2") == 0.0  # others do not notice


def test_refusals_cost_nothing(clock: Clock) -> None:
    limits = Limits(10, 60, clock)
    for _ in range(100):
        limits.wait_s("web1")
    for _ in range(500):
        with pytest.raises(AskedTooOften):
            limits.wait_s("web1")
    clock.at += 0.2
    assert limits.wait_s("web1") <= MOST_WAIT_S
    clock.at += 100
    assert limits.wait_s("web1") == 0.0


def test_only_so_many_instances_are_remembered(clock: Clock) -> None:
    limits = Limits(1, 60, clock, remembered=2)
    for _ in range(62):
        limits.wait_s("web1")
    for name in ("web2", "web3"):
        limits.wait_s(name)
    assert limits.wait_s("web1") == 0.0


def test_without_a_rate_nobody_waits(clock: Clock) -> None:
    limits = Limits(0, 60, clock)
    assert {limits.wait_s("web1") for _ in range(1000)} == {0.0}
