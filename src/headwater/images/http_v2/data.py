"""Handlers for an image's data: bytes in and out.

An upload's pieces, as small or large as the network gives them, are gathered into a few page-aligned
buffers of ``BUFFER`` bytes. A full buffer goes to the pipeline and comes back when hashes, inspection and
store are done with it; when none is free, nothing is read from the client. So memory is
``BUFFERS * BUFFER`` for each upload, whatever its size, and a client that sends nothing holds no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import re
from collections.abc import AsyncIterator, Callable, Iterator

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from headwater.errors import ClientDisconnected, Invalid, RangeNotSatisfiable, UnsupportedMedia
from headwater.images.downloads import Download, Downloads
from headwater.images.http_v2 import requests
from headwater.images.uploads import IncomingData, SizeMismatch, Uploads
from headwater.threads import Pool

_log = logging.getLogger(__name__)

OCTETS = "application/octet-stream"
BUFFER = 2 << 20  # bytes; a multiple of every disk's block, so that a store may write it directly
BUFFERS = 4
# After a refusal the rest of the body is read for so long, because most clients look for an answer only
# when they have sent everything.
DRAIN_S = 20.0


class NotOctets(UnsupportedMedia):
    """Data comes as bytes and says so."""

    def __init__(self, given: str) -> None:
        shown = f"not {given[:80]!r}" if given else "and the request has none"
        super().__init__(f"Unsupported Content-Type: image data is sent as {OCTETS}, {shown}")


class BadSizeHeader(Invalid):
    """A size that is not a size."""

    def __init__(self, given: str) -> None:
        super().__init__(f"The header X-OpenStack-Image-Size must be a whole number of bytes, not {given[:40]!r}")


class SeveralRanges(Invalid):
    """More than one range in one request."""

    def __init__(self) -> None:
        super().__init__("Multiple ranges are not supported: ask for one range in each request")


class DataHandlers:
    """Requests in, use cases called, bytes moved."""

    def __init__(self, uploads: Uploads, downloads: Downloads, catalogue_calls: Pool, transfers: Pool) -> None:
        self._uploads = uploads
        self._downloads = downloads
        self._calls = catalogue_calls
        self._transfers = transfers

    # --- In --------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        body = _Body(request)
        try:
            await self._receive(request, body)
        except ClientDisconnected:
            raise
        except Exception:
            await body.drain()
            raise
        return Response(status_code=204)

    async def _receive(self, request: Request, body: _Body) -> None:
        if requests.media_type(request) != OCTETS:
            raise NotOctets(requests.media_type(request))
        size = _announced_size(request)
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        data = await self._calls.run(lambda: self._uploads.begin(caller, image_id, size))
        buffers = _Buffers()
        try:
            if data.needs_preparation:
                await self._transfers.run(data.prepare)
            await _gather(body, data, buffers)
            await buffers.settle()
            await self._transfers.run(data.finish)
        except BaseException:
            await asyncio.shield(self._abandon(data, buffers))
            raise
        finally:
            buffers.close()

    async def _abandon(self, data: IncomingData, buffers: _Buffers) -> None:
        await buffers.settle()
        await self._transfers.run(data.abandon)

    # --- Out -------------------------------------------------------------------------------------

    async def download(self, request: Request) -> Response:
        caller, image_id = requests.caller(request), request.path_params["image_id"]
        found = await self._calls.run(lambda: self._downloads.open(caller, image_id))
        if found is None:
            return Response(status_code=204)
        answer = self._answer(request, found)
        if answer.status_code == 304 or not self._downloads.tells_of_sending():
            return answer
        return _Counted(answer, self._calls, lambda count, whole: self._downloads.sent(found, count, whole=whole))

    def _answer(self, request: Request, found: Download) -> Response:
        size = found.image.size or 0
        headers = _data_headers(found)
        if _unchanged(request, headers.get("ETag")):
            return Response(status_code=304, headers=headers)
        wanted = _range(request, size, headers.get("ETag"))
        if wanted is None:
            return self._whole(found, size, headers, 200)
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
        if len(wanted) == size:
            return self._whole(found, size, headers, 206)
        headers["Content-Length"] = str(len(wanted))
        return self._streamed(found, wanted, headers, 206)

    def _whole(self, found: Download, size: int, headers: dict[str, str], status: int) -> Response:
        headers["Content-Length"] = str(size)
        if found.path is not None and size:
            return _SentFile(found.path, status, headers, OCTETS)
        return self._streamed(found, range(size), headers, status)

    def _streamed(self, found: Download, wanted: range, headers: dict[str, str], status: int) -> Response:
        # Opened before the headers are sent, so that what fails at once is still an error.
        pieces = found.store.read(found.object_key, wanted.start, len(wanted))
        return StreamingResponse(_in_turn(pieces, self._transfers), status, headers, OCTETS)


class _SentFile(FileResponse):
    """A whole file that the server sends itself (``http.response.pathsend``) where it can."""

    def __init__(self, path: object, status: int, headers: dict[str, str], media_type: str) -> None:
        super().__init__(str(path), status, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "http.response.pathsend" in scope.get("extensions", {}):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.pathsend", "path": str(self.path)})
            return
        # The range is dealt with already: a server without pathsend gets the whole file.
        scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        await super().__call__(scope, receive, send)


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
            await send(message)
            if message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            elif message["type"] == "http.response.pathsend":
                sent = expected  # by the server itself, which does not say how far it came

        try:
            await self._answer(scope, receive, counted)
        finally:
            await asyncio.shield(self._pool.run(lambda: self._report(sent, sent == expected)))

    def _report(self, sent: int, whole: bool) -> None:
        try:
            self._tell(sent, whole)
        except Exception as error:  # noqa: BLE001 - the data was sent all the same
            _log.warning("nobody is told of a download", extra={"error": str(error)})


class _Buffers:
    """The memory of one upload. Used from the event loop only, but for ``give_back``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._free: list[mmap.mmap] = []
        self._made = 0
        self._returned = asyncio.Event()

    async def take(self) -> mmap.mmap:
        """Return a buffer; wait until one is free if all are in use."""
        while not self._free:
            if self._made < BUFFERS:
                self._made += 1
                return mmap.mmap(-1, BUFFER)
            self._returned.clear()
            await self._returned.wait()
        return self._free.pop()

    def giver(self, buffer: mmap.mmap, view: memoryview) -> Callable[[], None]:
        """Return what gives ``buffer`` back, from any thread."""

        def give_back() -> None:
            view.release()
            self._loop.call_soon_threadsafe(self.put, buffer)

        return give_back

    def put(self, buffer: mmap.mmap) -> None:
        """Take a buffer back."""
        self._free.append(buffer)
        self._returned.set()

    async def settle(self) -> None:
        """Return when every buffer is back."""
        while len(self._free) < self._made:
            self._returned.clear()
            await self._returned.wait()

    def close(self) -> None:
        """Free the memory."""
        for buffer in self._free:
            # What a lane raised may still hold a view of it, in its traceback; the memory then goes with that.
            with contextlib.suppress(BufferError):
                buffer.close()
        self._free.clear()
        self._made = 0


