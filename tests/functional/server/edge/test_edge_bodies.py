"""Bodies of requests on their way through the HTTP server."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import struct
import threading
import time

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from functional.headwater_process import wait_until
from functional.server.edge.edge_server import GET, HELLO, LIMIT_S, Start, begun, body, echoes
from headwater.http.context import context


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 20 << 20])
def test_a_body_arrives_whole(start: Start, size: int) -> None:
    edge = start(echoes)
    data = b"x" * size
    plain = edge.ask(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + data + GET)
    assert (plain.count(b"\r\n\r\n%d" % size), plain.count(b"200 OK")) == (1 if size else 2, 2)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (data[:10], data[10:]) if each) + b"0\r\n\r\n"
    chunked = edge.ask(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + GET)
    assert (chunked.count(b"\r\n\r\n%d" % size), chunked.count(b"200 OK")) == (1 if size else 2, 2)


def hashes(buffer_size: int, *, enough: int | None = None) -> ASGIApp:
    """Return what answers with the MD5 of a body that it has received into a buffer of its own, past the parser.

    Args:
        enough: Refuse the body as soon as so many bytes have come.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        buffer, digest, received, ended = bytearray(buffer_size), hashlib.md5(), 0, False
        while not ended:
            receive_into = context(scope).receive_into
            assert receive_into is not None
            count = await receive_into(memoryview(buffer))
            if count is None:
                message = await receive()
                piece, ended = message.get("body", b"lost"), not message.get("more_body", False)
            else:
                piece = bytes(buffer[:count])
            digest.update(piece)
            received += len(piece)
            if enough is not None and received >= enough:
                await send(begun(413))
                await send(body(b"enough"))
                return
        await send(begun(content_length="32"))
        await send(body(digest.hexdigest().encode()))

    return app


@pytest.mark.parametrize("size", [0, 1, 5000, 3 << 20])
@pytest.mark.parametrize("first", [0, 1, 20_000], ids=["head alone", "a byte with it", "more with it"])
def test_a_body_is_received_into_a_buffer_and_the_next_request_after_it(start: Start, size: int, first: int) -> None:
    data = random.Random(size).randbytes(size)
    digest = hashlib.md5(data).hexdigest().encode()
    edge = start(hashes(100_000))
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    with edge.connect() as client:
        for turn in range(3):
            client.sendall((head[7:] if turn else head) + data[:first])
            time.sleep(0.02)
            # The beginning of the next request comes with the end of this one.
            client.sendall(data[first:] + (head[:7] if turn < 2 else b""))
            received = b""
            while not received.endswith(digest):
                piece = client.recv(4096)
                assert piece, received
                received += piece
            assert received.count(b"200 OK") == 1


def test_a_chunked_body_is_received_as_it_is_parsed(start: Start) -> None:
    data = b"x" * 300_000
    sent = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    answer = start(hashes(100_000)).ask(sent + sent)
    assert answer.count(hashlib.md5(data).hexdigest().encode()) == 2


def test_who_leaves_in_the_middle_of_such_a_body_has_not_sent_it(start: Start) -> None:
    answer = start(hashes(100_000)).ask(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 200_000)
    assert hashlib.md5(b"x" * 200_000 + b"lost").hexdigest().encode() in answer


def test_such_a_body_may_be_refused_on_its_way_and_its_client_reads_why(start: Start) -> None:
    data = b"x" * (20 << 20)
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data)
    answer = start(hashes(100_000, enough=1 << 20)).ask(head + data + GET)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.endswith(b"enough")


def informing(*statuses: int) -> ASGIApp:
    """Return an application that sends interim answers, and then echoes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inform = context(scope).inform
        for status in statuses if inform is not None else ():
            assert inform is not None
            await inform(status, {"Location": f"/{status}"})
        await echoes(scope, receive, send)

    return app


def test_interim_answers_come_before_the_answer_and_take_nothing_from_it(start: Start) -> None:
    edge = start(informing(104, 103))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    interim = b"HTTP/1.1 104 Upload Resumption Supported\r\nlocation: /104\r\n\r\n"
    interim += b"HTTP/1.1 103 Early Hints\r\nlocation: /103\r\n\r\n"
    for expects, go_on in ((b"", b""), (b"Expect: 100-continue\r\n", b"HTTP/1.1 100 Continue\r\n\r\n")):
        with edge.connect() as client:
            for _ in range(2):  # the connection goes on
                client.sendall(head + expects + b"\r\n")
                received = b""
                while len(received) < len(interim + go_on):
                    received += client.recv(len(interim + go_on) - len(received))
                assert received == interim + go_on
                client.sendall(b"hello")
                answer = b""
                while not answer.endswith(b"\r\n\r\n5"):
                    answer += client.recv(1 << 16)
                assert answer.startswith(b"HTTP/1.1 200 OK")


def test_http_1_0_has_no_interim_answers(start: Start) -> None:
    answer = start(informing(104)).ask(b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("status", [100, 101, 200])
def test_no_other_status_is_an_interim_answer(start: Start, status: int) -> None:
    assert start(informing(status)).ask(GET).startswith(b"HTTP/1.1 500")


def test_a_client_that_is_gone_is_found_by_who_reads_its_body(start: Start) -> None:
    found: list[str] = []
    gone = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inform = context(scope).inform
        assert inform is not None
        await asyncio.get_running_loop().run_in_executor(None, gone.wait, LIMIT_S)
        for _ in range(3):
            await inform(104, {})
            await asyncio.sleep(0.05)
        found.append((await receive())["type"])

    edge = start(app)
    with edge.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.set()
    wait_until(lambda: found == ["http.disconnect"], "the application is told")


def test_a_body_that_nobody_takes_is_not_read(start: Start) -> None:
    """Its sender waits, whatever it has: there is no room here to keep it."""
    let_go = threading.Event()

    async def waits(_scope: Scope, _receive: Receive, send: Send) -> None:
        while not let_go.is_set():  # noqa: ASYNC110 - the test is in another thread
            await asyncio.sleep(0.01)
        await HELLO(_scope, _receive, send)

    with start(waits).connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        client.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 << 20:
                sent += client.send(b"x" * (1 << 20))
        client.settimeout(LIMIT_S)
        let_go.set()
        assert client.recv(4096).endswith(b"hello")
