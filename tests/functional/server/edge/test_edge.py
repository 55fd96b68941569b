"""The HTTP server by itself, on a real port, under applications that do what no application of ours should."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functional.headwater_process import wait_until
from headwater.errors import Unavailable
from headwater.http.context import context
from headwater.http.filesend import FILESEND, FileFailed
from headwater.server.edge import connection, exchange, stream
from headwater.server.edge.listener import Listener, listening
from headwater.threads import Pool
from servers.certificates import Authority

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT_S = 20


class Edge:
    """One listener, in a thread of its own."""

    def __init__(
        self, app: ASGIApp, runner: Callable[[], asyncio.Runner], limit: int, tls: Callable[[], ssl.SSLContext] | None
    ) -> None:
        self._app, self._runner, self._limit, self._tls = app, runner, limit, tls
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(LIMIT_S)

    def _run(self) -> None:
        with self._runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        files = Pool("files", 2)
        listener = Listener(self._app, listening("127.0.0.1", 0), files, limit=self._limit, tls=self._tls)
        self.address = listener.address
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        listener.start()
        self._started.set()
        await self._end.wait()
        listener.stop()
        await asyncio.wait_for(listener.stopped(), LIMIT_S)
        files.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, LIMIT_S)

    def ask(self, sent: bytes) -> bytes:
        """Return all that is answered until the server ends the connection."""
        with self.connect() as client:
            client.sendall(sent)
            with contextlib.suppress(OSError):  # reset already
                client.shutdown(socket.SHUT_WR)
            return rest(client)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()


Start = Callable[..., Edge]


@pytest.fixture(params=["uvloop", "asyncio"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    edges = []
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def begin(app: ASGIApp, limit: int = 100, tls: Callable[[], ssl.SSLContext] | None = None) -> Edge:
        edges.append(Edge(app, lambda: asyncio.Runner(loop_factory=factory), limit, tls))
        return edges[-1]

    yield begin
    for edge in edges:
        edge.stop()


def rest(client: socket.socket) -> bytes:
    received = b""
    try:
        while more := client.recv(1 << 16):
            received += more
    except ConnectionResetError:
        received += b"RESET"
    return received


def answering(*messages: Message) -> ASGIApp:
    """Return an application that sends these; an exception among them is raised."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    return app


def begun(status: int = 200, **headers: str) -> Message:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": lines}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


HELLO = answering(begun(content_length="5"), body(b"hello"))


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


# --- Answers -----------------------------------------------------------------------------------------


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


# --- Files -------------------------------------------------------------------------------------------

DATA = bytes(range(256)) * (40 << 10)  # 10 MiB: more than a socket takes at once


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def test_a_file_is_sent_whole_or_in_part(start: Start, file: Path) -> None:
    whole = start(answering(begun(), {"type": "http.response.pathsend", "path": str(file)}))
    received = whole.ask(GET + GET)
    assert received.count(b"content-length: %d" % len(DATA)) == 2
    assert received.count(DATA) == 2
    part = {"type": "headwater.filesend", "path": str(file), "offset": 5, "count": 5_000_000}
    received = start(answering(begun(206), part)).ask(GET)
    assert received.partition(b"\r\n\r\n")[2] == DATA[5:5_000_005]
    head_only = start(answering(begun(206), part)).ask(GET.replace(b"GET", b"HEAD"))
    assert head_only.partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize("way", ["file", "pieces", "chunks", "nothing"])
def test_what_was_sent_is_counted_also_to_a_client_that_left(start: Start, tmp_path: Path, way: str) -> None:
    size = 64 << 20  # more than systems keep of one connection
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(size)
    head = begun() if way == "chunks" else begun(content_length=str(size))
    pieces = [body(bytes(1 << 20), more=True)] * 63 + [body(bytes(1 << 20))]
    whole = [{"type": "http.response.pathsend", "path": str(large)}]
    counted: list[int] = []
    is_over = threading.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answering(head, *(whole if way in ("file", "nothing") else pieces))(scope, receive, send)
        finally:
            sent = context(scope).body_sent
            assert sent is not None
            counted.append(sent())
            is_over.set()

    edge = start(application)
    if way == "nothing":
        edge.ask(GET.replace(b"GET", b"HEAD"))
        assert counted == [0]
        return

    def take(least: int) -> int:
        received = 0
        is_over.clear()
        with edge.connect() as client:
            client.sendall(GET)
            while received < least and (more := client.recv(1 << 18)):
                received += len(more)
        assert is_over.wait(LIMIT_S)
        return received

    received = take(5 << 20)
    assert received - (1 << 20) <= counted[0] < size // 2
    take(size)
    assert counted[1:] == [size]


