"""Who is told: the contract of a receiver, and how delivery fails."""

from __future__ import annotations

from typing import Protocol

from headwater.activity.notifications.event import Event
from headwater.errors import HeadwaterError, Unavailable

WEBHOOK = "webhook"
RABBITMQ = "rabbitmq"


class TargetUnavailable(Unavailable):
    """Nothing can be delivered there at the moment."""

    def __init__(self, target: str, reason: str, after_s: float | None = None) -> None:
        super().__init__(f"{target} takes no events: {reason}")
        self.target, self.reason, self.after_s = target, reason, after_s


class EventRefused(HeadwaterError):
    """The receiver works and does not take this event; others may go on."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"{target} refuses an event: {reason}")
        self.target, self.reason = target, reason


class Target(Protocol):
    """One receiver; called by one thread at a time."""

    name: str

    def deliver(self, event: Event) -> None:
        """Return when the receiver has the event.

        Raises:
            TargetUnavailable, EventRefused: It does not have it, or that is not known.
        """

    def close(self) -> None:
        """Let go of connections."""
