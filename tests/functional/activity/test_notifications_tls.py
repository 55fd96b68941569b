"""Receivers behind TLS: only one whose certificate is proved gets an event."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.activity.notifications.rabbitmq import RabbitMq
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.activity.notifications.target import TargetUnavailable
from headwater.activity.notifications.webhook import Webhook
from servers.certificates import Authority
from unit.activity.notifications.events import an_event

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class TlsServer:
    """Keeps what each client says first, once it is sure of us, and answers it with ``OK``."""

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.said: list[bytes] = []
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.settimeout(10)
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as client:
                if words := client.recv(1 << 16):
                    self.said.append(words)
                client.sendall(OK)
                while client.recv(1 << 16):  # what is left unread would break the connection before the answer is read
                    pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[TlsServer]:
    found = TlsServer(authority.certificate())
    yield found
    found.close()


def webhook(server: TlsServer, cafile: Path | None, host: str = "127.0.0.1") -> Webhook:
    url = f"https://{host}:{server.port}/"
    return Webhook(NotificationsSettings.model_validate({"webhook_url": url, "webhook_cafile": cafile}))


def test_a_webhook_gets_events_when_its_certificate_is_proved(server: TlsServer, authority: Authority) -> None:
    target = webhook(server, authority.file)
    target.deliver(an_event())
    target.close()
    assert server.said[0].startswith(b"POST / HTTP/1.1")


def test_a_webhook_that_nobody_vouches_for_gets_nothing(
    server: TlsServer, authority: Authority, tmp_path: Path
) -> None:
    for cafile, host in (
        (None, "127.0.0.1"),
        (Authority(tmp_path, "other").file, "127.0.0.1"),
        (authority.file, "localhost"),
    ):
        target = webhook(server, cafile, host)
        with pytest.raises(TargetUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            target.deliver(an_event())
        target.close()
    assert server.said == []


def broker(server: TlsServer, cafile: Path | None, host: str = "127.0.0.1") -> RabbitMq:
    url = f"rabbit://user:hunter2@{host}:{server.port}/"
    settings = {"transport_url": url, "transport_tls": True, "transport_cafile": cafile}
    return RabbitMq(NotificationsSettings.model_validate(settings))


def test_a_broker_is_spoken_to_when_its_certificate_is_proved(server: TlsServer, authority: Authority) -> None:
    target = broker(server, authority.file)
    with pytest.raises(TargetUnavailable):  # it does not speak AMQP
        target.deliver(an_event())
    target.close()
    assert server.said[0] == b"AMQP\x00\x00\x09\x01"


def test_a_broker_that_nobody_vouches_for_hears_nothing(server: TlsServer, authority: Authority) -> None:
    for cafile, host in ((None, "127.0.0.1"), (authority.file, "localhost")):
        target = broker(server, cafile, host)
        with pytest.raises(TargetUnavailable, match="CERTIFICATE_VERIFY_FAILED") as caught:
            target.deliver(an_event())
        target.close()
        assert "hunter2" not in str(caught.value)
    assert server.said == []


def test_a_file_that_holds_no_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing")
    with pytest.raises(ValueError, match=r"'webhook_cafile': cannot use .*empty\.pem: it holds no certificates"):
        NotificationsSettings.model_validate({"webhook_url": "https://events.example", "webhook_cafile": file})
