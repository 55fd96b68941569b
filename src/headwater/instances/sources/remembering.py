"""Answers of a slow source that is asked as seldom as possible: remembered, refreshed, and better old than none.

An answer is *fresh* first: it is given at once. Then it is *ageing*: it is given at once too, and asked for anew
meanwhile. After that whoever wants it waits for the source; when that does not answer, what it said last is given as
long as ``stale_s`` allows, and until it answers again nobody waits who can be given something. That something is not
there is remembered for a moment only. However many ask for the same, one question is under way. After a failure the
source is left alone for a moment, so that a source that is down gets no more questions than one that works.

What others remember too (a catalogue, of what was said before a restart) is looked for before the source is asked the
first time, and counts by its age as if it had been remembered here.

One event loop; the questions are asked in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Literal, Protocol, TypeVar

import structlog
from cachetools import TTLCache

from headwater.errors import Unavailable
from headwater.http.threads import InThread

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Given = Literal["fresh", "ageing", "loaded", "stale", "missing", "failed"]

# What others remember of a key; ``None``: nothing.
Recall = Callable[[K], Awaitable[V | None]]

_LEFT_ALONE_S: Final = 1.0  # after a failure
_MOST_UNDER_WAY: Final = 1000
_LOG = structlog.get_logger(__name__)


class Tally(Protocol):
    """Who counts."""

    def given(self, how: Given, age_s: float) -> None:
        """Note that somebody was answered; ``age_s``: how old the answer is."""
        ...


class Unserved(Unavailable):
    """The source answers, and what it says of this one thing cannot be used; others are asked for as before."""


class AskedElsewhere(Unserved):
    """Another process asks for this one thing, and has no answer in time; what the source does is not known."""

    def __init__(self) -> None:
        super().__init__("where the instance is known is asked by another process, which has no answer yet")


class SourceSilent(Unavailable):
    """The source does not answer in time, or failed a moment ago."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"where the instance is known cannot be asked: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long an answer is what, in seconds."""

    fresh_s: float
    ageing_s: float  # from its beginning; no less than ``fresh_s``
    stale_s: float  # from its beginning
    missing_s: float
    waits_s: float  # for the source


@dataclass(frozen=True, slots=True)
class _Answer(Generic[V]):
    value: V | None
    at: float


class Remembered(Generic[K, V]):
    """The answers of one source, by their key."""

    def __init__(
        self,
        load: Callable[[K, V | None], V | None],
        in_thread: InThread,
        times: Times,
        *,
        most: int,
        tally: Tally,
        most_weight: int | None = None,
        weight: Callable[[V], int] = lambda _: 1,
        recall: Recall[K, V] | None = None,
        age_s: Callable[[V], float] = lambda _: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember nothing yet.

        Args:
            load: Asks the source; takes what it said last, returns ``None`` for what is not there.
            most: So many answers are kept, of those asked for last.
            most_weight: So much all of them may weigh.
            weight: What one weighs.
            recall: Asks what others remember, in a thread where it does not wait for the source.
            age_s: How old an answer is when it comes.
            clock: In seconds, of any beginning.
        """
        self._load, self._in_thread, self._times, self._clock = load, in_thread, times, clock
        self._most, self._most_weight, self._weight_of, self._tally = most, most_weight, weight, tally
        self._answers: OrderedDict[K, _Answer[V]] = OrderedDict()  # the least recently used first
        self._weight = 0
        self._recall, self._age_s_of = recall, age_s
        self._under_way: dict[K, asyncio.Task[V | None]] = {}
        self._recalled: dict[K, asyncio.Future[V | None]] = {}  # under way as well
        self._failure: tuple[str, float] | None = None  # the last one of the source itself, and when
        self._is_silent = False  # it failed, and has not answered since
        self._slow: set[K] = set()  # whose questions are under way for longer than somebody waits
        self._unserved: TTLCache[K, Unserved] = TTLCache(most, _LEFT_ALONE_S, clock)

    async def of(self, key: K) -> V | None:
        """Return the answer for a key; ``None``: the source knows of none.

        Raises:
            Unavailable: The source does not answer, and nothing is remembered that may be given.
        """
        known = self._answers.get(key)
        if known is None and self._recall is not None:
            await self._look_up(key, self._recall)
            known = self._answers.get(key)
        if known is not None:
            self._answers.move_to_end(key)
            age_s = self._clock() - known.at
            if known.value is None:
                if age_s < self._times.missing_s:
                    self._tally.given("missing", age_s)
                    return None
            elif age_s < self._times.fresh_s:
                self._tally.given("fresh", age_s)
                return known.value
            elif age_s < self._times.ageing_s:
                self._begin(key)
                self._tally.given("ageing", age_s)
                return known.value
        if (self._is_silent or key in self._slow) and known is not None and (old := self._old(known)) is not None:
            self._begin(key)
            return old
        try:
            found = await self._asked(key)
        except Unavailable:
            old = None if known is None else self._old(known)
            if old is not None:
                return old
            self._tally.given("failed", 0.0)
            raise
        self._tally.given("missing" if found is None else "loaded", 0.0)
        return found

    def held(self, key: K) -> V | None:
        """Return what is remembered and may still be given; nothing is asked."""
        known = self._answers.get(key)
        return None if known is None else self._old(known)

    async def change(self, key: K, is_same: Callable[[V], bool]) -> None:
        """Return when something else is remembered for a key, or nothing is.

        The source is asked whenever its answer is no longer fresh, as for those who want it.
        """
        while (known := self._answers.get(key)) is not None and known.value is not None and is_same(known.value):
            fresh_s = known.at + self._times.fresh_s - self._clock()
            if fresh_s > 0:
                await asyncio.sleep(fresh_s)
            elif isinstance(task := self._begin(key), Unavailable):
                await asyncio.sleep(_LEFT_ALONE_S)
            else:
                await asyncio.wait((task,))

    def _old(self, known: _Answer[V]) -> V | None:
        """Return what may be given in place of a new answer."""
        age_s = self._clock() - known.at
        if known.value is None or age_s >= self._times.stale_s:
            return None
        self._tally.given("stale", age_s)
        return known.value

    async def _look_up(self, key: K, recall: Recall[K, V]) -> None:
        """Take over what others remember, if they say so in time."""
        task = self._recalled.get(key)
        if task is None:
            task = asyncio.ensure_future(recall(key))
            task.add_done_callback(partial(self._took, key))
            self._recalled[key] = task
        await asyncio.wait((task,), timeout=self._times.waits_s)

    def _took(self, key: K, task: asyncio.Future[V | None]) -> None:
        del self._recalled[key]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _LOG.error("what was said of an instance before cannot be read", error=str(error))
        elif (found := task.result()) is not None and key not in self._answers:
            self._keep(key, found)

    async def _asked(self, key: K) -> V | None:
        task = self._begin(key)
        if isinstance(task, Unavailable):
            raise task
        try:
            async with asyncio.timeout(self._times.waits_s):
                return await asyncio.shield(task)
        except TimeoutError:
            if key in self._under_way:
                self._slow.add(key)
            raise SourceSilent("it does not answer in time") from None

    def _begin(self, key: K) -> asyncio.Task[V | None] | Unavailable:
        """Return the question that is under way, or a new one; the failure while the source is left alone."""
        task = self._under_way.get(key)
        if task is not None:
            return task
        unserved = self._unserved.get(key)
        if unserved is not None:
            return unserved
        if self._failure is not None and self._clock() - self._failure[1] < _LEFT_ALONE_S:
            return SourceSilent(self._failure[0])
        if len(self._under_way) >= _MOST_UNDER_WAY:
            return SourceSilent("as many questions as may be are under way")
        task = asyncio.create_task(self._run(key))
        task.add_done_callback(_seen)
        self._under_way[key] = task
        return task

    async def _run(self, key: K) -> V | None:
        known = self._answers.get(key)
        try:
            found = await self._in_thread(partial(self._load, key, None if known is None else known.value))
        except Unserved as error:
            self._unserved[key] = error
            self._is_silent = self._is_silent and isinstance(error, AskedElsewhere)
            raise
        except Unavailable as error:
            self._fail(str(error))
            raise
        except Exception as error:
            self._fail(type(error).__name__)
            _LOG.exception("a source of instances failed")
            raise SourceSilent(type(error).__name__) from error
        finally:
            del self._under_way[key]
            self._slow.discard(key)
        self._is_silent = False
        self._keep(key, found)
        return found

    def _fail(self, reason: str) -> None:
        self._failure, self._is_silent = (reason, self._clock()), True

    def _keep(self, key: K, found: V | None) -> None:
        self._forget(key)
        age_s = 0.0 if found is None else max(0.0, self._age_s_of(found))
        self._answers[key] = _Answer(found, self._clock() - age_s)
        self._weight += 0 if found is None else self._weight_of(found)
        while len(self._answers) > self._most or (
            self._most_weight is not None and self._weight > self._most_weight and len(self._answers) > 1
        ):
            self._forget(next(iter(self._answers)))

    def _forget(self, key: K) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None and answer.value is not None:
            self._weight -= self._weight_of(answer.value)


def _seen(task: asyncio.Task[V | None]) -> None:
    """Nobody may be waiting for it: its error is told to who does, and to the log by who asked."""
    if not task.cancelled():
        task.exception()
