"""Deliver to RabbitMQ through oslo.messaging, in the format 2.0 that OpenStack's consumers read.

oslo.messaging's own ``Notifier`` logs a message that it could not deliver and forgets it, and gives each try
another id. So the message is made here, and handed to the transport below the notifier, which raises.

The library is the extra ``rabbitmq``: the settings do not take a ``transport_url`` without it.
"""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime
from typing import Any

from headwater.activity.notifications.event import Event
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import RABBITMQ, TargetUnavailable

_ENVELOPE = 2.0


def message(event: Event) -> dict[str, Any]:
    """Return the event as OpenStack's consumers read it."""
    return {
        "message_id": event.id,
        "publisher_id": event.publisher_id,
        "event_type": event.type,
        "priority": event.priority,
        "payload": dict(event.payload),
        "timestamp": str(datetime.fromtimestamp(event.at / 1_000_000, UTC).replace(tzinfo=None)),
    }


def context(event: Event) -> dict[str, Any]:
    """Return who did it: the transport writes each as ``_context_NAME`` into the message."""
    return {
        "request_id": event.request_id,
        "user_id": event.user_id,
        "project_id": event.project_id,
        # Consumers of old read these names.
        "user": event.user_id,
        "tenant": event.project_id,
    }


class RabbitMq:
    """The broker behind ``transport_url``; called by one thread at a time."""

    name = RABBITMQ

    def __init__(self, settings: NotificationsSettings) -> None:
        """Prepare; nothing is connected nor imported yet."""
        self._settings = settings
        self._transport: Any = None

    def deliver(self, event: Event) -> None:
        """Return when the broker has confirmed the message on each topic."""
        try:
            if self._transport is None:
                self._transport = _open(self._settings)
            from oslo_messaging import Target  # noqa: PLC0415 - see _open

            for topic in self._settings.topics:
                target = Target(exchange=self._settings.exchange, topic=f"{topic}.{event.priority.lower()}")
                # Without retries of its own: when to try again is decided in sender.py.
                self._transport._send_notification(target, context(event), message(event), version=_ENVELOPE, retry=0)
        except Exception as error:
            raise TargetUnavailable(self.name, f"{type(error).__name__} {error}".strip()) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._transport is not None:
            self._transport.cleanup()
            self._transport = None


def _open(settings: NotificationsSettings) -> Any:
    """Return a transport. Its library takes half a second to import, which only those pay who use it."""
    with warnings.catch_warnings():
        # It imports eventlet, which says that nobody should use it any more, and does not use it here.
        warnings.simplefilter("ignore")
        import oslo_messaging  # noqa: PLC0415 - takes half a second
        from oslo_config import cfg  # noqa: PLC0415 - takes half a second

    conf = cfg.ConfigOpts()
    conf([], project="headwater", default_config_files=[], default_config_dirs=[])
    url = settings.transport_url.get_secret_value() if settings.transport_url else ""
    transport = oslo_messaging.get_notification_transport(conf, url=url)
    # Registered by the call above; none of it is used before the first message.
    conf.set_override("amqp_durable_queues", settings.durable_queues, "oslo_messaging_rabbit")
    if settings.transport_tls:
        # Without a file it would take any certificate.
        authorities = settings.transport_cafile or ssl.get_default_verify_paths().cafile
        if authorities is None:
            raise FileNotFoundError("this system has no file of certificates: set transport_cafile")
        conf.set_override("ssl", True, "oslo_messaging_rabbit")
        conf.set_override("ssl_ca_file", str(authorities), "oslo_messaging_rabbit")
    return transport
