from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headwater.stores.parts import LARGEST, MEMORY, Body, Parts, TooManyParts, even, growing

MIB, TIB = 1 << 20, 1 << 40


def bytes_of(body: Body) -> bytes:
    return bytes(body) if isinstance(body, bytearray) else body.read()


class Service:
    """Keeps what it is sent, and counts what is in its hands."""

    def __init__(self) -> None:
        self.parts: dict[int, bytes] = {}
        self.in_files: set[int] = set()
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def send(self, number: int, body: Body) -> str:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        if not isinstance(body, bytearray):
            self.in_files.add(number)
        self.parts[number] = bytes_of(body)
        with self._lock:
            self._now -= 1
        return f"tag {number}"

    @property
    def whole(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))


def parts(service: Service, directory: Path, *, size: int = 10, most: int = 100, memory: int = 40) -> Parts[str]:
    return Parts(service.send, lambda _: size, most=most, threads=2, directory=directory, memory=memory)


@pytest.mark.parametrize("first", [5 * MIB, 8 * MIB, 32 * MIB])
def test_ten_thousand_parts_hold_an_object_of_any_length(first: int) -> None:
    sizes = [growing(number, first, 10_000) for number in range(1, 10_001)]
    assert sum(sizes) >= 4 * TIB if first == 5 * MIB else sum(sizes) >= 5 * TIB
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[999], sizes[1000]) == (first, first, 2 * first)
    assert sizes[-1] <= LARGEST


def test_most_objects_have_parts_that_fit_into_memory() -> None:
    in_memory = [size for number in range(1, 10_001) if (size := growing(number, 8 * MIB, 10_000)) * 2 <= MEMORY]
    assert sum(in_memory) >= 140 << 30


def test_a_thousand_parts_are_enough_for_large_images() -> None:
    assert sum(growing(number, 8 * MIB, 1000) for number in range(1, 1001)) >= 600 << 30


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 80_000 * MIB, 80_000 * MIB + 1, 50 * TIB // 2])
def test_parts_of_a_known_length_are_even_and_few_enough(size: int) -> None:
    each = even(size, 8 * MIB, 10_000)
    assert each >= 8 * MIB
    assert each % MIB == 0
    assert each * 10_000 >= size


@pytest.mark.parametrize("pieces", [[25], [1] * 25, [10, 10, 5], [9, 2, 14], [0, 25]])
def test_bytes_arrive_in_their_order_whatever_the_pieces(tmp_path: Path, pieces: list[int]) -> None:
    service, data = Service(), bytes(range(25))
    sending, at = parts(service, tmp_path), 0
    for length in pieces:
        sending.write(memoryview(data)[at : at + length])
        at += length
    assert sending.any_sent
    assert sending.finish() == ["tag 1", "tag 2", "tag 3"]
    assert service.whole == data
    assert [len(service.parts[number]) for number in (1, 2, 3)] == [10, 10, 5]


@pytest.mark.parametrize("size", [0, 3, 10])
def test_what_fits_into_one_part_is_not_sent_in_parts(tmp_path: Path, size: int) -> None:
    service = Service()
    sending = parts(service, tmp_path)
    sending.write(memoryview(bytes(size)))
    assert not sending.any_sent
    assert bytes_of(sending.only()) == bytes(size)
    sending.stop()
    assert service.parts == {}


def test_parts_too_large_for_memory_wait_in_files_that_are_gone_afterwards(tmp_path: Path) -> None:
    service, data = Service(), bytes(range(100))
    sending = parts(service, tmp_path, size=30)
    sending.write(memoryview(data))
    sending.finish()
    assert service.whole == data
    assert service.in_files == {1, 2, 3, 4}
    assert list(tmp_path.iterdir()) == []
    abandoned = parts(service, tmp_path, size=30)
    abandoned.write(memoryview(data)[:5])
    abandoned.stop()  # else a warning says that the file was left open


def test_memory_is_bounded_and_parts_are_sent_side_by_side(tmp_path: Path) -> None:
    held, release = threading.Semaphore(0), threading.Event()

    def send(number: int, body: Body) -> str:
        held.release()
        assert release.wait(30)
        return str(number)

    sending: Parts[str] = Parts(send, lambda _: 10, most=100, threads=9, directory=tmp_path, memory=30)
    writer = threading.Thread(target=lambda: sending.write(memoryview(bytes(100))))
    writer.start()
    for _ in range(3):
        assert held.acquire(timeout=30)
    writer.join(0.2)
    assert writer.is_alive()  # three on their way are all that there is memory for
    assert not held.acquire(blocking=False)
    release.set()
    writer.join(30)
    assert len(sending.finish()) == 10


def test_what_failed_in_a_thread_is_told_to_the_writer_and_nothing_is_sent_after_the_stop(tmp_path: Path) -> None:
    def send(number: int, body: Body) -> str:
        raise ConnectionResetError(f"part {number}")

    sending: Parts[str] = Parts(send, lambda _: 10, most=100, threads=1, directory=tmp_path, memory=40)
    with pytest.raises(ConnectionResetError, match="part 1"):
        sending.write(memoryview(bytes(100)))
    sending.stop()


def test_more_parts_than_the_service_takes_are_refused(tmp_path: Path) -> None:
    service = Service()
    sending = parts(service, tmp_path, most=3)
    sending.write(memoryview(bytes(30)))
    with pytest.raises(TooManyParts):
        sending.write(memoryview(bytes(1)))
    sending.stop()
    assert sum(map(len, service.parts.values())) <= 30
