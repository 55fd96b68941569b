"""The HTTP server under TLS: handshakes that are no whole ones, and files."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from functional.server.edge.edge_server import (
    DATA,
    GET,
    HELLO,
    LIMIT_S,
    Edge,
    Start,
    answering,
    begun,
    rest,
    sends_the_rest,
)
from headwater.server.edge import connection
from servers.certificates import Authority


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
