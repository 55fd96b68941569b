"""What the cloud says of machines, asked for once by all processes and kept in the catalogue.

Whoever claims a machine asks the cloud; the others wait for its answer, which is written a moment later and not while
a guest waits. So a cloud gets one question for a machine in each time that an answer is good for, however many workers
and replicas there are, and after a restart its last answer is known without it. A catalogue that does not work costs no
guest its answer: each process asks for itself then.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from headwater.clock import now
from headwater.errors import Unavailable
from headwater.instances.model import Instance
from headwater.instances.password.rows import PasswordRows
from headwater.instances.sources.openstack.rows import CloudRows, Kept
from headwater.instances.sources.openstack.told import Told, told_after
from headwater.instances.sources.remembering import AskedElsewhere

_WAITS_S: Final = 3.0  # for another process: less than guests are kept waiting
_CLAIM_US: Final = 15 * 1_000_000  # then another process asks
_PAUSES_S: Final = (0.05, 0.1, 0.2)
_MOST_WAITING: Final = 10_000  # answers that are not written yet


class Asked(Protocol):
    """What the cloud is asked; blocking."""

    def instance(self, instance_id: str) -> Instance | None: ...

    def id_at(self, address: str) -> str | None: ...


class Machines:
    """The machines of one cloud as this process knows them; safe to use from several threads."""

    def __init__(
        self,
        cloud: Asked,
        rows: CloudRows,
        passwords: PasswordRows,
        *,
        fresh_s: float,
        now_us: Callable[[], int] = now,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Know nothing yet.

        Args:
            passwords: Those of the machines of the cloud.
            fresh_s: For how long an answer of the cloud is good.
            now_us: In microseconds since 1970, UTC.
            clock: In seconds, for how long to wait.
        """
        self._cloud, self._rows, self._passwords = cloud, rows, passwords
        self._fresh_us, self._now_us = int(fresh_s * 1_000_000), now_us
        self._clock, self._sleep = clock, sleep
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: dict[str, tuple[Told, bool]] = {}

    def recalled(self, instance_id: str) -> Told | None:
        """Return what is kept of a machine; ``None``: nothing is, or the catalogue does not answer."""
        with contextlib.suppress(Unavailable):
            kept = self._rows.get(instance_id)
            if kept is not None and kept.gone_at is None:
                return kept.told
        return None

    def load(self, instance_id: str, known: Told | None) -> Told | None:
        """Return what the cloud says of a machine now, or said a moment ago to another process.

        Args:
            known: What it said last, as far as the caller knows.

        Raises:
            Unavailable: The cloud does not tell.
        """
        kept, until = None, None
        try:
            kept, until = self._claimed(instance_id)
        except AskedElsewhere:
            raise
        except Unavailable:  # the catalogue: then nobody else is waited for
            pass
        else:
            if until is None:
                return None if kept is None else kept.told
        before = None if kept is None else kept.told
        try:
            found = self._cloud.instance(instance_id)
        except BaseException:
            if until is not None:
                with contextlib.suppress(Unavailable):
                    self._rows.release(instance_id, until)
            raise
        if found is None:
            with contextlib.suppress(Unavailable):
                self._rows.miss(instance_id, self._now_us())
            return None
        told = told_after(before or known, found, self._now_us())
        self._keep(told, is_changed=before is None or not told.is_same(before))
        return told

    def id_at(self, address: str) -> str | None:
        """Return the id of the one machine that has an address; ``None``: none has it, or several have.

        Raises:
            Unavailable: The cloud does not tell.
        """
        return self._cloud.id_at(address)

    def write(self) -> None:
        """Write what the cloud has said; to be called again and again, and at the end."""
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            if not waiting:
                return
            try:
                self._rows.write(list(waiting.values()))
            except Unavailable:
                with self._lock:
                    self._waiting = dict([*waiting.items(), *self._waiting.items()][-_MOST_WAITING:])
                raise

    def get(self, instance_id: str) -> str | None:
        """Return the password that a guest has posted; ``None``: none."""
        return self._passwords.get(instance_id)

    def put(self, instance_id: str, value: str) -> None:
        """Keep the password that a guest posts, as of ``PasswordRows``."""
        self.write()  # the machine may be so new that only this process knows it
        self._passwords.put(instance_id, value)

    def _claimed(self, instance_id: str) -> tuple[Kept | None, int | None]:
        """Return what is kept, and until when this process is the one to ask; ``None``: the cloud has just been asked.

        Raises:
            AskedElsewhere: Another process asks, and has no answer in time.
            Unavailable: The catalogue does not answer.
        """
        begun, deadline, tries = self._now_us(), self._clock() + _WAITS_S, 0
        while True:
            kept, at = self._rows.get(instance_id), self._now_us()
            if kept is not None and kept.gone_at is not None:
                if kept.gone_at >= begun:
                    return None, None
            elif kept is not None and kept.told is not None and at - kept.told.loaded_at < self._fresh_us:
                return kept, None
            # What cannot be read here, as of another key or a newer release, is as old as can be.
            is_unread = kept is not None and kept.told is None
            until, older_than = at + _CLAIM_US, at if is_unread else at - self._fresh_us
            if self._rows.claim(instance_id, at=at, until=until, older_than=older_than):
                return kept, until
            if self._clock() >= deadline:
                raise AskedElsewhere
            self._sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            tries += 1

    def _keep(self, told: Told, *, is_changed: bool) -> None:
        with self._lock:
            waiting = self._waiting.pop(told.instance.id, None)
            if len(self._waiting) < _MOST_WAITING:
                is_changed = is_changed or (waiting is not None and waiting[1])
                self._waiting[told.instance.id] = told, is_changed
