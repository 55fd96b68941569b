from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from headwater.images.data.pipeline import Lane, Pipeline
from headwater.threads import Pool

WAIT_S = 20


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool("test", 4)
    yield made
    made.close()


class Stream:
    """Puts pieces into a pipeline and notes which of them came back."""

    def __init__(self, *lanes: Lane) -> None:
        self.pipeline = Pipeline(lanes)
        self.released: Counter[int] = Counter()
        self._lock = threading.Condition()
        self._put = 0

    def put(self, data: bytes) -> None:
        number = self._put
        self._put += 1

        def release() -> None:
            with self._lock:
                self.released[number] += 1
                self._lock.notify_all()

        self.pipeline.put(memoryview(data), release)

    def settle(self) -> None:
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.released) == self._put, WAIT_S), "not all pieces came back"


def test_each_lane_gets_every_piece_in_order(pool: Pool) -> None:
    seen: list[list[bytes]] = [[], [], []]
    stream = Stream(*[Lane(lambda view, to=to: to.append(bytes(view)), pool) for to in seen])  # type: ignore[misc]
    pieces = [bytes([number]) * number for number in range(200)]
    for piece in pieces:
        stream.put(piece)
    stream.settle()
    assert seen == [pieces] * 3
    assert stream.pipeline.error is None


def test_every_piece_comes_back_once_and_not_before_the_slowest_lane_is_done(pool: Pool) -> None:
    gate = threading.Event()
    done: list[str] = []

    def slow(_view: memoryview) -> None:
        gate.wait(WAIT_S)
        done.append("slow")

    stream = Stream(Lane(lambda _view: done.append("fast"), pool), Lane(slow, pool))
    for _ in range(3):
        stream.put(b"x")
    deadline = time.monotonic() + WAIT_S
    while done.count("fast") < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert done == ["fast"] * 3
    assert stream.released == Counter()
    gate.set()
    stream.settle()
    assert stream.released == Counter({0: 1, 1: 1, 2: 1})


def test_a_lane_works_on_one_piece_at_a_time(pool: Pool) -> None:
    inside = threading.Lock()
    overlaps: list[bool] = []

    def work(_view: memoryview) -> None:
        overlaps.append(not inside.acquire(blocking=False))
        time.sleep(0.001)
        inside.release()

    stream = Stream(Lane(work, pool), Lane(lambda _view: None, pool))
    for _ in range(50):
        stream.put(b"x")
    stream.settle()
    assert overlaps == [False] * 50


def test_lanes_work_at_the_same_time(pool: Pool) -> None:
    both = threading.Barrier(2, timeout=WAIT_S)

    def work(_view: memoryview) -> None:
        both.wait()

    stream = Stream(Lane(work, pool), Lane(work, pool))
    stream.put(b"x")
    stream.settle()
    assert stream.pipeline.error is None


@pytest.mark.parametrize("error", [ValueError("first"), KeyboardInterrupt("first"), SystemExit("first")])
def test_an_error_of_one_lane_ends_the_work_and_every_piece_comes_back(pool: Pool, error: BaseException) -> None:
    worked: list[int] = []

    def fail_on_third(view: memoryview) -> None:
        if view[0] == 3:
            raise error

    stream = Stream(Lane(fail_on_third, pool), Lane(lambda view: worked.append(view[0]), pool))
    for number in range(4):
        stream.put(bytes([number]))
    stream.settle()
    assert stream.pipeline.error is error
    for number in range(100, 110):
        stream.put(bytes([number]))
    stream.settle()
    assert set(stream.released.values()) == {1}
    assert [number for number in worked if number >= 100] == []


def test_the_first_of_two_errors_is_kept(pool: Pool) -> None:
    order = threading.Event()

    def fail(first: bool) -> Callable[[memoryview], None]:
        def work(_view: memoryview) -> None:
            if not first:
                order.wait(WAIT_S)
            try:
                raise ValueError("first" if first else "second")
            finally:
                if first:
                    threading.Timer(0.05, order.set).start()

        return work

    stream = Stream(Lane(fail(True), pool), Lane(fail(False), pool))
    stream.put(b"x")
    stream.settle()
    assert str(stream.pipeline.error) == "first"


def test_an_idle_stream_holds_no_thread() -> None:
    """As many streams as anybody likes wait for their clients on one thread."""
    pool = Pool("test", 1)
    streams = [Stream(Lane(lambda _view: None, pool), Lane(lambda _view: None, pool)) for _ in range(50)]
    for _ in range(2):
        for stream in streams:
            stream.put(b"x")
        for stream in streams:
            stream.settle()
    pool.close()
    assert all(stream.released == Counter({0: 1, 1: 1}) for stream in streams)


def test_many_streams_share_their_threads(pool: Pool) -> None:
    sums = [[0] for _ in range(8)]
    streams = [
        Stream(*[Lane(lambda view, total=total: total.__setitem__(0, total[0] + view[0]), pool)])  # type: ignore[misc]
        for total in sums
    ]

    def feed(stream: Stream) -> None:
        for number in range(100):
            stream.put(bytes([number]))

    threads = [threading.Thread(target=feed, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream in streams:
        stream.settle()
    assert sums == [[sum(range(100))]] * 8
