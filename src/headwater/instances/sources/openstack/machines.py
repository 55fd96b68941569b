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
from typing import Final, Protocol, TypeVar

from headwater.clock import now
from headwater.errors import Unavailable
from headwater.instances.model import Instance
from headwater.instances.password.rows import PasswordRows
from headwater.instances.sources.openstack.address_rows import At, row_id
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told, told_after
from headwater.instances.sources.remembering import AskedElsewhere

_WAITS_S: Final = 3.0  # for another process: less than guests are kept waiting
_CLAIM_US: Final = 15 * 1_000_000  # then another process asks
_PAUSES_S: Final = (0.05, 0.1, 0.2)
_MOST_WAITING: Final = 10_000  # answers that are not written yet


class _Kept(Protocol):
    """What is kept of something that the cloud is asked for."""

    @property
    def loaded_at(self) -> int | None: ...

    @property
    def is_readable(self) -> bool: ...

    @property
    def gone_at(self) -> int | None: ...


K = TypeVar("K", bound=_Kept)
T = TypeVar("T")


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
        self._waiting_addresses: dict[str, At] = {}

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
            kept, until = self._claimed(instance_id, self._rows.get)
        except AskedElsewhere:
            raise
        except Unavailable:  # the catalogue: then nobody else is waited for
            pass
        else:
            if until is None:
                return None if kept is None else kept.told
        before = None if kept is None else kept.told
        found = self._asked(instance_id, until, lambda: self._cloud.instance(instance_id))
        if found is None:
            return None
        told = told_after(before or known, found, self._now_us())
        self._keep(told, is_changed=before is None or not told.is_same(before))
        return told

    def recalled_at(self, address: str) -> At | None:
        """Return what is kept of an address; ``None``: nothing is, or the catalogue does not answer."""
        with contextlib.suppress(Unavailable):
            kept = self._rows.addresses.get(row_id(address))
            return None if kept is None else kept.said
        return None

    def at(self, address: str) -> At | None:
        """Return which machine has an address now, or had a moment ago; ``None``: none has it, or several have.

        Raises:
            Unavailable: The cloud does not tell.
        """
        row, until = row_id(address), None
        try:
            kept, until = self._claimed(row, self._rows.addresses.get)
        except AskedElsewhere:
            raise
        except Unavailable:  # as in ``load``
            pass
        else:
            if until is None:
                return None if kept is None else kept.said
        found = self._asked(row, until, lambda: self._cloud.id_at(address))
        if found is None:
            with self._lock:  # it may have had it a moment ago
                self._waiting_addresses.pop(row, None)
            return None
        at = At(instance_id=found, loaded_at=self._now_us())
        with self._lock:
            if len(self._waiting_addresses) < _MOST_WAITING:
                self._waiting_addresses[row] = at
        return at

    def write(self) -> None:
        """Write what the cloud has said; to be called again and again, and at the end."""
        with self._writing:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
                addresses, self._waiting_addresses = self._waiting_addresses, {}
            try:
                if waiting:
                    self._rows.write(list(waiting.values()))
                    waiting = {}
                if addresses:
                    self._rows.addresses.write(addresses)
            except Unavailable:
                with self._lock:
                    self._waiting = dict([*waiting.items(), *self._waiting.items()][-_MOST_WAITING:])
                    later = {**addresses, **self._waiting_addresses}
                    self._waiting_addresses = dict([*later.items()][-_MOST_WAITING:])
                raise

    def get(self, instance_id: str) -> str | None:
        """Return the password that a guest has posted; ``None``: none."""
        return self._passwords.get(instance_id)

    def put(self, instance_id: str, value: str) -> None:
        """Keep the password that a guest posts, as of ``PasswordRows``."""
        self.write()  # the machine may be so new that only this process knows it
        self._passwords.put(instance_id, value)

    def _asked(self, row: str, until: int | None, ask: Callable[[], T | None]) -> T | None:
        """Ask the cloud, and end the claim of this process where it says nothing.

        Args:
            until: When the claim ends; ``None``: there is none.
        """
        try:
            found = ask()
        except BaseException:
            if until is not None:
                with contextlib.suppress(Unavailable):
                    self._rows.release(row, until)
            raise
        if found is None:
            with contextlib.suppress(Unavailable):
                self._rows.miss(row, self._now_us())
        return found

    def _claimed(self, row: str, get: Callable[[str], K | None]) -> tuple[K | None, int | None]:
        """Return what is kept, and until when this process is the one to ask; ``None``: the cloud has just been asked.

        Raises:
            AskedElsewhere: Another process asks, and has no answer in time.
            Unavailable: The catalogue does not answer.
        """
        begun, deadline, tries = self._now_us(), self._clock() + _WAITS_S, 0
        while True:
            kept, at = get(row), self._now_us()
            loaded_at = None if kept is None else kept.loaded_at
            older_than = at - self._fresh_us
            if kept is None:
                if tries:  # the other process was told that there is none
                    return None, None
            elif kept.gone_at is not None:
                if kept.gone_at >= begun:
                    return None, None
            elif loaded_at is not None and not kept.is_readable:
                older_than = loaded_at  # as old as can be: it is of another key, or of a newer release
            elif loaded_at is not None and loaded_at > older_than:
                return kept, None
            until = at + _CLAIM_US
            if self._rows.claim(row, at=at, until=until, older_than=older_than):
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
