"""For how long the HTTP server waits for whom, and how many connections it has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from functional.server.edge.edge_server import DATA, GET, HELLO, LIMIT_S, Start, answering, begun, body, echoes, rest
from headwater.server.edge import connection, exchange, stream


def ends_within(client: socket.socket, limit_s: float) -> bytes:
    began = time.monotonic()
    received = rest(client)
    assert time.monotonic() - began < limit_s
    return received


def test_who_says_nothing_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_BYTE_S", 0.3)
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.3)
    edge = start(HELLO)
    with edge.connect() as silent:
        assert ends_within(silent, 5) == b""
    with edge.connect() as idle:
        idle.sendall(GET)
        assert ends_within(idle, 5).endswith(b"hello")


def test_a_head_that_drips_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.5)
    with start(HELLO).connect() as client:
        received = b""
        for number in range(100):
            client.sendall(b"GET / HTTP/1.1\r\nA: b" if not number else b"c")
            client.settimeout(0.1)
            try:
                received = client.recv(4096)
                break
            except TimeoutError:
                pass
        assert received.startswith(b"HTTP/1.1 408 ")
        assert number < 50


def test_a_body_that_stalls_is_given_up(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BODY_IDLE_S", 0.3)
    with start(echoes).connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        client.settimeout(5)
        assert client.recv(4096).endswith(b"\r\n\r\n-1")


@pytest.mark.parametrize("by_file", [False, True])
def test_who_reads_nothing_is_ended_and_who_reads_slowly_is_not(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch, by_file: bool
) -> None:
    monkeypatch.setattr(stream, "WRITE_STALL_S", 0.6)
    answer: Message = {"type": "http.response.pathsend", "path": str(file)} if by_file else body(DATA)
    edge = start(answering(begun(), answer))
    with edge.connect() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.sendall(GET.replace(b"Host", b"Connection: close\r\nHost"))
        received = 0
        for _ in range(20):
            time.sleep(0.1)
            received += len(slow.recv(500_000))
        received += len(rest(slow))
        assert received > len(DATA)
    with edge.connect() as stalled:
        stalled.sendall(GET)
        time.sleep(2)
        assert len(rest(stalled)) < len(DATA)


def test_idle_connections_make_room_for_new_ones(start: Start) -> None:
    edge = start(HELLO, limit=10)
    idle = [edge.connect() for _ in range(30)]
    try:
        for _ in range(5):
            assert edge.ask(GET).endswith(b"hello")
        assert rest(idle[0]) == b""
    finally:
        for each in idle:
            each.close()


def test_who_is_being_answered_is_not_ended_for_new_ones(start: Start) -> None:
    begun = threading.Semaphore(0)

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            begun.release()
            await asyncio.sleep(1)
        await HELLO(scope, receive, send)

    edge = start(waits, limit=3)
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(edge.connect()) for _ in range(3)]
        for each in slow:
            each.sendall(GET.replace(b"/ ", b"/slow ", 1))
        assert all(begun.acquire(timeout=LIMIT_S) for _ in slow)
        assert edge.ask(GET).endswith(b"hello")  # once there is room
        for each in slow:
            assert each.recv(4096).endswith(b"hello")
