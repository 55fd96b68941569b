"""The HTTP server by itself, on a real port, under applications that do what no application of ours should."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.http.filesend import FILESEND, FileFailed
from headwater.server.edge.listener import Listener, listening
from headwater.threads import Pool

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
DATA = bytes(range(256)) * (40 << 10)  # 10 MiB: more than a socket takes at once


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
