"""Do several things with the same bytes at the same time: hash, hash, inspect, store.

A lane is one of these things: it takes the pieces of a stream in their order, one at a time. All lanes
of a stream share each piece's memory, which is given back when the last of them is done with it. A lane
borrows a thread only while it has a piece, so a slow client holds no thread, and as many lanes as there
are processors run at once. The number of pieces that the caller owns bounds the memory.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwater.threads import Pool

# The size of a piece: a multiple of every disk's block, so that a store may write it directly.
BUFFER = 2 << 20  # bytes


@dataclass(slots=True, eq=False)
class _Piece:
    view: memoryview
    release: Callable[[], None]
    left: int


class Lane:
    """One thing done with every piece."""

    def __init__(self, work: Callable[[memoryview], None], pool: Pool) -> None:
        self.work, self.pool = work, pool
        self.waiting: deque[_Piece] = deque()
        self.running = False


class Pipeline:
    """All lanes of one stream.

    After the first error nothing more is worked on: pieces are given back at once, and ``error`` says
    what happened.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def put(self, view: memoryview, release: Callable[[], None]) -> None:
        """Hand the next piece to every lane.

        Args:
            release: Called once, from any thread, when no lane needs the memory any more.
        """
        piece = _Piece(view, release, len(self._lanes))
        start = []
        with self._lock:
            for lane in self._lanes:
                lane.waiting.append(piece)
                if not lane.running:
                    lane.running = True
                    start.append(lane)
        for lane in start:
            lane.pool.start(lambda lane=lane: self._run(lane))  # type: ignore[misc]  # binds this turn's lane

    def _run(self, lane: Lane) -> None:
        while True:
            with self._lock:
                if not lane.waiting:
                    lane.running = False
                    return
                piece = lane.waiting.popleft()
            if self.error is None:
                try:
                    lane.work(piece.view)
                except BaseException as error:  # noqa: BLE001 - whatever it is, the caller of the stream hears of it
                    with self._lock:
                        self.error = self.error or error
            with self._lock:
                piece.left -= 1
                done = piece.left == 0
            if done:
                piece.release()
