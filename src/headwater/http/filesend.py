"""Files that the server sends itself: what our edge (``headwater.server.edge``) has beside ASGI.

A message of this type carries ``path``, ``offset`` and ``count``. It is the whole body of an answer, or with
``more_body`` a part of one whose length is announced. When the file fails in the middle, whoever sent the message may
send what is missing as ordinary pieces of the body.

``SentFile`` and ``SentGrowing`` are the answers that do so, and give the same bytes to a server that has no such thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from headwater.caching.fills import Fill
from headwater.caching.pieces import PIECE
from headwater.threads import Pool

FILESEND = "headwater.filesend"
OCTETS = "application/octet-stream"


class FileFailed(Exception):
    """A file could not be sent as far as was announced: its disk failed, or it is shorter. The client is there."""

    def __init__(self, path: Path, sent: int, error: OSError | None = None) -> None:
        """Take what happened after ``sent`` bytes of the part that was to be sent; ``None``: the file ends there."""
        reason = "it ends too early" if error is None else error.strerror or "it cannot be read"
        super().__init__(f"{path}: {reason}, after {sent} bytes of it were sent")
        self.path, self.sent, self.is_short = path, sent, error is None


class SentFile(Response):
    """A part of a file, sent by the server itself where it can: no byte passes here."""

    def __init__(
        self,
        path: Path,
        wanted: range,
        pieces: Callable[[FileFailed | None], Awaitable[AsyncIterator[bytes]]],
        *,
        status: int,
        headers: dict[str, str],
        media_type: str = OCTETS,
    ) -> None:
        """Take the file, and what gives the same bytes to a server that cannot, or what is left when the file fails."""
        super().__init__(None, status, headers, media_type)
        self._path, self._wanted, self._pieces = path, wanted, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if FILESEND not in scope.get("extensions", {}):
            await self._streamed(await self._pieces(None))(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        part = {"path": str(self._path), "offset": self._wanted.start, "count": len(self._wanted)}
        try:
            await send({"type": FILESEND, **part})
        except FileFailed as failed:
            rest = self._streamed(await self._pieces(failed))
            await rest.stream_response(_without_start(send))

    def _streamed(self, pieces: AsyncIterator[bytes]) -> StreamingResponse:
        answer = StreamingResponse(pieces, self.status_code)
        answer.raw_headers = self.raw_headers
        return answer


class SentGrowing(Response):
    """A part of a file that grows, sent as it comes, by the server itself where it can; what is missing otherwise."""

    def __init__(
        self,
        growing: Fill,
        wanted: range,
        pool: Pool,
        rest: Callable[[range], AsyncIterator[bytes]],
        *,
        status: int,
        headers: dict[str, str],
        media_type: str = OCTETS,
    ) -> None:
        """Take the file, and what gives the rest of the data where it does not become whole."""
        super().__init__(None, status, headers, media_type)
        self._growing, self._wanted, self._pool, self._rest = growing, wanted, pool, rest

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        send_part = self._send_file if FILESEND in scope.get("extensions", {}) else self._send_piece
        at, end = self._wanted.start, self._wanted.stop
        try:
            while at < end and await self._growing.beyond(at):
                at += await send_part(send, at, min(self._growing.arrived, end) - at)
        except FileFailed as failed:
            at += failed.sent
        if at < end:
            async for piece in self._rest(range(at, end)):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_file(self, send: Send, at: int, count: int) -> int:
        part = {"path": str(self._growing.path), "offset": at, "count": count}
        await send({"type": FILESEND, **part, "more_body": True})
        return count

    async def _send_piece(self, send: Send, at: int, count: int) -> int:
        piece = await self._pool.run(lambda: self._growing.read(at, min(count, PIECE)))
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        return len(piece)


def _without_start(send: Send) -> Send:
    """Return what sends the body of an answer whose head was sent."""

    async def rest(message: Message) -> None:
        if message["type"] != "http.response.start":
            await send(message)

    return rest


async def in_turn(pieces: Iterator[bytes], pool: Pool) -> AsyncIterator[bytes]:
    """Yield each piece; while the client takes one, a thread reads the next, and no more than that.

    So a client waits for its connection or for the store, whichever is slower, and not for one after the other; a slow
    one holds no thread, and two pieces of memory.
    """
    ended = object()

    def following() -> object:
        return next(pieces, ended)

    def begun() -> asyncio.Future[object]:
        return asyncio.ensure_future(pool.run(following))

    ahead = begun()
    try:
        # Shielded: a thread that reads cannot be called back, and nobody else may touch what it reads from.
        while (piece := await asyncio.shield(ahead)) is not ended:
            ahead = begun()
            if isinstance(piece, bytes):
                yield piece
    finally:
        await asyncio.shield(_let_go(pieces, ahead, pool))


async def _let_go(pieces: Iterator[bytes], ahead: asyncio.Future[object], pool: Pool) -> None:
    """Close what is read from, once nobody reads."""
    await asyncio.wait([ahead])
    if not ahead.cancelled():
        ahead.exception()  # was raised to who waited for it, or has nobody who could be told
    close = getattr(pieces, "close", None)
    if close is not None:
        await pool.run(close)
