"""What the feed said a while ago, for readers whose index is of then.

LXD and Incus go on with an index for an hour, and two requests of one reader may have a change between them. An edition
costs little beside the next, as they share the texts of all products that are the same; its documents are put
together again for the few who ask.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

MOST: Final = 1000


class Tagged(Protocol):
    """What is told from others by what it says."""

    @property
    def tag(self) -> str: ...


E = TypeVar("E", bound=Tagged)


class PastEditions(Generic[E]):
    """Editions that were read and are the newest no more; safe to use from several threads."""

    def __init__(self, grace_s: float, clock: Callable[[], float], most: int = MOST) -> None:
        """Take how long an edition is kept after it was the newest, and how many of them."""
        self._grace_s, self._clock, self._most = grace_s, clock, most
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[E, float]] = OrderedDict()  # by tag; the oldest first

    def put(self, edition: E) -> None:
        """Keep an edition that is the newest no more."""
        with self._lock:
            self._forget_old()
            self._left[edition.tag] = edition, self._clock()
            self._left.move_to_end(edition.tag)
            if len(self._left) > self._most:
                self._left.popitem(last=False)

    def find(self, tag: str) -> E | None:
        """Return the edition that is told from others by ``tag``, while it is kept."""
        with self._lock:
            self._forget_old()
            kept = self._left.get(tag)
            return None if kept is None else kept[0]

    def _forget_old(self) -> None:
        before = self._clock() - self._grace_s
        while self._left and next(iter(self._left.values()))[1] < before:
            self._left.popitem(last=False)
