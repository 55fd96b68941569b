"""Deliver to a URL: one POST for each event, signed as Standard Webhooks say, in order.

An answer of 2xx means that the receiver has the event. A redirect is not followed: what is configured is
where events go. No setting of the environment (proxies, ``.netrc``) has a say.
Source of the signature: https://www.standardwebhooks.com, symmetric signatures (``v1``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable

import httpx2

from headwater import __version__
from headwater.activity.notifications.cloud_event import MEDIA_TYPE, cloud_event
from headwater.activity.notifications.event import Event
from headwater.activity.notifications.settings import NotificationsSettings, signing_key
from headwater.activity.notifications.target import WEBHOOK, EventRefused, TargetUnavailable

# The receiver has read the event and will not take it, however often it comes.
_REFUSALS = frozenset({400, 413, 415, 422})
_ANSWER_LIMIT = 64 << 10  # bytes; of an answer nobody reads more than its status


class Webhook:
    """The receiver behind ``webhook_url``; called by one thread at a time."""

    name = WEBHOOK

    def __init__(self, settings: NotificationsSettings, *, clock: Callable[[], float] = time.time) -> None:
        """Prepare; nothing is connected yet."""
        self._url = settings.webhook_url.get_secret_value() if settings.webhook_url else ""
        secret = settings.webhook_secret
        self._key = signing_key(secret.get_secret_value()) if secret else None
        self._clock = clock
        context = ssl.create_default_context(cafile=str(settings.webhook_cafile) if settings.webhook_cafile else None)
        self._http = httpx2.Client(
            verify=context,
            timeout=settings.webhook_timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": f"headwater/{__version__}", "Accept": "*/*"},
        )

    def deliver(self, event: Event) -> None:
        """Return when the receiver has answered that it has the event."""
        body = cloud_event(event)
        try:
            with self._http.stream("POST", self._url, content=body, headers=self._headers(event, body)) as answer:
                status, after = answer.status_code, answer.headers.get("retry-after", "")
                read = 0
                for piece in answer.iter_raw():  # to its end, so that the connection can be used again
                    read += len(piece)
                    if read > _ANSWER_LIMIT:
                        break
        except httpx2.TransportError as error:
            raise TargetUnavailable(self.name, f"{type(error).__name__} {error}".strip()) from error
        if 200 <= status < 300:
            return
        if status in _REFUSALS:
            raise EventRefused(self.name, f"it answers {status}")
        raise TargetUnavailable(self.name, f"it answers {status}", float(after) if after.isdecimal() else None)

    def _headers(self, event: Event, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8", "Webhook-Id": event.id}
        sent_at = str(int(self._clock()))
        headers["Webhook-Timestamp"] = sent_at
        if self._key is not None:
            signed = hmac.new(self._key, f"{event.id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
            headers["Webhook-Signature"] = f"v1,{base64.b64encode(signed).decode()}"
        return headers

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()
