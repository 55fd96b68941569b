"""What keeps events, and what delivers them: the parts of one process, put together from the settings."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.activity.notifications.event import Event
from headwater.activity.notifications.outbox import Outbox, Postbox
from headwater.activity.notifications.sender import Sender, drop_forgotten
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import RABBITMQ, WEBHOOK, Target
from headwater.clock import Clock, now
from headwater.database.engine import Database


class Notifications:
    """Takes events and delivers them to all that the settings name; safe to use from several threads."""

    def __init__(self, settings: NotificationsSettings, database: Database, *, clock: Clock = now) -> None:
        self._settings = settings
        self._clock = clock
        self._outbox = Outbox(database, longest_pause_s=settings.longest_pause_s)
        self._senders: dict[str, Sender] = {}
        self._targets = [
            name
            for name, url in ((WEBHOOK, settings.webhook_url), (RABBITMQ, settings.transport_url))
            if url is not None
        ]

    @property
    def publisher(self) -> str:
        """The name under which this process tells."""
        return self._settings.publisher

    @property
    def is_on(self) -> bool:
        """Whether anybody is told anything."""
        return bool(self._targets)

    def tells(self, event_type: str) -> bool:
        """Return whether anybody is told of events of this type."""
        return self.is_on and self._settings.tells(event_type)

    @property
    def postbox(self) -> Postbox:
        """Where transactions put events for all that the settings name."""
        return Postbox(self._outbox, self._targets, self._clock)

    def tell(self, events: Sequence[Event]) -> None:
        """Keep events of what changed nothing in the catalogue."""
        told = [event for event in events if self.tells(event.type)]
        if told:
            self._outbox.tell(self._targets, told, self._clock())

    def start(self) -> None:
        """Begin to deliver, in threads of their own, to whom that has not begun yet. To be called again and again.

        Raises:
            Exception: A receiver cannot be opened; a file of certificates is gone, say. The others are delivered to.
        """
        waiting = [name for name in self._targets if name not in self._senders]
        if not waiting:
            return
        failed: Exception | None = None
        for name in waiting:
            try:
                sender = Sender(_open(name, self._settings), self._outbox, self._settings)
            except Exception as error:  # noqa: BLE001 - raised below, when the others have begun
                failed = error
            else:
                self._senders[name] = sender
                sender.start()
        if failed is not None:
            raise failed

    def forget(self) -> None:
        """Drop old events of receivers that are not configured any more."""
        drop_forgotten(self._outbox, self._targets, self._settings, self._clock())

    def close(self) -> None:
        """Stop delivering; what is left waits in the catalogue."""
        for sender in self._senders.values():
            sender.stop()
        for sender in self._senders.values():
            sender.wait()


def _open(name: str, settings: NotificationsSettings) -> Target:
    """Return a receiver. Only those pay for the import of its library who use it."""
    if name == WEBHOOK:
        from headwater.activity.notifications.webhook import Webhook  # noqa: PLC0415 - only what is used

        return Webhook(settings)
    from headwater.activity.notifications.rabbitmq import RabbitMq  # noqa: PLC0415 - only what is used

    return RabbitMq(settings)
