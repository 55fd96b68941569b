"""Other servers are asked while no transaction is open, because a transaction may hold what everybody else waits for.

A change is judged before its transaction, and the answers are remembered until it ends (``remembering``): so the same
is judged again inside with nobody asked. Work inside that has to know what was not asked before, because the image is
another by now, say, raises ``AskFirst``. Whoever runs the work undoes it, asks, and runs it again with the answer at
hand. So a policy server that takes its time keeps one caller waiting, and nobody has to know beforehand what will be
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from headwater.errors import Unavailable

T = TypeVar("T")

_TRIES = 8
_answers: ContextVar[dict[Hashable, Any] | None] = ContextVar("answers", default=None)  # None: no transaction is open
_remembered: ContextVar[dict[Hashable, Any] | None] = ContextVar("remembered", default=None)  # None: nothing is


class AskFirst(Unavailable):
    """Work in a transaction needs an answer that another server has. It is an error only when it never ends."""

    def __init__(self, key: Hashable, question: Callable[[], Any]) -> None:
        super().__init__("What a change depends on was another thing each time that it was asked for; try again later")
        self.key, self.question = key, question


def ask(key: Hashable, question: Callable[[], T]) -> T:
    """Return what ``question`` returns, which asks another server.

    Args:
        key: Equal for questions that have the same answer.

    Raises:
        AskFirst: A transaction is open, and this was not asked before it began.
    """
    answers = _answers.get()
    if answers is None:
        remembered = _remembered.get()
        if remembered is None:
            return question()
        if key not in remembered:
            remembered[key] = question()
        answers = remembered
    elif key not in answers:
        raise AskFirst(key, question)
    answer: T = answers[key]
    return answer


@contextmanager
def remembering() -> Iterator[None]:
    """Ask each question once: what is answered inside stays so until the end, also in transactions."""
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def knowing(work: Callable[[], T]) -> T:
    """Return what ``work`` returns, which runs in a transaction of its own; it is run again after each ``AskFirst``.

    Raises:
        AskFirst: ``work`` asked for another thing each time.
    """
    remembered = _remembered.get()
    answers: dict[Hashable, Any] = {} if remembered is None else remembered
    for attempt in range(1, _TRIES + 1):
        token = _answers.set(answers)
        try:
            return work()
        except AskFirst as first:
            if attempt == _TRIES:
                raise
            wanted = first
        finally:
            _answers.reset(token)
        answers[wanted.key] = wanted.question()
    raise AssertionError("unreachable")
