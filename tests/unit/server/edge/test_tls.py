"""What TLS makes of ends that come when they like."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from headwater.server.edge.tls import Tls
from servers.certificates import Authority


class Upper(asyncio.BufferedProtocol):
    """A stream that keeps what it is given."""

    def __init__(self) -> None:
        self.room = bytearray(1 << 16)
        self.received = b""
        self.has_end = False

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.room[:nbytes]

    def eof_received(self) -> bool:
        self.has_end = True
        return True


class Below:
    """The plain transport: what is written to it goes to the client."""

    def __init__(self, to: ssl.MemoryBIO) -> None:
        self.to = to
        self.closed = False

    def write(self, data: bytes) -> None:
        self.to.write(data)

    def close(self) -> None:
        self.closed = True


class Talk:
    """One client and our side, in memory."""

    def __init__(self, authority: Authority) -> None:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(authority.certificate())
        self.from_us, self.to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(authority.file))
        self.client = context.wrap_bio(self.from_us, self.to_us, server_hostname="127.0.0.1")
        self.upper = Upper()
        self.below = Below(self.from_us)
        self.tls = Tls(server, self.upper)
        self.tls.connection_made(cast("Any", self.below))

    def pass_on(self) -> None:
        """Give our side what the client has sent."""
        while data := self.to_us.read(1 << 14):
            view = self.tls.get_buffer(-1)
            view[: len(data)] = data
            self.tls.buffer_updated(len(data))

    def agree(self) -> None:
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.pass_on()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("says_so", [True, False])
def test_a_client_that_has_ended_its_side_before_the_answer_gets_it(authority: Authority, says_so: bool) -> None:
    async def talk() -> None:
        between = Talk(authority)
        between.agree()
        between.client.write(b"GET")
        if says_so:
            with contextlib.suppress(ssl.SSLWantReadError):
                between.client.unwrap()
        between.pass_on()
        between.tls.eof_received()
        assert (between.upper.received, between.upper.has_end) == (b"GET", True)
        between.tls.write(b"answer")
        if not says_so:  # else OpenSSL gives its caller nothing any more
            assert between.client.read(100) == b"answer"
        assert not between.below.closed

    asyncio.run(talk())


def test_a_client_that_is_gone_before_both_have_agreed_is_no_connection(authority: Authority) -> None:
    async def talk() -> None:
        between = Talk(authority)
        with contextlib.suppress(ssl.SSLWantReadError):
            between.client.do_handshake()
        between.pass_on()
        between.tls.eof_received()
        with pytest.raises(ConnectionResetError):
            await between.tls.handshake(10)
        assert between.below.closed

    asyncio.run(talk())
