"""Answers of applications as the HTTP server sends them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from functional.server.edge.edge_server import GET, HELLO, Start, answering, begun, body
from headwater.errors import Unavailable
from headwater.http.context import context


def test_of_ours_the_scope_has_one_typed_object(start: Start) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await HELLO(scope, receive, send)

    assert b"200 OK" in start(app).ask(GET)
    # Source: the ASGI specification, HTTP connection scope.
    of_asgi = (
        "type asgi http_version method scheme path raw_path query_string root_path headers client server extensions"
    )
    (ours,) = scopes[0].keys() - set(of_asgi.split())
    assert scopes[0][ours] is context(scopes[0])


def test_an_answer_of_unknown_length_comes_in_chunks_or_ends_with_the_connection(start: Start) -> None:
    edge = start(answering(begun(), body(b"ab", more=True), body(b"", more=True), body(b"c")))
    modern = edge.ask(GET)
    assert b"transfer-encoding: chunked" in modern
    assert modern.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    old = edge.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"connection: close" in old
    assert old.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("length", [[], [(b"content-length", b"5")]])
def test_what_has_no_body_gets_none(start: Start, length: list[tuple[bytes, bytes]]) -> None:
    edge = start(answering({**begun(), "headers": length}, body(b"hello")))
    received = edge.ask(GET.replace(b"GET", b"HEAD") * 2)
    assert b"hello" not in received
    assert received.count(b"content-length: 5") == (2 if length else 0)
    for status in (204, 304):
        received = start(answering(begun(status), body(b""))).ask(GET)
        assert received.endswith(b"\r\n\r\n")
        assert b"content-length" not in received
        assert b"transfer-encoding" not in received


def test_each_answer_has_a_date(start: Start) -> None:
    received = start(HELLO).ask(GET)
    assert re.search(rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", received)
    assert b"\r\nserver: headwater\r\n" in received


@pytest.mark.parametrize(
    "messages",
    [
        [ValueError("no")],
        [begun(), ValueError("no")],
        [],
        [body(b"x")],
        [begun(x="a\r\nb: c"), body(b"x")],
        [begun(content_length="2"), body(b"abc")],
        [begun(), {"type": "headwater.filesend", "path": "/nowhere"}],
    ],
    ids=str,
)
def test_an_application_that_fails_before_its_answer_is_500(start: Start, messages: list[Message]) -> None:
    received = start(answering(*messages)).ask(GET)
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close" in received


@pytest.mark.parametrize(
    "messages",
    [
        [begun(), body(b"ab", more=True), ValueError("no")],
        [begun(), body(b"ab", more=True)],
        [begun(content_length="5"), body(b"ab")],
        [begun(content_length="5"), body(b"ab", more=True), ValueError("no")],
    ],
    ids=str,
)
def test_half_an_answer_is_not_taken_for_a_whole_one(start: Start, messages: list[Message]) -> None:
    edge = start(answering(*messages))
    for request in (GET, GET.replace(b"1.1", b"1.0")):
        received = edge.ask(request)
        assert received.endswith(b"RESET")
        assert b"\r\n0\r\n" not in received


def test_a_reason_that_is_known_for_half_an_answer_is_no_mistake_of_a_program(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "headwater.server.edge")
    reasons: list[Any] = [Unavailable("the data is damaged"), ValueError("no")]
    for reason in reasons:
        assert start(answering(begun(content_length="5"), body(b"ab", more=True), reason)).ask(GET).endswith(b"RESET")
    told = [(each.levelname, each.message, each.exc_info is None) for each in caplog.records]
    assert told == [("INFO", "an answer was broken off", True), ("ERROR", "an application failed", False)]
