"""What is kept of machines of the cloud does not grow for ever: it ends with them, and with their boot logs' age.

A machine that asks is confirmed by that. Of each other one the cloud is asked once a day, a few at a time. One that it
does not have is forgotten a day later, if it says so again: a user who lost a role for an hour sees no machine at all,
and passwords are set once. What the cloud confirms no more for a month, as it is silent, is forgotten as well.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from headwater.clock import now
from headwater.errors import Unavailable
from headwater.instances.sources.openstack.rows import CloudRows

_DAY_US: Final = 24 * 3600 * 1_000_000
_UNCONFIRMED_US: Final = 30 * _DAY_US
_VISITS_US: Final = 30 * _DAY_US
_ADDRESSES_US: Final = 2 * _DAY_US  # longer than any answer of before is given
_ASKED_IN_TURN: Final = 100  # machines
_FOUND_IN_TURN: Final = 1000  # of which these are some
_MOST_FAILURES: Final = 5
_REMOVED_IN_TURN: Final = 1000  # rows
_CLAIM_US: Final = 60 * 1_000_000
_MORE_IN_S: Final = 5.0


class Knows(Protocol):
    """Who is asked whether a machine is there; blocking."""

    def has(self, instance_id: str) -> bool: ...


class CloudHouse:
    """The house-keeping of one process; others do the same at once, and no machine is asked for twice."""

    def __init__(self, cloud: Knows, rows: CloudRows, now_us: Callable[[], int] = now) -> None:
        self._cloud, self._rows, self._now_us = cloud, rows, now_us

    def keep(self) -> float | None:
        """Do one turn; return after how many seconds there is more to do, ``None`` when there is not.

        Raises:
            Unavailable: The catalogue or the cloud does not answer; what is old has gone before that.
        """
        at = self._now_us()
        removed = (
            self._rows.remove_visits(at - _VISITS_US, _REMOVED_IN_TURN),
            self._rows.addresses.remove_old(at - _ADDRESSES_US, _REMOVED_IN_TURN),
            self._rows.remove_unconfirmed(at - _UNCONFIRMED_US, _REMOVED_IN_TURN),
        )
        gone = self._rows.gone(at - _DAY_US, _FOUND_IN_TURN)
        self._look(gone, self._rows.remove)
        old = self._rows.unconfirmed(at - _DAY_US, _FOUND_IN_TURN)
        self._look(old, lambda instance_id: self._rows.miss(instance_id, self._now_us()))
        is_more = max(removed) == _REMOVED_IN_TURN or max(len(gone), len(old)) > _ASKED_IN_TURN
        return _MORE_IN_S if is_more else None

    def _look(self, found: Sequence[str], absent: Callable[[str], object]) -> None:
        """Ask the cloud for some of these machines, and call ``absent`` with each that it does not have.

        They are drawn by lot, so that one for which the cloud always fails keeps none of the others from their turn.
        """
        failure, failures, answers = None, 0, 0
        for instance_id in random.sample(found, min(len(found), _ASKED_IN_TURN)):
            try:
                is_there = self._is_there(instance_id)
            except Unavailable as error:
                failure, failures = error, failures + 1
                if failures == _MOST_FAILURES:
                    break
                continue
            answers += 1
            if is_there is False:
                absent(instance_id)
        if failure is not None and (answers == 0 or failures == _MOST_FAILURES):
            raise failure

    def _is_there(self, instance_id: str) -> bool | None:
        """Return whether the cloud has a machine; ``None``: another process asks."""
        at = self._now_us()
        until = at + _CLAIM_US
        if not self._rows.claim(instance_id, at=at, until=until, older_than=at):
            return None
        try:
            found = self._cloud.has(instance_id)
        except BaseException:
            with contextlib.suppress(Unavailable):
                self._rows.release(instance_id, until)
            raise
        if found:
            self._rows.confirm(instance_id, self._now_us())
        return found
