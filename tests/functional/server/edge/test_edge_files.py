"""Files that the HTTP server sends by itself."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from functional.server.edge.edge_server import DATA, GET, LIMIT_S, Start, answering, begun, body, sends_the_rest
from headwater.http.context import context
from headwater.http.filesend import FILESEND


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
