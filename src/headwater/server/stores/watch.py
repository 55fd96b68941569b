"""Which stores are down: each is looked at now and then, whether anybody asks for what it has or not.

A look writes a few bytes and removes them: what only asks may be answered by the kernel for a file server that stands
still, and says nothing of a directory that takes no files. A store in which something failed is looked at the next
moment (``failures.py``), and one that is down again and again, after pauses that grow. Each look has a thread of its
own, so one that hangs keeps no other store from being looked at, and costs one thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from headwater.errors import HeadwaterError
from headwater.images.data.admission import Admission, Admitted
from headwater.images.locations.known_stores import StoreFault
from headwater.stores.layers.awaited import AwaitedStore
from headwater.stores.store import ObjectStore, StoreRefusesWrites, StoreUnavailable

EVERY_S = 30.0  # between two looks at a store that works, and the longest pause for one that does not
LIMIT_S = 10.0  # a look that takes longer says that the store does not answer
TURN_S = 1.0  # how often to see which looks are due

_FIRST_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


class Tally(Protocol):
    """Keeps which stores work, for the operator."""

    def is_up(self, store: str, *, up: bool) -> None:
        """Note whether a store works; one that only takes nothing does."""


class StoreWatch:
    """The stores of one process; safe to use from several threads."""

    def __init__(
        self,
        stores: Mapping[str, ObjectStore],
        tally: Tally,
        *,
        down: Mapping[str, str],
        admit: Mapping[str, Callable[[], object]],
        has_failed: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the stores; those that keep nothing of their own are not looked at.

        Args:
            down: Those that did not work when the process began, and why.
            admit: What is done, instead of a look, until it succeeds once.
            has_failed: Says whether something failed in a store since this was asked before.
        """
        self._tally, self._has_failed, self._clock = tally, has_failed, clock
        self._admit = dict(admit)
        self._stores = {name: store for name, store in stores.items() if store.abilities.has_identity}
        self._lock = threading.Lock()
        faults = {name: StoreFault(reason) for name, reason in down.items()}
        self._states = {name: _State(fault=faults.get(name), due=clock()) for name in self._stores}
        for name in self._states:
            tally.is_up(name, up=name not in down)

    def look_soon(self) -> None:
        """Let the next turn look at every store: what fails in another worker is not heard here."""
        with self._lock:
            for state in self._states.values():
                state.due = self._clock()

    def faults(self) -> dict[str, StoreFault]:
        """Return what the last looks found wrong with stores; those that give and take are not in it."""
        with self._lock:
            return {name: state.fault for name, state in self._states.items() if state.fault is not None}

    def look(self) -> float:
        """Begin the looks that are due, and wait for none; return after how many seconds to come again."""
        now = self._clock()
        for name, state in self._states.items():
            with self._lock:
                if state.began is not None and now >= state.began + LIMIT_S:
                    self._found(name, StoreFault(f"it does not answer within {LIMIT_S:g} s"))
                # Of one that is down it is known, and its own looks are what fails.
                has_news = state.fault is None and self._has_failed(name)
                begins = state.began is None and (has_news or now >= state.due)
                if begins:
                    state.began = now
            if begins:
                threading.Thread(target=self._look_at, args=(name,), name="headwater-watch", daemon=True).start()
        return TURN_S

    def _look_at(self, name: str) -> None:
        fault = self._fault(name)
        with self._lock:
            self._has_failed(name)  # forgotten: what failed until now, and this look, are judged by what it found
            self._found(name, fault)
            state = self._states[name]
            state.pause_s = min(EVERY_S, state.pause_s * 2 or _FIRST_PAUSE_S) if fault is not None else 0.0
            state.began, state.due = None, self._clock() + (state.pause_s or EVERY_S)

    def _fault(self, name: str) -> StoreFault | None:
        is_known = name not in self._admit
        try:
            if is_known:
                self._stores[name].ping()
            else:
                self._admit[name]()
                del self._admit[name]
        except StoreUnavailable as error:
            only_of_writes = is_known and isinstance(error, StoreRefusesWrites)
            is_full = isinstance(error, StoreRefusesWrites) and error.is_full
            return StoreFault(error.reason, only_of_writes=only_of_writes, is_full=only_of_writes and is_full)
        except HeadwaterError as error:  # it is there, and is not what the catalogue means
            return StoreFault(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a store raises, it is looked at again
            _log.exception("a store could not be looked at", extra={"store": name})
            return StoreFault(f"it could not be looked at: {type(error).__name__}")
        return None

    def _found(self, name: str, fault: StoreFault | None) -> None:
        """Note what a look found, and tell of it when that is news; called with the lock held."""
        state = self._states[name]
        before, state.fault = state.fault, fault
        if fault == before:
            return
        self._tally.is_up(name, up=fault is None or fault.only_of_writes)
        if fault is None:
            _log.warning("a store works again", extra={"store": name})
        else:
            what = "takes nothing" if fault.only_of_writes else "is down"
            _log.error(f"a store {what}: it is looked at again and again", extra={"store": name, "error": fault.reason})


def watched(
    stores: Mapping[str, ObjectStore],
    found: Admitted,
    admission: Admission,
    tally: Tally,
    has_failed: Callable[[str], bool],
) -> StoreWatch:
    """Return what looks after the stores, and admits those that the start waited for in vain."""

    def admit(name: str, awaited: AwaitedStore) -> None:
        identity = admission.admit_one(name, awaited.below)
        if identity is None:
            raise StoreRefusesWrites(name, is_full=True)
        awaited.expect(identity)

    awaited = {name: store for name, store in stores.items() if isinstance(store, AwaitedStore)}
    admit_each = {name: partial(admit, name, store) for name, store in awaited.items()}
    return StoreWatch(stores, tally, down=found.down, admit=admit_each, has_failed=has_failed)


@dataclass(slots=True)
class _State:
    """What is known of one store."""

    fault: StoreFault | None
    due: float  # when to look at it again
    began: float | None = None  # when the look began that is not over
    pause_s: float = 0.0  # the last one, of a store that is down
