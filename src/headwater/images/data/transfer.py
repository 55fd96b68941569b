"""An image's bytes between a client and the use cases, whichever version of the API carries them.

An upload's pieces, as small or large as the network gives them, are gathered into a few buffers (``buffers.py``); where
the server can, they are received straight into these. When none is free, nothing is read from the client. So memory is
bounded whatever the size of an upload, and a client that sends nothing holds no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from headwater.caching.fills import Fill
from headwater.errors import ClientDisconnected
from headwater.http.answers import part_headers
from headwater.http.context import context
from headwater.http.filesend import FILESEND, OCTETS, FileFailed, SentFile, SentGrowing, in_turn
from headwater.http.threads import Threads
from headwater.images.data.buffers import LoopBuffers
from headwater.images.data.downloads import Download, Downloads
from headwater.images.data.gathering import Gathering
from headwater.images.data.session import Digests, Pieces, UploadSession
from headwater.images.model import Image
from headwater.threads import Pool

_log = logging.getLogger(__name__)


class Body:
    """The body of one request, piece by piece."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._receive_into = context(request.scope).receive_into
        length = request.headers.get("content-length", "")
        self._left = int(length) if length.isdigit() else None
        self.ended = False

    async def read_into(self, view: memoryview) -> int | None:
        """Put what comes next into ``view``, and return how many bytes that is; ``None``: ``piece`` has it."""
        count = await self._receive_into(view) if self._receive_into is not None else None
        if count is not None:
            self._take_off(count)
        return count

    async def piece(self) -> bytes:
        """Return what comes next, which may be nothing; ``ended`` says afterwards whether it was the last.

        Raises:
            ClientDisconnected: It ended before it was complete.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.ended = True
            raise ClientDisconnected("the connection ended before the data did")
        piece: bytes = message.get("body", b"")
        self.ended = not message.get("more_body", False)
        self._take_off(len(piece))
        if self.ended and self._left:
            raise ClientDisconnected("the connection ended before the data did")
        return piece

    def _take_off(self, count: int) -> None:
        if self._left is not None:
            self._left -= count


async def receive(
    body: Body,
    begin: Callable[[], UploadSession],
    threads: Threads,
    behind: Callable[[], Digests] = lambda: (),
) -> Image:
    """Return the image, once all of ``body`` is its data; leave nothing behind when that fails.

    Args:
        begin: Claims the image; see ``Uploads.begin``.
        behind: Returns what follows the body, once it has ended, says of it.
    """
    data = await threads.catalogue.run(begin)
    buffers = LoopBuffers()
    try:
        if data.needs_preparation:
            await threads.transfers.run(data.prepare)
        await gather(body, data, buffers)
        data.expect(behind())
        await buffers.settle()
        return await threads.transfers.run(data.finish)
    except BaseException:
        await asyncio.shield(_abandon(data, buffers, threads.transfers))
        raise
    finally:
        buffers.close()


async def _abandon(data: UploadSession, buffers: LoopBuffers, transfers: Pool) -> None:
    await buffers.settle()
    await transfers.run(data.abandon)


class Sending:
    """Answers that carry an image's data."""

    def __init__(self, downloads: Downloads, threads: Threads) -> None:
        """Take who is told of what was sent, and the threads that read the data."""
        self._downloads = downloads
        self._threads = threads

    async def answer(self, found: Download, wanted: range | None, headers: Mapping[str, str]) -> Response:
        """Return the answer that carries the part that is wanted, and says which it is, or else all of the data.

        Args:
            wanted: ``None``: all; so is any part of what gives none.
            headers: What else is said.
        """
        size = found.image.size or 0
        if wanted is None or not found.gives_parts:
            return await self._streamed(found, range(size), {**headers, "Content-Length": str(size)}, 200)
        return await self._streamed(found, wanted, {**headers, **part_headers(wanted, size)}, 206)

    async def _streamed(self, found: Download, wanted: range, headers: dict[str, str], status: int) -> Response:
        if self._downloads.caches:
            asked = found
            found = await self._threads.transfers.run(lambda: self._downloads.near(asked, wanted))
        if found.path is not None and wanted:
            pieces = partial(self._pieces, found, wanted)
            return self._told(found, SentFile(found.path, wanted, pieces, status=status, headers=headers))
        # Opened before the headers are sent, so that what fails at once is still an error.
        growing = found.growing
        if growing is not None and await growing.beyond(wanted.start):
            rest = partial(self._rest, found, growing)
            return self._told(
                found, SentGrowing(growing, wanted, self._threads.transfers, rest, status=status, headers=headers)
            )
        opened = await self._pieces(found, wanted)
        return self._told(found, StreamingResponse(opened, status, headers, OCTETS))

    async def _pieces(self, found: Download, wanted: range, failed: FileFailed | None = None) -> AsyncIterator[bytes]:
        """Return pieces of the data; those that are left, where its file has ``failed``."""
        pool = self._threads.web if found.is_external else self._threads.transfers

        def read() -> Iterator[bytes]:
            return found.read(wanted.start, len(wanted)) if failed is None else found.read_on(failed, wanted)

        return in_turn(await pool.run(read), pool)

    def _rest(self, found: Download, growing: Fill, left: range) -> AsyncIterator[bytes]:
        """Return pieces of what is left of the data where a copy did not become whole."""
        pool = self._threads.web if found.is_external else self._threads.transfers
        return in_turn(found.read_after(growing, left), pool)

    def _told(self, found: Download, answer: Response) -> Response:
        if not self._downloads.tells_of_sending():
            return answer
        return _Counted(
            answer, self._threads.catalogue, lambda count, whole: self._downloads.sent(found, count, whole=whole)
        )


