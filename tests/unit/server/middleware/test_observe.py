from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from headwater.errors import ClientDisconnected, Conflict
from headwater.http.context import context
from headwater.server import log
from headwater.server.metrics import Metrics
from headwater.server.middleware.observe import LEFT, Observed


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    structlog.reset_defaults()
    with capture_logs() as lines:
        yield lines
    structlog.reset_defaults()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def ask(
    app: ASGIApp,
    metrics: Metrics,
    method: str = "GET",
    path: str = "/x",
    fails: OSError | None = None,
    **headers: str,
) -> list[Message]:
    """Return what the observed application sends in answer to one request.

    Args:
        fails: Is raised in place of sending a body.
    """
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if fails is not None and message["type"] == "http.response.body":
            raise fails
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("192.0.2.1", 5),
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    asyncio.run(Observed(app, "images", metrics)(scope, receive, send))
    return sent


def id_of(messages: list[Message]) -> str:
    ids = [value.decode() for name, value in messages[0]["headers"] if name == b"x-openstack-request-id"]
    assert len(ids) == 1
    return str(ids[0])


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(log.request_id.get())(scope, receive, send)


async def leaves(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ClientDisconnected("gone")


async def conflicts(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Conflict("no")


async def breaks(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ZeroDivisionError("secret")


async def sends(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data"})


async def breaks_late(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
    raise ZeroDivisionError("late")


def test_a_request_without_an_id_gets_one_of_its_own(metrics: Metrics, logs: list[Any]) -> None:
    first, second = id_of(ask(fine, metrics)), id_of(ask(fine, metrics))
    assert first.startswith("req-")
    assert len(first) == 40
    assert first != second


@pytest.mark.parametrize(
    ("given", "kept"),
    [("req-1", "req-1"), ("mine", "req-mine"), ("A.b_c:d-9", "req-A.b_c:d-9"), ("x" * 64, "req-" + "x" * 64)],
)
def test_an_id_of_the_caller_is_kept(metrics: Metrics, logs: list[Any], given: str, kept: str) -> None:
    messages = ask(fine, metrics, x_openstack_request_id=given)
    assert id_of(messages) == kept
    assert messages[1]["body"].decode() == kept  # what the log's lines of this request carry
    assert log.request_id.get() == ""


@pytest.mark.parametrize("given", ["x" * 65, "a b", "a/b", 'a"b', "é", "a\x1b[31m", "{}"])
def test_an_id_that_does_not_fit_into_logs_is_refused(metrics: Metrics, logs: list[Any], given: str) -> None:
    messages = ask(fine, metrics, x_openstack_request_id=given, accept="application/json")
    assert messages[0]["status"] == 400
    assert "X-Openstack-Request-Id" in json.loads(messages[1]["body"])["message"]
    assert given not in id_of(messages)


def test_each_request_is_one_line(metrics: Metrics, logs: list[Any]) -> None:
    ask(fine, metrics)
    [line] = logs
    assert {name: line[name] for name in ("event", "listener", "method", "path", "status", "client", "log_level")} == {
        "event": "request",
        "listener": "images",
        "method": "GET",
        "path": "/x",
        "status": 200,
        "client": "192.0.2.1",
        "log_level": "info",
    }
    assert line["sent"] == 40
    assert line["ms"] >= 0


def test_the_answer_to_head_has_nothing_to_count(metrics: Metrics, logs: list[Any]) -> None:
    messages = ask(fine, metrics, method="HEAD")
    assert (b"content-length", b"40") in messages[0]["headers"]
    assert logs[0]["sent"] == 0


def test_what_went_out_is_told_where_the_server_knows_it(metrics: Metrics, logs: list[Any]) -> None:
    async def left(scope: Scope, receive: Receive, send: Send) -> None:
        context(scope).body_sent = lambda: 7
        await fine(scope, receive, send)

    ask(left, metrics)
    assert logs[0]["sent"] == 7
    assert b'headwater_sent_bytes_total{listener="images"} 7.0' in metrics.exposition()[0]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/streams/private/s3cret/streams/v1/index.json", "/streams/private/.../streams/v1/index.json"),
        ("/streams/private/s3cret", "/streams/private/..."),
        ("//streams//private//s3cret/", "//streams//private//.../"),
        ("/Streams/./PRIVATE/s3cret/x", "/Streams/./PRIVATE/.../x"),
        ("/streams/private/s3cret\nx/y", "/streams/private/.../y"),
        ("/streams/private/", "/streams/private/"),
        ("/v2/private/s", "/v2/private/s"),
    ],
)
def test_the_log_shows_no_secret_of_a_path(metrics: Metrics, logs: list[Any], path: str, shown: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("hello")({**scope, "path": "/x"}, receive, send)

    ask(app, metrics, path=path)
    (line,) = logs
    assert line["path"] == shown
    assert "s3cret" not in str(logs)


def test_an_error_of_ours_is_an_answer_and_no_failure(metrics: Metrics, logs: list[Any]) -> None:
    messages = ask(conflicts, metrics)
    assert messages[0]["status"] == 409
    assert [line["event"] for line in logs] == ["request"]


def test_a_failure_is_answered_without_its_words_and_logged_with_them(metrics: Metrics, logs: list[Any]) -> None:
    messages = ask(breaks, metrics)
    assert messages[0]["status"] == 500
    assert b"secret" not in messages[1]["body"]
    assert id_of(messages).encode() in messages[1]["body"]
    assert [line["event"] for line in logs] == ["failed", "request"]
    assert logs[0]["error"] == "secret"


def test_a_failure_after_the_head_of_the_answer_breaks_the_connection(metrics: Metrics, logs: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        ask(breaks_late, metrics)
    assert logs[-1]["status"] == LEFT


def test_a_client_that_left_is_noted_as_such(metrics: Metrics, logs: list[Any]) -> None:
    ask(leaves, metrics)
    assert logs[-1]["status"] == LEFT


@pytest.mark.parametrize(
    ("error", "events"),
    [
        (BrokenPipeError(32, "Broken pipe"), ["request"]),
        (ConnectionResetError("the client has ended the connection"), ["request"]),
        (TimeoutError("the client takes nothing"), ["request"]),
        (TimeoutError(110, "Connection timed out"), ["failed", "request"]),  # of a file on a server that is away
        (OSError(5, "Input/output error"), ["failed", "request"]),
    ],
    ids=["left", "reset", "stalled", "file server", "disk"],
)
def test_a_client_that_leaves_an_answer_is_no_failure_and_a_disk_is(
    metrics: Metrics, logs: list[Any], error: OSError, events: list[str]
) -> None:
    with pytest.raises(type(error)):
        ask(sends, metrics, fails=error)
    assert [line["event"] for line in logs] == events
    assert logs[-1]["status"] == LEFT


def test_requests_are_counted_by_method_and_status(metrics: Metrics, logs: list[Any]) -> None:
    ask(fine, metrics, content_length="5")
    ask(fine, metrics)
    ask(conflicts, metrics, method="PUT")
    ask(conflicts, metrics, method="BREW")
    text = metrics.exposition()[0].decode()
    for line in (
        'headwater_requests_total{listener="images",method="GET",status="200"} 2.0',
        'headwater_requests_total{listener="images",method="PUT",status="409"} 1.0',
        'headwater_requests_total{listener="images",method="other",status="409"} 1.0',
        'headwater_requests_in_flight{listener="images"} 0.0',
        'headwater_received_bytes_total{listener="images"} 5.0',
        'headwater_request_seconds_count{listener="images",method="GET"} 2.0',
    ):
        assert line in text


@pytest.mark.parametrize("refuses", [True, False])
def test_what_every_answer_is_to_tell_it_tells_unless_it_says_so_itself(metrics: Metrics, refuses: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        context(scope).told.update({"Upload-Limit": "max-size=5", "Content-Type": "of no matter"})
        if refuses:
            raise Conflict("not now")
        await PlainTextResponse("done")(scope, receive, send)

    headers = ask(app, metrics)[0]["headers"]
    assert [value for name, value in headers if name == b"upload-limit"] == [b"max-size=5"]
    assert [value for name, value in headers if name == b"content-type"] == [b"text/plain; charset=utf-8"]
