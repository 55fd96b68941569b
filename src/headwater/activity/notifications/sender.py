"""Deliver what waits for one receiver: in order, at least once, in a thread that serves nothing else.

Each process has a sender for each receiver, and one of them at a time delivers. It removes events after the
receiver has them: one that is killed in between leaves up to ``BATCH`` of them to be sent again, under the same
ids. A receiver that fails is left alone for a pause that grows with each failure, and hardly at all where it took
others just before: one answer in fifty that is a 503 must not hold up the other forty-nine for a second. An event
that the receiver refuses steps aside for such a pause, and the others go on.
"""

from __future__ import annotations

import contextlib
import logging
import threading

from headwater.activity.notifications.outbox import Outbox, Waiting
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import EventRefused, Target, TargetUnavailable
from headwater.clock import Clock, now
from headwater.errors import Unavailable
from headwater.jobs import leases

BATCH = 50
LOOK_EVERY_S = 0.5  # how long an event may wait until it is noticed
CLOSE_S = 5.0  # how long a stop waits for the receiver's answer
_FIRST_PAUSE_S = 1.0
_HICCUP_S = 0.05  # the pause of a receiver that works as a rule
_DAY = 86_400_000_000  # microseconds

_log = logging.getLogger(__name__)


class Sender:
    """Delivers to one receiver, from ``start`` to ``stop``."""

    def __init__(
        self,
        target: Target,
        outbox: Outbox,
        settings: NotificationsSettings,
        *,
        clock: Clock = now,
        name: str | None = None,
    ) -> None:
        """Prepare; nothing is delivered yet.

        Args:
            clock: Microseconds since 1970, UTC.
            name: This process, as ``leases.writer_name`` names it.
        """
        self._target = target
        self._outbox = outbox
        self._longest_pause_s = settings.longest_pause_s
        self._give_up_after = settings.give_up_after_days * _DAY
        self._clock = clock
        self._name = name or leases.writer_name()
        self._look_again_s = LOOK_EVERY_S
        self._stopping = threading.Event()
        # Not waited for when the process ends: the receiver may hang.
        self._thread = threading.Thread(target=self._run, name=f"headwater-{target.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Deliver no event after the one that is on its way; what is left is delivered later."""
        self._stopping.set()

    def wait(self) -> None:
        """Return when it has stopped, or does not for ``CLOSE_S`` because the receiver hangs."""
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            try:
                pause_s = 0.0 if self.look() == BATCH else self._look_again_s
            except Unavailable as error:  # the catalogue
                _log.warning("events wait", extra={"receiver": self._target.name, "error": str(error)})
                pause_s = leases.RENEW_EVERY_S
            except Exception:  # noqa: BLE001 - whatever it is, this thread goes on
                _log.exception("events wait", extra={"receiver": self._target.name})
                pause_s = leases.RENEW_EVERY_S
        with contextlib.suppress(Exception):
            self._outbox.release(self._target.name, self._name)
        with contextlib.suppress(Exception):
            self._target.close()

    def look(self) -> int:
        """Deliver up to ``BATCH`` events, if it is on this process to do so; return how many the receiver has got."""
        name = self._target.name
        self._look_again_s = LOOK_EVERY_S
        if not self._outbox.waiting(name, self._clock(), 1):
            return 0  # the usual answer, and it takes no lock
        if not self._outbox.lead(name, self._name, self._clock()):
            return 0
        delivered: list[int] = []
        failure: TargetUnavailable | None = None
        try:
            self._deliver(self._outbox.waiting(name, self._clock(), BATCH), delivered)
        except TargetUnavailable as error:
            failure = error
        finally:
            self._outbox.remove(delivered)
        failures = self._outbox.failures(name)
        if delivered and failures:
            _log.info("events are delivered again", extra={"receiver": name})
            self._outbox.rest(name, self._name, 0, 0)
            failures = 0
        if failure is not None:
            self._rest(failure, failures, works=bool(delivered))
        return len(delivered)

    def _deliver(self, batch: list[Waiting], delivered: list[int]) -> None:
        led_at = self._clock()
        for waiting in batch:
            if self._stopping.is_set():
                return
            if self._clock() > led_at + leases.RENEW_EVERY_S * 1_000_000:
                led_at = self._clock()
                if not self._outbox.lead(self._target.name, self._name, led_at):
                    return
            try:
                self._target.deliver(waiting.event)
            except EventRefused as error:
                self._refused(waiting, error)
            else:
                delivered.append(waiting.sequence)

    def _refused(self, waiting: Waiting, error: EventRefused) -> None:
        if waiting.created_at + self._give_up_after < self._clock():
            self._drop(waiting, str(error))
            return
        pause_s = self._pause_s(waiting.attempts)
        facts = {"receiver": self._target.name, "error": str(error), "again_in_s": pause_s, **_facts(waiting)}
        _log.warning("an event was refused", extra=facts)
        self._outbox.postpone(waiting, self._clock() + int(pause_s * 1_000_000))

    def _rest(self, error: TargetUnavailable, failures: int, *, works: bool) -> None:
        own_s = _HICCUP_S if works else self._pause_s(failures)
        pause_s = max(own_s, min(error.after_s or 0, self._longest_pause_s))
        extra = {"receiver": self._target.name, "error": str(error), "again_in_s": pause_s}
        _log.log(logging.INFO if works else logging.WARNING, "events wait for their receiver", extra=extra)
        self._look_again_s = min(pause_s, LOOK_EVERY_S)
        until = self._clock() + int(pause_s * 1_000_000)
        self._outbox.rest(self._target.name, self._name, until, failures if works else failures + 1)
        before = self._clock() - self._give_up_after
        for _, waiting in self._outbox.overdue(before, 1000, target=self._target.name):
            self._drop(waiting, str(error))

    def _drop(self, waiting: Waiting, reason: str) -> None:
        dropped(self._target.name, waiting, reason)
        self._outbox.remove([waiting.sequence])

    def _pause_s(self, failures: int) -> float:
        return float(min(_FIRST_PAUSE_S * 2 ** min(failures, 30), self._longest_pause_s))


def drop_forgotten(outbox: Outbox, targets: list[str], settings: NotificationsSettings, now: int) -> None:
    """Drop events of receivers that are not configured any more, once they are too old to be delivered anyway."""
    for target, waiting in outbox.overdue(now - settings.give_up_after_days * _DAY, 1000, none_of=targets):
        dropped(target, waiting, "it is not configured any more")
        outbox.remove([waiting.sequence])


def dropped(target: str, waiting: Waiting, reason: str) -> None:
    """Say in the log that an event will never be delivered, and which."""
    _log.error("an event was dropped", extra={"receiver": target, "error": reason, **_facts(waiting)})


def _facts(waiting: Waiting) -> dict[str, object]:
    event = waiting.event
    return {
        "event_id": event.id,
        "event_type": event.type,
        "subject": event.subject,
        "of_request": event.request_id,
        "happened_at": event.at,
    }
