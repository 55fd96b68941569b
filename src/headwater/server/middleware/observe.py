"""Around every request: its id, its line in the log, its place in the metrics, its errors as answers."""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.errors import ClientDisconnected, Invalid
from headwater.http import errors
from headwater.http.context import context
from headwater.server.log import request_id
from headwater.server.metrics import Metrics

Refusal = Callable[[BaseException, Scope], Response]

LEFT = 499  # what the log says of a client that did not wait for its answer

_log = structlog.get_logger("headwater.request")
# What follows opens something to whoever has it (``images/sharing/private_paths.py``; seeds of instances).
_SECRET = re.compile(r"(?i)(^/+seed/+(?!(?:uuid|serial|mac)/)|streams/(?:[^/]*/)*?private/+)[^/]+")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class BadRequestId(Invalid):
    """A request id that does not fit into logs."""

    def __init__(self) -> None:
        super().__init__("The header X-Openstack-Request-Id has 1 to 64 letters, digits, '.', '_', ':' and '-'")


class BodyIncomplete(Invalid):
    """A body that ended too early, or whose framing is broken."""

    def __init__(self) -> None:
        super().__init__("The body of the request ended before it was complete, or is not framed as HTTP says")


class Observed:
    """An application, observed."""

    def __init__(self, app: ASGIApp, listener: str, metrics: Metrics, refusal: Refusal | None = None) -> None:
        """Take the application.

        Args:
            listener: Its name in log and metrics.
            refusal: Makes the answer to an error that leaves the application; ``None``: ``Accept`` says in what form.
        """
        self._app = app
        self._refusal = refusal or _as_accepted
        self._listener = listener
        self._metrics = metrics
        self._in_flight = metrics.in_flight.labels(listener)
        self._received = metrics.received.labels(listener)
        self._sent = metrics.sent.labels(listener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        given, length = _head(scope)
        fits = not given or _REQUEST_ID.fullmatch(given)
        current = given if given and fits else _new_request_id()
        if not current.startswith("req-"):
            current = f"req-{current}"
        token = request_id.set(current)
        known = context(scope)
        known.request_id = current
        exchange = _Exchange(send, current, known.told, has_body=scope["method"] != "HEAD")
        self._in_flight.inc()
        try:
            if not fits:
                raise BadRequestId
            await self._app(scope, receive, exchange.send)
        except (ClientDisconnected, ClientDisconnect):
            # Mostly nobody is there any more; a client whose body was malformed still is.
            if not exchange.started:
                await self._refusal(BodyIncomplete(), scope)(scope, receive, exchange.send)
            exchange.status = LEFT
        except Exception as error:  # the edge: whatever it is, the client gets an answer and the log a line
            status = errors.status_of(error)
            is_mistake = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status is not HTTPStatus.NOT_IMPLEMENTED
            if is_mistake and error is not exchange.left_with:
                _log.error("failed", error=str(error), exc_info=error)
            if not exchange.started:
                await self._refusal(error, scope)(scope, receive, exchange.send)
            else:
                exchange.status = LEFT
                raise  # the server breaks the connection, so that half an answer is not taken for a whole one
        finally:
            self._in_flight.dec()
            self._told(scope, exchange, length, time.perf_counter() - started)
            request_id.reset(token)

    def _told(self, scope: Scope, exchange: _Exchange, received: int, took: float) -> None:
        """Count a request that is over, and write its line of the log."""
        known, client = context(scope), scope.get("client")
        caller = known.caller
        sent = exchange.announced if known.body_sent is None else known.body_sent()
        self._count(scope["method"], exchange.status, received, sent, took)
        on_network = {"network": known.network} if known.network else {}
        who = {"user": caller.user_id, "project": caller.project_id} if caller and caller.user_id else {}
        _log.info(
            "request",
            listener=self._listener,
            method=scope["method"],
            path=_SECRET.sub(r"\1...", scope["path"]),
            status=exchange.status,
            ms=round(took * 1000, 2),
            sent=sent,
            client=client[0] if client else None,
            **on_network,
            **who,
        )

    def _count(self, method: str, status: int, received: int, sent: int, took: float) -> None:
        method = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
        self._metrics.requests.labels(self._listener, method, str(status)).inc()
        self._metrics.seconds.labels(self._listener, method).observe(took)
        if received:
            self._received.inc(received)
        if sent:
            self._sent.inc(sent)


def _new_request_id() -> str:
    # A name, and no secret: the kernel's random numbers would cost a system call, and with it the interpreter.
    return f"req-{uuid.UUID(int=random.getrandbits(128), version=4)}"


def _as_accepted(error: BaseException, scope: Scope) -> Response:
    given = [value for name, value in scope["headers"] if name == b"accept"]
    # Source: openstacksdk 4.22 uploads and patches with an empty Accept, and shows its user nothing but
    # JSON and HTML of what went wrong. Without the header Glance's plain text stays.
    accept = (given[-1].decode("latin-1") or "application/json") if given else ""
    return errors.answer(error, accept, context(scope).request_id or "")


def _head(scope: Scope) -> tuple[str, int]:
    """Return the headers that matter here: the given request id, and the length of the body."""
    given, length = "", 0
    for name, value in scope["headers"]:
        if name == b"x-openstack-request-id":
            given = value.decode("latin-1")
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    return given, length


class _Exchange:
    """One answer on its way: adds to its head what every answer has, and notes what it is."""

    def __init__(self, send: Send, current: str, told: Mapping[str, str], *, has_body: bool) -> None:
        self._send = send
        self._has_body = has_body
        self._told = told
        self._request_id = (b"x-openstack-request-id", current.encode("latin-1"))
        self.started = False
        self.status = 0
        self.announced = 0  # bytes of the body
        self.left_with: OSError | None = None  # what told that the client is gone, or takes nothing any more

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = list(message["headers"])
            headers.append(self._request_id)
            if self._told:
                there = {name for name, _ in headers}
                more = ((name.lower().encode("ascii"), value.encode("latin-1")) for name, value in self._told.items())
                headers += [(name, value) for name, value in more if name not in there]
            if self._has_body:
                self.announced = next((int(value) for name, value in headers if name == b"content-length"), 0)
            message = {**message, "headers": headers}
        try:
            await self._send(message)
        except (ConnectionError, TimeoutError) as error:
            if isinstance(error, ConnectionError) or error.errno is None:  # with a number it is one of a disk
                self.left_with = error
            raise
