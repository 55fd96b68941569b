"""How large the segments of an object are, and how what is pushed reaches who sends it."""

from __future__ import annotations

import threading

import pytest

from headwater.stores.swift.upload import LARGEST, Pipe, even, growing

MIB = 1 << 20
GIB = 1 << 30


def test_segments_of_most_objects_are_as_large_as_is_set_and_a_thousand_hold_any() -> None:
    sizes = [growing(number, 200 * MIB, 1000) for number in range(1, 1001)]
    assert set(sizes[:500]) == {200 * MIB}
    assert sizes == sorted(sizes)
    assert max(sizes) == LARGEST
    assert sum(sizes) > 1900 * GIB * 95 // 100


@pytest.mark.parametrize("first", [4 * MIB, 200 * MIB, LARGEST])
@pytest.mark.parametrize("most", [4, 100, 1000, 100_000])
def test_no_segment_is_larger_than_swift_takes(first: int, most: int) -> None:
    assert all(first <= growing(number, first, most) <= LARGEST for number in range(1, most + 1))


@pytest.mark.parametrize("size", [1, 200 * MIB, 200 * GIB, 200 * GIB + 1, 5000 * GIB])
def test_an_object_of_known_length_has_few_enough_segments(size: int) -> None:
    each = even(size, 200 * MIB, 1000)
    assert each >= 200 * MIB
    assert -(-size // each) <= 1000


def test_who_pushes_waits_for_who_sends_and_no_more_waits_in_memory_than_fits() -> None:
    pipe = Pipe()
    pushed: list[int] = []

    def push() -> None:
        for number in range(32):
            pipe.put(bytes([number]) * MIB)
            pushed.append(number)
        pipe.put(b"")

    pushing = threading.Thread(target=push)
    pushing.start()
    got = []
    while piece := pipe.get(60):
        got.append(piece[0])
        assert len(pushed) - len(got) <= 10
    pushing.join()
    assert got == list(range(32))


def test_who_pushes_to_nobody_is_told_and_does_not_wait() -> None:
    pipe = Pipe()
    pushing = threading.Thread(target=lambda: [pipe.put(bytes(MIB)) for _ in range(20)])
    pushing.start()
    pipe.end_reading()
    pushing.join(60)
    assert not pushing.is_alive()
    assert pipe.put(b"more") is False


def test_when_nothing_comes_for_long_the_rest_is_for_somebody_else() -> None:
    pipe = Pipe()
    assert pipe.put(b"one")
    assert (pipe.get(0), pipe.get(0)) == (b"one", b"")
    assert pipe.put(b"two") is False


def test_who_waits_for_a_piece_of_what_is_broken_off_fails() -> None:
    pipe = Pipe()
    failures: list[BaseException] = []

    def send() -> None:
        try:
            pipe.get(60)
        except Exception as error:  # noqa: BLE001 - given to the test, whatever it is
            failures.append(error)

    sending = threading.Thread(target=send)
    sending.start()
    pipe.break_off()
    sending.join(60)
    assert len(failures) == 1
