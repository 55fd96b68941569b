"""Before an answer is sent, what the request still brings is read and dropped, within bounds.

Many a request is answered without its body: nobody knows the caller, the path is not there, the body is too
large. The HTTP server then closes the connection, and when bytes of the body are still under way the client's
system throws the answer away with the connection: the client sees a reset instead of 401. A client that
waits for our word before it sends (``Expect: 100-continue``) takes the answer for one.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A body beyond these is not waited for: its client may see a reset.
LIMIT, LIMIT_S = 16 << 20, 5.0


class Drained:
    """An application whose clients have sent everything when they get their answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _brings_a_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.ended:
                await body.drain()
            await send(message)

        await self._app(scope, body.receive, answer)


class _Body:
    """What one request brings, and whether all of it was read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read the rest, or as much of it as the bounds allow."""
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                while not self.ended and read < LIMIT:
                    message = await self.receive()
                    read += len(message.get("body", b""))


def _brings_a_body(scope: Scope) -> bool:
    """Return whether there is a body that comes by itself.

    That of a GET is left alone: nobody sends one, and a download watches its client on the same channel.
    """
    if scope["method"] in ("GET", "HEAD"):
        return False
    found = False
    for name, value in scope["headers"]:
        if name == b"expect":
            return False
        found = found or name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
    return found
