"""Section ``[notifications]``: who is told what happened, and how long we try."""

from __future__ import annotations

import base64
import importlib.util
import socket
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from headwater.config import Section

SECRET_PREFIX = "whsec_"  # noqa: S105 - what each secret begins with


class NotificationsSettings(Section):
    """Section ``[notifications]``. Nobody is told anything until ``webhook_url`` or ``transport_url`` is set."""

    webhook_url: Annotated[
        SecretStr | None,
        Field(description="https:// or http:// URL that each event is posted to, as a CloudEvent."),
    ] = None
    webhook_secret: Annotated[
        SecretStr | None,
        Field(
            description="Signs each event as Standard Webhooks say: whsec_ and 24 to 64 random bytes in base64. "
            "`openssl rand -base64 32` makes them."
        ),
    ] = None
    webhook_timeout_s: Annotated[
        float, Field(description="How long the receiver may take to answer, in seconds.", gt=0, le=60)
    ] = 10
    webhook_cafile: Annotated[
        Path | None, Field(description="Certificates (PEM) that prove the receiver's. Default: those of the system.")
    ] = None
    transport_url: Annotated[
        SecretStr | None,
        Field(
            description="rabbit://USER:PASSWORD@HOST:PORT[,USER:PASSWORD@HOST:PORT]/VHOST: "
            "each event goes there in OpenStack's format. Needs the extra headwater[rabbitmq]."
        ),
    ] = None
    transport_tls: Annotated[bool, Field(description="Speak TLS with RabbitMQ.")] = False
    transport_cafile: Annotated[
        Path | None, Field(description="Certificates (PEM) that prove RabbitMQ's. Default: those of the system.")
    ] = None
    topics: Annotated[
        tuple[str, ...],
        Field(description="Topics; a queue TOPIC.info is made for each if there is none.", min_length=1),
    ] = ("notifications",)
    exchange: Annotated[str, Field(description="Exchange of RabbitMQ.", min_length=1, max_length=127)] = "glance"
    durable_queues: Annotated[
        bool,
        Field(
            description="Queues and exchange survive a restart of RabbitMQ. "
            "Must be what the consumers say in amqp_durable_queues."
        ),
    ] = False
    publisher_id: Annotated[
        str | None, Field(description="Who tells it. Default: image.HOSTNAME.", min_length=1, max_length=255)
    ] = None
    disabled: Annotated[
        tuple[str, ...],
        Field(description='Event types that nobody is told of: "image.send", or a whole group: "image".'),
    ] = ()
    longest_pause_s: Annotated[
        int,
        Field(
            description="Longest pause between two tries, in seconds; the first is 1, then each is twice as long.",
            ge=1,
            le=86400,
        ),
    ] = 300
    give_up_after_days: Annotated[
        int, Field(description="An event that could not be delivered for so long is dropped.", ge=1, le=365)
    ] = 3

    @field_validator("webhook_url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            wanted = "give a URL such as https://events.example/headwater"
            try:
                parts = urlsplit(value.get_secret_value())
                _ = parts.port
            except ValueError:
                raise ValueError(wanted) from None
            printable = all(c.isprintable() and not c.isspace() for c in value.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname or not printable:
                raise ValueError(wanted)
            if parts.username is not None or parts.password is not None:
                raise ValueError("no user or password in the URL: set webhook_secret, and let the receiver check it")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            try:
                key = signing_key(text)
            except ValueError:  # not base64, or not even ASCII
                key = b""
            if not text.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
                raise ValueError("give whsec_ followed by 24 to 64 bytes in base64 (openssl rand -base64 32 makes 32)")
        return value

    @field_validator("transport_url")
    @classmethod
    def _is_transport(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            host = text.removeprefix("rabbit://").rpartition("@")[2]
            if not text.startswith("rabbit://") or not host.strip("/") or any(c.isspace() for c in text):
                raise ValueError("give rabbit://USER:PASSWORD@HOST:PORT/VHOST; no other transport is there")
            if importlib.util.find_spec("oslo_messaging") is None:  # found, not imported: that takes half a second
                raise ValueError(
                    "what speaks with RabbitMQ is not installed: pip install 'headwater[rabbitmq]', "
                    "or in a checkout pip install --require-hashes -r requirements/rabbitmq.txt"
                )
        return value

    @field_validator("topics", "disabled")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not name or len(name) > 200 or not name.isprintable() or " " in name for name in value):
            raise ValueError("give names such as notifications or image.send")
        return value

    @model_validator(mode="after")
    def _complete(self) -> NotificationsSettings:
        if self.webhook_secret is not None and self.webhook_url is None:
            raise ValueError("section [notifications] has 'webhook_secret' and no 'webhook_url': set both")
        for key in ("webhook_cafile", "transport_cafile"):
            file = getattr(self, key)
            if file is None:
                continue  # those of the system are read by whoever tells: it takes 40 ms
            try:
                ssl.create_default_context(cafile=str(file))
            except OSError as error:  # an SSLError is one
                reason = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
                raise ValueError(f"section [notifications], key '{key}': cannot use {file}: {reason}") from None
        return self

    @property
    def publisher(self) -> str:
        """The name under which this process tells."""
        return self.publisher_id or f"image.{socket.gethostname()}"

    def tells(self, event_type: str) -> bool:
        """Return whether events of this type are told: neither the type nor its group is disabled."""
        return event_type not in self.disabled and event_type.partition(".")[0] not in self.disabled


def signing_key(secret: str) -> bytes:
    """Return the bytes to sign with.

    Raises:
        ValueError: What follows the prefix is not base64.
    """
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
