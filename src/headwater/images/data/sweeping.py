"""Remove the bytes that the catalogue has let go of, store by store: jobs that are never done.

Each store has one job, so one process at a time sweeps it, and a store that is slow, hangs or is away keeps no
other from being swept. What cannot be removed is passed, so that nothing behind it waits, and tried again after pauses
that grow: the whole store where that does not work, else the one object. What others build on stays until they are
gone, and is no failure. Why something stays is noted with it. How long a pause has grown is known to this process
alone; another one that takes the job begins with a short one.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from headwater.clock import Clock, now
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.model import Location
from headwater.jobs.queue import Job
from headwater.jobs.runner import Handler, Later
from headwater.stores.store import ObjectInUse, ObjectStore

EVERY_S = 15
BATCH = 100
_LONGEST_STORE_PAUSE_S, _LONGEST_OBJECT_PAUSE_S = 600, 3600
_SAY_EVERY_S = 3600  # how often the log says that bytes lie in a store that is not configured

_log = logging.getLogger(__name__)


class Tally(Protocol):
    """Counts what is left, for the operator."""

    def left(self, by_store: Mapping[str, int]) -> None:
        """Note how many objects wait for their removal in each store."""

    def failed(self, store: str) -> None:
        """Note that an object could not be removed."""


class Sweeping:
    """The sweeps of this process; safe to use from several threads, one for each store."""

    def __init__(
        self,
        discarded: DiscardedObjectRows,
        stores: Mapping[str, ObjectStore],
        tally: Tally,
        *,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Clock = now,
    ) -> None:
        """Take what it works with.

        Args:
            stopping: Says whether this process is about to end; a sweep then makes way.
            clock: Seconds, of which only differences count.
            time_of_day: When something was tried.
        """
        self._discarded = discarded
        self._stores = stores
        self._tally = tally
        self._stopping = stopping
        self._clock = clock
        self._time_of_day = time_of_day
        self._failures: dict[str, int] = {}  # by store: how often in a row it did not work
        self._stuck: dict[Location, tuple[int, float]] = {}  # objects that stay: how often tried, when again
        self._say_at = clock()

    @property
    def handlers(self) -> dict[str, Handler]:
        """What runs the job of each store, by the job's kind."""
        return {_kind(name): partial(self._run, name) for name, store in self._stores.items() if store.abilities.writes}

    def count(self) -> None:
        """Count what is left, and say from time to time what no sweep will ever remove."""
        left = self._discarded.count()
        self._tally.left({**dict.fromkeys(self._stores, 0), **left})
        forsaken = {name: count for name, count in left.items() if name not in self._stores}
        if forsaken and self._clock() >= self._say_at:
            self._say_at = self._clock() + _SAY_EVERY_S
            for name, count in sorted(forsaken.items()):
                _log.warning(
                    "bytes that nobody needs lie in a store that the settings do not name",
                    extra={"store": name, "objects": count},
                )

    def _run(self, name: str, _job: Job) -> None:
        try:
            self.sweep(name)
        except Later:
            raise
        except Exception as error:
            # Whatever a store raises, its job stays: it is the only one that ever removes these bytes.
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            pause_s = _pause_s(failures, _LONGEST_STORE_PAUSE_S)
            facts = {"store": name, "error": str(error), "again_in_s": pause_s}
            _log.warning("a store is not swept for now", extra=facts)
            raise Later(pause_s, str(error)) from error
        self._failures.pop(name, None)
        raise Later(EVERY_S, f"store {name} is swept")

    def sweep(self, name: str) -> None:
        """Remove what a store has of what nobody needs, but for what rests after a failure.

        Raises:
            Later: This process stops.
            Exception: Whatever a store raises that does not work at all.
        """
        after, passed, reason = "", 0, ""
        while batch := self._discarded.of_store(name, after, BATCH):
            for location in batch:
                if self._stopping():
                    raise Later(0, "this process stops")
                if not self._is_due(location):
                    continue
                try:
                    self._stores[name].delete(location.object_key)
                except ObjectInUse as error:
                    self._discarded.stays(location, str(error), self._time_of_day())
                    self._rest(location)  # as it should be; the count of what is left tells
                    continue
                except Exception as error:  # noqa: BLE001 - whatever it is, what lies behind it is removed
                    self._tally.failed(name)
                    self._discarded.stays(location, str(error) or type(error).__name__, self._time_of_day())
                    self._stores[name].ping()  # raises where the trouble is the store's, not this object's
                    self._rest(location)
                    passed, reason = passed + 1, str(error)
                    continue
                self._discarded.forget(location)
                self._stuck.pop(location, None)
            after = batch[-1].object_key
        if passed:
            _log.warning("bytes cannot be removed", extra={"store": name, "objects": passed, "error": reason})

    def _is_due(self, location: Location) -> bool:
        return location not in self._stuck or self._stuck[location][1] <= self._clock()

    def _rest(self, location: Location) -> None:
        tried = self._stuck.get(location, (0, 0.0))[0] + 1
        self._stuck[location] = (tried, self._clock() + _pause_s(tried, _LONGEST_OBJECT_PAUSE_S))


def _kind(store: str) -> str:
    """Name the job of a store, in 64 characters at most, which a store's name alone may have."""
    kind = f"sweep:{store}"
    return kind if len(kind) <= 64 else f"sweep:{hashlib.sha256(store.encode()).hexdigest()[:58]}"


def _pause_s(failures: int, longest_s: int) -> float:
    return float(min(EVERY_S * 2 ** min(failures - 1, 20), longest_s))