def test_parts_of_files_and_pieces_make_one_body(start: Start, file: Path) -> None:
    def part(offset: int, count: int) -> Message:
        return {"type": FILESEND, "path": str(file), "offset": offset, "count": count, "more_body": True}

    head = begun(content_length=str(len(DATA)))
    parts = (part(0, 3_000_000), part(3_000_000, 1), body(DATA[3_000_001:3_000_100], more=True))
    application = answering(head, *parts, part(3_000_100, len(DATA) - 3_000_100), body(b""))
    assert start(application).ask(GET + GET).count(DATA) == 2
    head_only = start(application).ask(GET.replace(b"GET", b"HEAD"))
    assert head_only.partition(b"\r\n\r\n")[2] == b""
    unannounced = start(answering(begun(), part(0, 5), body(b""))).ask(GET)
    assert b"500" in unannounced.partition(b"\r\n")[0]


def test_a_file_that_became_shorter_breaks_the_answer_off(start: Start, file: Path) -> None:
    part = {"type": "headwater.filesend", "path": str(file), "offset": 0, "count": len(DATA) + 1}
    assert start(answering(begun(), part)).ask(GET).endswith(b"RESET")


def sends_the_rest(file: Path) -> ASGIApp:
    """Send ``DATA[3:]`` from a file, and what is missing there in pieces."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(begun(content_length=str(len(DATA) - 3)))
        with pytest.raises(FileFailed) as failed:
            await send({"type": FILESEND, "path": str(file), "offset": 3, "count": len(DATA) - 3})
        rest = DATA[3 + failed.value.sent :]
        await send(body(rest[: len(rest) // 2], more=True))
        await send(body(rest[len(rest) // 2 :]))

    return application


@pytest.mark.parametrize("fault", ["cut", "empty", "absent", "unreadable"])
def test_what_a_file_does_not_give_may_be_sent_otherwise(start: Start, file: Path, fault: str) -> None:
    if fault in ("cut", "empty"):
        os.truncate(file, len(DATA) - 7 if fault == "cut" else 0)
    else:
        file.unlink()
    if fault == "unreadable":
        file.symlink_to("/proc/self/mem")  # which the system fails to read there, as it does a broken disk

    received = start(sends_the_rest(file)).ask(GET + GET)
    assert received.count(b"content-length: %d" % (len(DATA) - 3)) == 2
    assert received.count(DATA[3:]) == 2


# --- Bodies ------------------------------------------------------------------------------------------


async def echoes(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with how long the body was, in the largest and the number of its pieces."""
    sizes = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            sizes = [-1]
            break
        sizes.append(len(message["body"]))
        if not message["more_body"]:
            break
    said = b"%d" % sum(sizes)
    await send(begun(content_length=str(len(said))))
    await send(body(said))


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


# --- Time --------------------------------------------------------------------------------------------


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


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def showing(authority: Authority) -> Callable[[], ssl.SSLContext]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate())
    return lambda: context


def secured(edge: Edge, authority: Authority) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.file))
    return context.wrap_socket(edge.connect(), server_hostname="127.0.0.1")


def test_half_a_handshake_ends_by_time_and_keeps_nobody_out(
    start: Start, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 1.0)
    edge = start(HELLO, tls=showing(authority))
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(edge.connect()) for _ in range(20)]
        for number, each in enumerate(silent):
            each.sendall(b"\x16\x03\x01"[: number % 4])  # as far as a ClientHello begins, or nothing
        with secured(edge, authority) as client:
            client.sendall(GET)
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        for each in silent:
            assert rest(each) in (b"", b"RESET")


def test_half_handshakes_make_room_for_others_at_the_limit(start: Start, authority: Authority) -> None:
    edge = start(HELLO, limit=4, tls=showing(authority))
    with contextlib.ExitStack() as held:
        for _ in range(8):
            held.enter_context(edge.connect())
        with secured(edge, authority) as client:
            client.sendall(GET)
            assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_a_file_over_tls_is_all_that_was_announced(start: Start, authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "file"
    data = random.Random(7).randbytes(3_000_001)
    file.write_bytes(data)
    sent = {"type": "headwater.filesend", "path": str(file), "offset": 5, "count": len(data) - 10}
    edge = start(answering(begun(content_length=str(len(data) - 10)), sent), tls=showing(authority))
    with secured(edge, authority) as client:
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert rest(client).partition(b"\r\n\r\n")[2] == data[5:-5]


def test_what_a_file_does_not_give_may_be_sent_otherwise_over_tls(
    start: Start, authority: Authority, file: Path
) -> None:
    os.truncate(file, len(DATA) // 2)
    edge = start(sends_the_rest(file), tls=showing(authority))
    with secured(edge, authority) as client:
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert rest(client).partition(b"\r\n\r\n")[2] == DATA[3:]


def test_what_is_not_encrypted_in_the_middle_ends_the_connection(start: Start, authority: Authority) -> None:
    edge = start(HELLO, tls=showing(authority))
    client = secured(edge, authority)
    client.sendall(GET)
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    plain = socket.socket(fileno=client.detach())
    with plain:
        plain.settimeout(LIMIT_S)
        plain.sendall(GET)
        rest(plain)  # ends