class _Body:
    """The body of one request, piece by piece."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        length = request.headers.get("content-length", "")
        self._left = int(length) if length.isdigit() else None
        self._waits_for_our_word = "100-continue" in request.headers.get("expect", "").lower()
        self._ended = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield all of it.

        Raises:
            ClientDisconnected: It ended before it was complete.
        """
        while not self._ended:
            message = await self._receive()
            self._waits_for_our_word = False
            if message["type"] == "http.disconnect":
                self._ended = True
                raise ClientDisconnected("the connection ended before the data did")
            piece: bytes = message.get("body", b"")
            self._ended = not message.get("more_body", False)
            if self._left is not None:
                self._left -= len(piece)
            if piece:
                yield piece
        if self._left:
            raise ClientDisconnected("the connection ended before the data did")

    async def drain(self) -> None:
        """Read what the client still sends, for a while, so that it comes to read the answer.

        A client that waits for our word before it sends takes the answer for one.
        """
        if self._waits_for_our_word:
            return
        with contextlib.suppress(TimeoutError, ClientDisconnected):
            async with asyncio.timeout(DRAIN_S):
                async for _ in self.pieces():
                    pass


async def _gather(body: _Body, data: IncomingData, buffers: _Buffers) -> None:
    """Read the whole body into ``data``."""
    buffer: mmap.mmap | None = None
    filled = 0
    try:
        async for piece in body.pieces():
            offset = 0
            while offset < len(piece):
                if buffer is None:
                    buffer, filled = await buffers.take(), 0
                count = min(BUFFER - filled, len(piece) - offset)
                buffer[filled : filled + count] = piece if count == len(piece) else piece[offset : offset + count]
                filled += count
                offset += count
                if filled == BUFFER:
                    full, buffer = buffer, None
                    _hand_over(data, buffers, full, filled)
        if buffer is not None:
            last, buffer = buffer, None
            _hand_over(data, buffers, last, filled)
    finally:
        if buffer is not None:
            buffers.put(buffer)


