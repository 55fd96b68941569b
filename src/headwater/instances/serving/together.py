"""Questions that come while others are being answered wait, and are then asked together, in one thread at once.

A boot storm is many small questions to the catalogue. To hand each to a thread costs more than the question itself.
While few ask nothing waits: a question that finds a thread free is asked at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Generic, TypeVar

from headwater.errors import HeadwaterError
from headwater.http.threads import InThread

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")
V = TypeVar("V")

_AT_ONCE = 2
_MOST = 32


class Together(Generic[K, M, V]):
    """Asks for one event loop; each question is asked after it came, so no answer is older than the request."""

    def __init__(self, ask: Callable[[K, M], V], in_thread: InThread, moment: Callable[[Sequence[K]], M]) -> None:
        """Take what asks.

        Args:
            ask: Answers one question, given the moment of all that are asked with it.
            moment: Makes that of all of them, when they have come.
        """
        self._ask, self._in_thread, self._moment = ask, in_thread, moment
        self._waiting: dict[K, list[asyncio.Future[V]]] = {}
        self._running = 0  # threads that ask
        self._tasks: set[asyncio.Task[None]] = set()  # which the loop alone would not keep

    async def of(self, key: K) -> V:
        """Return the answer for a key; raises what the question raises."""
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._running < _AT_ONCE:
            self._running += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                some = {key: self._waiting.pop(key) for key in list(self._waiting)[:_MOST]}
                try:
                    answers = await self._in_thread(partial(self._answers, list(some)))
                except Exception as error:  # noqa: BLE001 - who asked gets it
                    answers = [error] * len(some)
                for futures, found in zip(some.values(), answers, strict=True):
                    _end(futures, found)
        finally:
            # In the same turn of the loop in which nobody waits any more: who asks next begins anew.
            self._running -= 1

    def _answers(self, keys: Sequence[K]) -> list[V | Exception]:
        moment = self._moment(keys)
        return [self._answer(key, moment) for key in keys]

    def _answer(self, key: K, moment: M) -> V | Exception:
        try:
            return self._ask(key, moment)
        except HeadwaterError as error:
            return error


def _end(futures: list[asyncio.Future[V]], found: V | Exception) -> None:
    for future in futures:
        if future.done():  # who asked is gone
            continue
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