class _Counted(Response):
    """An answer of which is told, when it is over, how much of it was sent."""

    def __init__(self, answer: Response, pool: Pool, tell: Callable[[int, bool], None]) -> None:
        self._answer, self._pool, self._tell = answer, pool, tell
        self.status_code, self.raw_headers = answer.status_code, answer.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        expected = int(self._answer.headers.get("content-length", "0"))
        sent = 0

        async def counted(message: Message) -> None:
            nonlocal sent
            try:
                await send(message)
            except FileFailed as failed:
                sent += failed.sent
                raise
            if message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            elif message["type"] == FILESEND:
                sent += message["count"]

        try:
            await self._answer(scope, receive, counted)
        finally:
            await asyncio.shield(self._pool.run(lambda: self._report(sent, sent == expected)))

    def _report(self, sent: int, whole: bool) -> None:
        try:
            self._tell(sent, whole)
        except Exception as error:  # noqa: BLE001 - the data was sent all the same
            _log.warning("nobody is told of a download", extra={"error": str(error)})


async def gather(body: Body, data: Pieces, buffers: LoopBuffers, *, keeps: bool = False) -> None:
    """Read the whole body into ``data``.

    Args:
        keeps: Hand over what came of a body that breaks off, too.
    """
    with contextlib.closing(Gathering(data, buffers)) as gathering:
        try:
            await _fill(gathering, body, buffers)
        except ClientDisconnected:
            if keeps:
                gathering.flush()
            raise


async def _fill(gathering: Gathering, body: Body, buffers: LoopBuffers) -> None:
    while not body.ended:
        if gathering.needs_buffer:
            gathering.use(await buffers.take())
        with gathering.room() as room:
            count = await body.read_into(room)
        if count is not None:
            gathering.filled(count)
            continue
        piece, offset = await body.piece(), 0
        while offset < len(piece):
            if gathering.needs_buffer:
                gathering.use(await buffers.take())
            offset += gathering.add(piece, offset)
    if gathering.is_over:
        gathering.use(await buffers.take())
    gathering.flush()