def _hand_over(data: IncomingData, buffers: _Buffers, buffer: mmap.mmap, filled: int) -> None:
    view = memoryview(buffer)[:filled]
    give_back = buffers.giver(buffer, view)
    try:
        data.put(view, give_back)
    except BaseException:
        give_back()
        raise


def _announced_size(request: Request) -> int | None:
    """Return how many bytes will come, if the client said so.

    Raises:
        BadSizeHeader: The header is not a number.
        SizeMismatch: It contradicts Content-Length.
    """
    length = request.headers.get("content-length")
    size = int(length) if length is not None and length.isdigit() else None
    header = request.headers.get("x-openstack-image-size")
    if header is None:
        return size
    if not re.fullmatch(r"[0-9]{1,18}", header):
        raise BadSizeHeader(header)
    if size is not None and size != int(header):
        raise SizeMismatch(int(header), size)
    return int(header)


def _data_headers(found: Download) -> dict[str, str]:
    headers = {"Accept-Ranges": "bytes"}
    if found.image.checksum:
        headers["Content-MD5"] = found.image.checksum  # hex, not base64: what every client of Glance compares
    if found.image.os_hash_value:
        headers["ETag"] = f'"{found.image.os_hash_value}"'
    return headers


def _unchanged(request: Request, etag: str | None) -> bool:
    given = request.headers.get("if-none-match")
    if given is None or etag is None:
        return False
    return given.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in given.split(",")]


def _range(request: Request, size: int, etag: str | None) -> range | None:
    """Return the bytes asked for; ``None`` when all are.

    Raises:
        SeveralRanges: There is more than one range.
        RangeNotSatisfiable: It is malformed, or begins after the end.
    """
    header = request.headers.get("range")
    if header is None:
        # Source: clients of the v2.0 API ask with a Content-Range header in the request.
        legacy = request.headers.get("content-range")
        if legacy is None:
            return None
        match = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/(?:\*|[0-9]+)", legacy.strip())
        header = f"bytes={match[1]}-{match[2]}" if match else legacy
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    if "," in header:
        raise SeveralRanges
    match = re.fullmatch(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", header)
    if match is None or not (match[1] or match[2]):
        raise RangeNotSatisfiable(f"The range {header[:80]!r} is not of the form bytes=FIRST-LAST", size)
    if match[1]:
        start, stop = int(match[1]), min(int(match[2] or size - 1) + 1, size)
    else:
        start, stop = max(0, size - int(match[2])), size
    if start >= stop:
        raise RangeNotSatisfiable(f"The range {header[:80]!r} is outside the {size} bytes of the image", size)
    return range(start, stop)


async def _in_turn(pieces: Iterator[bytes], pool: Pool) -> AsyncIterator[bytes]:
    """Yield each piece, read by a thread only when the client is ready for it."""
    ended = object()

    def following() -> object:
        return next(pieces, ended)

    try:
        while (piece := await pool.run(following)) is not ended:
            if isinstance(piece, bytes):
                yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            await asyncio.shield(pool.run(close))
