"""A receiver of webhooks on loopback, which works, fails or hangs as a test says.

It checks each request as a careful receiver does: the signature with the library of Standard Webhooks, the
event with that of CloudEvents. What does not pass is answered 400 and kept in ``wrong``.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import standardwebhooks
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from servers.ports import free_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


class WebhookReceiver:
    """Listens from ``start`` to ``stop``, and again at the same port."""

    def __init__(self) -> None:
        self.events: list[BaseCloudEvent] = []  # what was answered with 204
        self.wrong: list[str] = []
        self.asked = 0  # requests, whatever became of them
        self._status = 204
        self._connections: set[socket.socket] = set()
        self._open = threading.Event()
        self._open.set()
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?token=t0ken-in-the-url"

    def types(self, subject: str | None = None) -> list[str]:
        """Return the types of the events of one subject, or of all, in the order in which they came."""
        wanted = [event for event in self.events if subject is None or event.get_subject() == subject]
        return [event.get_type().removeprefix("org.openstack.") for event in wanted]

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._open.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._connections):  # those that are kept alive
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """Answer every request with ``status`` and take nothing; 0 ends the connection without an answer."""
        self._status = status
        try:
            yield
        finally:
            self._status = 204

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Take requests, and answer none of them until the end."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def _answer(self, headers: dict[str, str], body: bytes) -> int:
        self.asked += 1
        self._open.wait()
        if self._status != 204:
            return self._status
        try:
            standardwebhooks.Webhook(SECRET).verify(body, headers)
            event = from_http_event(HTTPMessage(headers, body))
            assert event.get_id() == headers["webhook-id"]
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            self.wrong.append(repr(error))
            return 400
        self.events.append(event)
        return 204


class _Handler(BaseHTTPRequestHandler):
    receiver: WebhookReceiver
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.receiver._connections.add(self.connection)

    def finish(self) -> None:
        self.receiver._connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.receiver._answer({name.lower(): value for name, value in self.headers.items()}, body)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.receiver.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its parent calls it
        pass
