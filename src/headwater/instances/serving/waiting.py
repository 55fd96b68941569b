"""Requests that wait until a document changes: ``?wait_for_change=true``, as Google's metadata server takes it.

Nobody holds a thread or a connection to the catalogue while it waits: one question in each turn asks for the state of
all instances that somebody waits for, so changes by any process are seen. Who waits is answered in any case, with the
document as it is, when its time is over, when the service stops and while it is drained.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence

from headwater.errors import Invalid, Unavailable

WAITS_S = 60.0  # unless a request says otherwise
MOST_S = 600.0
MOST_WAITERS = 16  # of one instance in one worker
TURN_S = 0.5

# From ids to the state of each instance that there is; equal states have equal documents.
States = Callable[[Sequence[str]], Mapping[str, object]]


class WaitInvalid(Invalid):
    """A parameter of a request that waits says nothing that can be waited for."""

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(f"The parameter {name} must be {wanted}.")
        self.name = name


class NotWaitedFor(Invalid):
    """The password is not among what changes are told of: these are changes of the record."""

    def __init__(self) -> None:
        super().__init__(
            "The password cannot be waited for, as it is the machine itself that sets it; leave wait_for_change out."
        )


class TooManyWait(Unavailable):
    """The instance has as many waiting requests as it may."""

    headers = {"Retry-After": "5"}  # noqa: RUF012 - read only

    def __init__(self) -> None:
        super().__init__(f"{MOST_WAITERS} requests of this machine wait already; let one of them end first.")


class Changes:
    """Who waits in one worker, and what it waits for."""

    def __init__(self, states: States, drained: Callable[[], object] = lambda: None) -> None:
        """Wait for nothing yet.

        Args:
            states: Asks the catalogue.
            drained: Returns something true while the service should be left.
        """
        self._states, self._drained = states, drained
        self._lock = threading.Lock()
        self._waiting: dict[str, list[_Waiter]] = {}
        self._stopped = False

    async def after(self, instance_id: str, state: object, timeout_s: float) -> bool:
        """Wait until the instance has another state than ``state``; return whether it may have.

        Raises:
            TooManyWait: Too many wait for the same.
        """
        waiter = _Waiter(state)
        with self._lock:
            others = self._waiting.setdefault(instance_id, [])
            if len(others) >= MOST_WAITERS:
                raise TooManyWait
            if self._stopped:
                return False
            others.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.ended
        except TimeoutError:
            return False
        finally:
            with self._lock:
                others.remove(waiter)
                if not others and self._waiting.get(instance_id) is others:
                    del self._waiting[instance_id]

    def look(self) -> None:
        """Wake those whose instance has changed; to be called again and again, in a thread."""
        with self._lock:
            waiting = {instance_id: list(each) for instance_id, each in self._waiting.items() if each}
        if not waiting:
            return
        if self._drained():
            self._end()
            return
        states = self._states(list(waiting))
        for instance_id, waiters in waiting.items():
            for waiter in waiters:
                if states.get(instance_id) != waiter.state:
                    waiter.end(changed=True)

    def stop(self) -> None:
        """Let nobody wait any more."""
        self._stopped = True
        self._end()

    def _end(self) -> None:
        with self._lock:
            waiters = [waiter for each in self._waiting.values() for waiter in each]
        for waiter in waiters:
            waiter.end(changed=False)


class _Waiter:
    def __init__(self, state: object) -> None:
        self.state = state
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[bool] = self._loop.create_future()

    def end(self, *, changed: bool) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._end, changed)

    def _end(self, changed: bool) -> None:
        if not self.ended.done():
            self.ended.set_result(changed)


def timeout_of(text: str | None) -> float:
    """Return for how long a request wants to wait, in seconds.

    Raises:
        WaitInvalid: It says no such number.
    """
    if text is None:
        return WAITS_S
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise WaitInvalid("timeout_sec", "a whole number of seconds")
    return min(float(text), MOST_S)


def once(name: str, given: Sequence[str]) -> str | None:
    """Return the one value that a request gives for a parameter; ``None``: it gives none.

    Raises:
        WaitInvalid: It gives it more than once, and which of them counts would be a guess.
    """
    if len(given) > 1:
        raise WaitInvalid(name, "given once")
    return given[0] if given else None


def is_wanted(text: str | None) -> bool:
    """Return whether a request wants to wait.

    Raises:
        WaitInvalid: It says neither yes nor no.
    """
    if text is None or text.lower() in ("false", "0"):
        return False
    if text.lower() in ("true", "1"):
        return True
    raise WaitInvalid("wait_for_change", "true or false")


def is_same(one: str, other: str) -> bool:
    """Return whether two entity tags are the same, with their quotes or, as Google writes them, without."""
    return one.removeprefix("W/").strip('"') == other.removeprefix("W/").strip('"')
