"""Before an answer is sent, what the request still brings is read and dropped, within bounds.

Many a request is answered without its body: nobody knows the caller, the path is not there, the body is too
large. The HTTP server then closes the connection, and when bytes of the body are still under way the client's
system throws the answer away with the connection: the client sees a reset instead of 401. A client that
waits for our word before it sends (``Expect: 100-continue``) takes the answer for one, unless it has had the word.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.identity.caller import CALLER

# A body beyond these is not waited for: its client may see a reset.
LIMIT, LIMIT_S = 16 << 20, 5.0
# That of a caller who is known may be an image, of which most clients send all before they look for an answer.
KNOWN_LIMIT_S = 20.0


class Drained:
    """An application whose clients have sent everything when they get their answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _brings_a_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive, waits_for_our_word=_waits_for_our_word(scope))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.ended:
                await body.drain(known=CALLER in scope)
            await send(message)

        await self._app(scope, body.receive, answer)


class _Body:
    """What one request brings, and whether all of it was read."""

    def __init__(self, receive: Receive, *, waits_for_our_word: bool) -> None:
        self._receive = receive
        self._waits_for_our_word = waits_for_our_word
        self.ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._waits_for_our_word = False
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self, *, known: bool) -> None:
        """Read the rest, or as much of it as the bounds allow; ``known``: somebody has made sure of the caller."""
        if self._waits_for_our_word:
            return
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KNOWN_LIMIT_S if known else LIMIT_S):
                while not self.ended and (known or read < LIMIT):
                    message = await self.receive()
                    read += len(message.get("body", b""))


def _waits_for_our_word(scope: Scope) -> bool:
    return any(name == b"expect" and b"100-continue" in value.lower() for name, value in scope["headers"])


def _brings_a_body(scope: Scope) -> bool:
    """Return whether there is a body that is worth reading.

    That of a GET is left alone: nobody sends one, and a download watches its client on the same channel.
    """
    if scope["method"] in ("GET", "HEAD"):
        return False
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
