"""What the receiver's answer means, and what it is sent. The wire is in functional/activity/test_notifications.py."""

from __future__ import annotations

import httpx2 as httpx
import pytest
import standardwebhooks

from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import EventRefused, TargetUnavailable
from headwater.activity.notifications.webhook import Webhook
from unit.activity.notifications.events import an_event

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
URL = "https://events.example/hook?token=t0ken"


class Answering(httpx.BaseTransport):
    """Answers each request alike and remembers it."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self.answer = answer
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answer(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    """Return an answer whose body is still to be read."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"words"))


def deliver(answer: httpx.Response | Exception, secret: str | None = SECRET) -> httpx.Request:
    """Deliver one event and return the request."""
    webhook = Webhook(NotificationsSettings.model_validate({"webhook_url": URL, "webhook_secret": secret}))
    transport = Answering(answer)
    webhook._http._transport = transport
    try:
        webhook.deliver(an_event())
    finally:
        webhook.close()
    (request,) = transport.seen
    return request


@pytest.mark.parametrize("status", [200, 202, 204])
def test_an_answer_of_2xx_means_that_it_has_the_event(status: int) -> None:
    request = deliver(answer(status))
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["content-type"].startswith("application/cloudevents+json")


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 408, 410, 429, 500, 502, 503])
def test_another_answer_means_that_the_receiver_does_not_work(status: int) -> None:
    headers = {"Location": "https://elsewhere.example/", "Retry-After": "7"}
    with pytest.raises(TargetUnavailable, match=str(status)) as caught:
        deliver(answer(status, headers))
    assert caught.value.after_s == 7


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_some_answers_refuse_this_event_only(status: int) -> None:
    with pytest.raises(EventRefused, match=str(status)):
        deliver(answer(status))


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("x")]
)
def test_a_connection_that_fails_is_told_without_the_url(error: Exception) -> None:
    with pytest.raises(TargetUnavailable, match=type(error).__name__) as caught:
        deliver(error)
    assert "t0ken" not in str(caught.value)


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    request = deliver(answer(204))
    assert standardwebhooks.Webhook(SECRET).verify(request.content, dict(request.headers))["id"] == an_event().id
    other = "whsec_" + "A" * 40
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(request.content, dict(request.headers))


def test_without_a_secret_nothing_is_signed() -> None:
    request = deliver(answer(204), secret=None)
    assert "webhook-signature" not in request.headers
    assert request.headers["webhook-id"] == an_event().id


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"webhook_url": "events.example"}, "give a URL"),
        ({"webhook_url": "ftp://events.example"}, "give a URL"),
        ({"webhook_url": "https://u:p4ss@events.example"}, "no user or password"),
        ({"webhook_url": URL, "webhook_secret": "p4ss"}, "whsec_"),
        ({"webhook_url": URL, "webhook_secret": "whsec_c2hvcnQ="}, "24 to 64 bytes"),
        ({"webhook_url": URL, "webhook_secret": "whsec_p4ss…"}, "24 to 64 bytes"),
        ({"webhook_secret": SECRET}, "no 'webhook_url'"),
        ({"transport_url": "kafka://u:p4ss@host"}, "rabbit://"),
        ({"transport_url": "rabbit://"}, "rabbit://"),
        ({"webhook_cafile": "/nowhere/ca.pem"}, "webhook_cafile"),
        ({"disabled": ["image create"]}, "image.send"),
    ],
)
def test_settings_that_cannot_work_are_named_and_no_secret_is_shown(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        NotificationsSettings.model_validate(settings)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize(
    ("disabled", "tells"), [((), True), (("image",), False), (("image.send",), False), (("image.create", "task"), True)]
)
def test_an_event_type_or_its_whole_group_is_disabled(disabled: tuple[str, ...], tells: bool) -> None:
    assert NotificationsSettings(disabled=disabled).tells("image.send") is tells
