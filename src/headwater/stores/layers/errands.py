"""Calls that are made by other threads, so that whoever waits for one may stop waiting."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Errand(Generic[T]):
    """One call. Its caller waits for it once; what it gives is held by nobody else."""

    def __init__(self, work: Callable[[], T], given_up: Callable[[T], None] | None = None) -> None:
        """Take the call.

        Args:
            given_up: Takes a result that comes when its caller has gone.
        """
        self._work = work
        self._given_up = given_up
        self._context = copy_context()  # the log names the request, as in the caller's thread
        self._outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
        self._got: tuple[Any, BaseException | None] | None = None
        self._lock = threading.Lock()
        self._is_back = False
        self._afterwards: list[Callable[[], None]] = []
        self.is_overdue = False  # its caller has gone before it was back

    def run(self, is_made: Callable[[], None]) -> bool:
        """Make the call; return whether its caller has gone, so that ``finish`` is to follow.

        Args:
            is_made: Called when the call is made, before anybody hears of it.
        """
        self._outcomes.put(self._outcome(is_made))
        with self._lock:
            self._is_back = True
            return self.is_overdue

    def _outcome(self, is_made: Callable[[], None]) -> tuple[T | None, BaseException | None]:
        try:
            return self._context.run(self._work), None
        except BaseException as error:  # noqa: BLE001 - raised where the call is waited for
            return None, error
        finally:
            del self._work  # and what it holds: the thread keeps this for a moment longer
            is_made()

    def finish(self) -> None:
        """Do what is to be done after an overdue call."""
        result, error = self._outcomes.get()
        if self._given_up is not None and error is None:
            _try(partial(self._given_up, cast(T, result)))
        for each in self._afterwards:
            _try(each)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it is back in time; ``result`` then has what it gave."""
        with contextlib.suppress(queue.Empty):
            self._got = self._outcomes.get(timeout=timeout_s)
            return True
        with self._lock:
            with contextlib.suppress(queue.Empty):
                self._got = self._outcomes.get_nowait()
                return True
            self.is_overdue = True
            return False

    def result(self) -> T:
        """Return what the call returned, or raise what it raised, once."""
        assert self._got is not None
        (result, error), self._got = self._got, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # which holds this frame, and all that was in use
        return cast(T, result)

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do ``work`` when an overdue call is back; whoever is last to come does it."""
        with self._lock:
            if not self._is_back:
                self._afterwards.append(work)
                return
        _try(work)


class Errands:
    """Threads that make calls, one each at a time. They end with the process: it waits for none that is stuck."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: queue.SimpleQueue[Errand[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._is_closed = False

    def begin(self, errand: Errand[Any]) -> None:
        """Let a thread make the call now."""
        with self._lock:
            self._take_one()
            self._waiting.put(errand)

    def _take_one(self) -> None:
        if self._idle:
            self._idle -= 1
        else:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _give_back(self) -> None:
        with self._lock:
            if self._is_closed:
                self._waiting.put(None)
            else:
                self._idle += 1

    def _run(self) -> None:
        while (errand := self._waiting.get()) is not None:
            # Idle before its caller goes on, who else would find no thread for the next call and start one for each.
            if errand.run(self._give_back):
                with self._lock:
                    self._take_one()  # itself; or one in its place, if there is something to do for it already
                errand.finish()
                self._give_back()

    def close(self) -> None:
        """Let each thread go as soon as it has nothing to do."""
        with self._lock:
            self._is_closed = True
            for _ in range(self._idle):
                self._waiting.put(None)
            self._idle = 0


def _try(work: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):  # nobody is there any more who could be told
        work()
